"""Mean ranks of arms over tasks, and which of them cannot be told apart: a critical-difference diagram's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray
from feint.stats.clusters import task_matrix

_LEVEL = 0.05


@final
@dataclass(frozen=True, kw_only=True)
class MeanRanks:
    """Mean ranks (A,), 1 = best, with Friedman's test that all arms are equal and Nemenyi's critical difference.

    `order` lists the arms from best to worst. `groups` are the largest runs of arms in that order whose mean ranks lie
    within the critical difference of one another; arms that stand alone are in none.
    """

    ranks: FloatArray
    order: tuple[int, ...]
    statistic: float
    p: float
    critical_difference: float
    groups: tuple[tuple[int, ...], ...]
    blocks: int


def mean_ranks(values: ArrayLike) -> MeanRanks:
    """Return the mean rank of each arm, 1 = highest value, ties sharing the mean of their ranks.

    With r_ij the rank of arm j of k in block i of n, and R_j its sum: Friedman's statistic, corrected for ties, is
    (k - 1) sum_j (R_j - n (k + 1) / 2)^2 / sum_ij (r_ij - (k + 1) / 2)^2, chi-square with k - 1 degrees of freedom
    (p = 1 if all arms tie everywhere); the critical difference at .05 is q sqrt(k (k + 1) / (6 n)), q the studentized
    range's 95 % point over sqrt 2.

    Args:
        values: one per arm and block, (A, n), higher = better. A block is what was repeated independently: for tasks
            that share trained models give `cluster_means(values, clusters)`, one block per cluster.

    Raises:
        InputError: not two-dimensional, empty, or not finite.
        SettingError: fewer than two arms.

    Fails when: blocks are not independent (p and the critical difference are then too small), or fewer than about 10:
    the chi-square law is rough. The rank of an arm depends on which others are there.

    Cost: O(A n log A).

    References: Friedman (1937), JASA 32; Nemenyi (1963), Distribution-free Multiple Comparisons; Demsar (2006),
    Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, section 3.2.2.

    Example:
        >>> result = mean_ranks([[0.9, 0.8, 0.9], [0.7, 0.8, 0.6], [0.5, 0.4, 0.3]])
        >>> result.ranks.round(2).tolist(), round(result.critical_difference, 2)
        ([1.17, 1.83, 3.0], 1.91)
    """
    from scipy.stats import chi2, rankdata, studentized_range

    x = task_matrix(values)
    k, n = x.shape
    if k < 2:
        raise SettingError(f"a comparison needs at least 2 arms: got {k}.")
    r = rankdata(-x, axis=0) - (k + 1) / 2
    spread = float((r**2).sum())
    statistic = (k - 1) * float((r.sum(axis=1) ** 2).sum()) / spread if spread > 0 else 0.0
    ranks = r.mean(axis=1) + (k + 1) / 2
    order = np.argsort(ranks, kind="stable")
    reach = float(studentized_range.ppf(1 - _LEVEL, k, np.inf)) / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5
    return MeanRanks(
        ranks=ranks,
        order=tuple(order.tolist()),
        statistic=statistic,
        p=float(chi2.sf(statistic, k - 1)),
        critical_difference=reach,
        groups=tuple(tuple(order[a:b].tolist()) for a, b in _runs(ranks[order], reach)),
        blocks=n,
    )


def _runs(ranks: FloatArray, reach: float) -> list[tuple[int, int]]:
    """Return [a, b) of every run of at least two sorted `ranks` that spans at most `reach` and lies in no other."""
    runs: list[tuple[int, int]] = []
    end = 0
    for a, b in enumerate(np.searchsorted(ranks, ranks + reach, side="right").tolist()):
        if b > end and b - a > 1:
            runs.append((a, b))
        end = max(end, b)
    return runs
