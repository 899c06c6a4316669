"""Which arm is better than which over the same tasks: signed-rank tests, by task and by trained model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray, IntArray
from feint.stats.clusters import Clusters, task_matrix, task_vector
from feint.stats.holm import holm

_EXACT_TASKS = 25
_EXACT_CLUSTERS = 16
_DECIMALS = 12


@final
@dataclass(frozen=True, kw_only=True)
class SignedRank:
    """Wilcoxon's signed-rank test of n differences: the rank sums, both one-sided p-values, zeros left out."""

    w_plus: float
    w_minus: float
    greater: float
    less: float
    zeros: int


@final
@dataclass(frozen=True, kw_only=True)
class WilcoxonMatrix:
    """One-sided p-values (A, A) of 'the arm of the row is better than the arm of the column'; the diagonal is NaN.

    `p` takes every task for a repetition of its own, `clustered` every cluster (trained model); `holm` and
    `clustered_holm` are the same after Holm's correction over all A (A - 1) cells. `zeros` counts the tasks on which
    two arms are equal. `floor` is the smallest p that so many clusters can give.
    """

    p: FloatArray
    holm: FloatArray
    clustered: FloatArray
    clustered_holm: FloatArray
    zeros: IntArray
    clusters: int
    floor: float


def differences(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return x - y to 12 decimals, so that errors of rounding neither hide equal differences nor make up others."""
    d: FloatArray = np.round(x - y, _DECIMALS)
    return d


def signed_ranks(d: FloatArray) -> FloatArray:
    """Return sign(d) times the midrank of |d| among the non-zero differences, along the last axis; 0 where d is 0."""
    from scipy.stats import rankdata

    zeros = (d == 0).sum(axis=-1, keepdims=True)
    ranks: FloatArray = np.sign(d) * (rankdata(np.abs(d), axis=-1) - zeros)
    return ranks


def signed_rank(d: ArrayLike) -> SignedRank:
    """Return Wilcoxon's signed-rank test of paired differences, one per task.

    W+ and W- are the sums of the midranks of |d| over positive and over negative differences; zeros are dropped. Exact
    for at most 25 differences without ties, else W+ - W- is taken for normal with variance sum r^2 (which corrects for
    ties; no continuity correction). All differences zero: p = 1 both ways.

    Args:
        d: differences (T,), seeds averaged first.

    Raises:
        InputError: empty, not one-dimensional, or not finite.

    Fails when: tasks share a trained model: they are then no repetitions, and p is far too small; see
    `wilcoxon_matrix`. Fewer than 5 tasks cannot reach p < .05. The normal law is rough for few tasks with ties.

    Cost: O(T log T).

    References: Wilcoxon (1945), Biometrics Bulletin 1; Hollander, Wolfe (1999), Nonparametric Statistical Methods,
    section 3.1.

    Example:
        >>> test = signed_rank([0.010, 0.020, -0.005, 0.030, 0.015, 0.004, -0.001, 0.025])
        >>> test.w_plus, test.greater, test.less
        (32.0, 0.02734375, 0.98046875)
    """
    r = signed_ranks(differences(task_vector(d), np.zeros(1)))
    greater, less = _by_task(r[None])
    return SignedRank(
        w_plus=float(r[r > 0].sum()),
        w_minus=float(-r[r < 0].sum()),
        greater=float(greater[0]),
        less=float(less[0]),
        zeros=int((r == 0).sum()),
    )


def wilcoxon_matrix(
    values: ArrayLike, clusters: Iterable[Hashable], *, draws: int = 19_999, generator: np.random.Generator
) -> WilcoxonMatrix:
    """Return the p-values of 'row better than column' between all arms, by task and by cluster, raw and after Holm.

    The unit of replication is what could have come out otherwise on its own. One-vs-one tasks with the same normal
    class share one trained model: if it is lucky, it is lucky on all of them. `p`, which counts every task, is then
    optimistic: it claims far more than 5 % of nothing. `clustered` keeps the statistic, W+ - W- = sum_k S_k with S_k
    the sum of the signed ranks in cluster k, but gives all tasks of a cluster one common sign under the null: p is the
    share of the 2^K sign vectors s with sum_k s_k S_k at least as large. With one task per cluster the tests agree.

    Args:
        values: one per arm and task, (A, T), higher = better, seeds averaged first.
        clusters: one label per task, such as (data set, normal class).
        draws: sign vectors drawn where K > 16; all of them are taken up to there.
        generator: the source of chance; unused for K <= 16.

    Raises:
        InputError: shapes that do not agree, or a value that is not finite.
        SettingError: fewer than two arms, or no draws.

    Fails when: K is small. The least clustered p is 2^-K (`floor`): fewer than 5 clusters cannot reach .05, and after
    Holm over A (A - 1) cells 10 clusters cannot either for more than 7 arms. Clusters that share images (one-vs-one
    takes each class both as normal and as anomalous) are not quite independent.

    Cost: O(A^2 (T log T + B K)), B = min(2^K, draws): 0.1 s for 14 arms, 420 tasks, 40 clusters.

    References: Wilcoxon (1945), Biometrics Bulletin 1; Rosner, Glynn, Lee (2006), The Wilcoxon Signed Rank Test for
    Paired Comparisons of Clustered Data, Biometrics 62; Holm (1979).

    Deviations: Rosner, Glynn and Lee take a normal law and weights for clusters of unequal size; here the signs are
    enumerated or drawn, and all tasks weigh the same, so that only the unit differs from the test by task.
    """
    x = task_matrix(values)
    if len(x) < 2:
        raise SettingError(f"a comparison needs at least 2 arms: got {len(x)}.")
    groups = Clusters.of(clusters, x.shape[1])
    signs = _signs(groups.count, draws, generator)
    p, clustered = np.full((2, len(x), len(x)), np.nan)
    zeros = np.full((len(x), len(x)), x.shape[1], dtype=np.int64)
    for i in range(len(x) - 1):
        r = signed_ranks(differences(x[i], x[i + 1 :]))
        p[i, i + 1 :], p[i + 1 :, i] = _by_task(r)
        clustered[i, i + 1 :], clustered[i + 1 :, i] = _by_cluster(r @ groups.members.T, signs)
        zeros[i, i + 1 :] = zeros[i + 1 :, i] = (r == 0).sum(axis=1)
    return WilcoxonMatrix(
        p=p,
        holm=holm(p),
        clustered=clustered,
        clustered_holm=holm(clustered),
        zeros=zeros,
        clusters=groups.count,
        floor=1 / len(signs),
    )


def _by_task(r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the p-values (P,) of 'greater' and 'less' from signed ranks (P, T), every task a repetition."""
    from scipy.special import ndtr
    from scipy.stats import wilcoxon

    z = r.sum(axis=1) / np.sqrt(np.maximum((r**2).sum(axis=1), 1))
    greater, less = ndtr(-z), ndtr(z)
    for i, row in enumerate(r):
        d = row[row != 0]
        if d.size == 0:
            greater[i] = less[i] = 1.0
        elif d.size <= _EXACT_TASKS and np.unique(np.abs(d)).size == d.size:
            greater[i] = wilcoxon(d, alternative="greater", method="exact").pvalue
            less[i] = wilcoxon(d, alternative="less", method="exact").pvalue
    return greater, less


def _by_cluster(S: FloatArray, signs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the p-values (P,) of 'greater' and 'less' from sums of signed ranks by cluster (P, K).

    Sums of midranks are multiples of 1/2, so equality is exact.
    """
    null = signs @ S.T
    observed = S.sum(axis=1)
    return (null >= observed).mean(axis=0), (null <= observed).mean(axis=0)


def _signs(K: int, draws: int, generator: np.random.Generator) -> FloatArray:
    """Return the sign vectors (B, K) of the null: all 2^K, or `draws` random ones after the one that was observed."""
    if draws < 1:
        raise SettingError(f"draws must be at least 1: got {draws}.")
    if K <= _EXACT_CLUSTERS:
        bits = (np.arange(2**K)[:, None] >> np.arange(K)) & 1
    else:
        bits = generator.integers(2, size=(draws + 1, K))
        bits[0] = 0
    return np.asarray(1 - 2 * bits, dtype=np.float64)
