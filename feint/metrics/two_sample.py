"""Label-free criteria: unlabelled images against normal ones held out of training.

Let a share p of the unlabelled images be anomalous and their normals be exchangeable with the held-out ones.
Then each criterion below grows with the detector's true power, so that candidates can be ranked without labels.

Fails when: the unlabelled normals differ from the held-out ones (another day, camera, brightness): the criteria
then reward sensitivity to that shift. Or the held-out normals were used in training, early stopping or density
fitting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import CollapseError, UnsupportedRateError
from feint.metrics.arrays import FloatArray, score_vector
from feint.metrics.ranks import allowed_exceedances, count_at_least, exact_rate, minimum_images


@final
@dataclass(frozen=True, kw_only=True)
class RankCriterion:
    """A mean over unlabelled images of f(how many of the m held-out normals score at least as high); higher = better.

    `table(m)` returns f(0), ..., f(m). With `halve_ties` it is averaged with the same mean over strictly higher
    counts. All of it depends on ranks only, so any increasing transform of the scores leaves it unchanged.

    Example:
        >>> TWO_SAMPLE_AUROC([0.3, 0.9], [0.1, 0.2, 0.3])
        0.9166666666666667
    """

    name: str
    table: Callable[[int], FloatArray]
    halve_ties: bool = False

    def __call__(self, unlabelled: ArrayLike, held_out: ArrayLike) -> float:
        """Return the criterion of scores `unlabelled` (n,) against normal scores `held_out` (m,).

        Cost: O((m + n) log(m + n)).
        """
        u = score_vector(unlabelled, "unlabelled scores")
        h = score_vector(held_out, "held-out scores")
        f = self.table(h.size)
        value = float(f[count_at_least(h, u)].mean())
        if not self.halve_ties:
            return value
        strictly_higher = h.size - np.searchsorted(np.sort(h), u, side="right")
        return (value + float(f[strictly_higher].mean())) / 2


def _share_below(m: int) -> FloatArray:
    return 1 - np.arange(m + 1) / m


def _log_p(m: int) -> FloatArray:
    return -np.log(np.arange(1, m + 2) / (m + 1))


def _is_above(m: int, *, level: float) -> FloatArray:
    rate = float(1 - exact_rate(level, "level"))
    if m < minimum_images(rate):
        raise UnsupportedRateError(
            f"the excess above level {level} needs at least {minimum_images(rate)} held-out normal images: got {m}. "
            f"Hold out more, or lower the level."
        )
    return (np.arange(m + 1) < allowed_exceedances(m, rate)).astype(np.float64)


TWO_SAMPLE_AUROC = RankCriterion(name="two_sample_auroc", table=_share_below, halve_ties=True)
MEAN_EVIDENCE = RankCriterion(name="mean_evidence", table=_log_p)


def excess_above(level: float) -> RankCriterion:
    """Return the criterion `excess` at `level`, to be compared by `feint.stats.paired_bootstrap`.

    Raises:
        SettingError: `level` is not strictly between 0 and 1.
    """
    exact_rate(level, "level")
    return RankCriterion(name=f"excess_{level:g}", table=partial(_is_above, level=level))


def two_sample_auroc(unlabelled: ArrayLike, held_out: ArrayLike) -> float:
    """Return A2 = P(u > h) + P(u = h) / 2 over pairs of an unlabelled and a held-out normal image, in [0, 1].

    E[A2] = 1/2 + p (AUROC - 1/2): it orders candidates as the unknown AUROC does, whatever the share p.

    Args:
        unlabelled: scores of n unlabelled images, (n,).
        held_out: scores of m normal images kept out of training, (m,).

    Raises:
        InputError: an empty, non-finite or not one-dimensional array.

    Fails when: p is so small that p (AUROC_1 - AUROC_2) drowns in the noise of about sqrt((m + n) / (12 m n)).

    Cost: O((m + n) log(m + n)).

    References: Menon, van Rooyen, Ong, Williamson (2015), ICML (corrupted labels); Sakai, Niu, Sugiyama (2018),
    Machine Learning 107 (AUROC from positive and unlabelled data).

    Example:
        >>> two_sample_auroc([1.0, 2.0, 9.0, 9.0], [1.0, 2.0, 3.0])
        0.6666666666666667
    """
    return TWO_SAMPLE_AUROC(unlabelled, held_out)


def excess(unlabelled: ArrayLike, held_out: ArrayLike, *, level: float) -> float:
    """Return X_q, the share of unlabelled images above the q-quantile of the held-out normals, in [0, 1].

    An image is above when its conformal p-value is <= 1 - q, which is exact in small samples: with nothing
    anomalous the expectation is floor((1 - q)(m + 1)) / (m + 1) <= 1 - q. E[X_q] = (1 - p)(1 - q) + p TPR at the
    false-alarm rate 1 - q: more power than A2 when anomalies are few and clear.

    Args:
        unlabelled: scores of n unlabelled images, (n,).
        held_out: scores of m normal images kept out of training, (m,).
        level: q, strictly between 0 and 1; 0.95 and 0.99 are usual.

    Raises:
        UnsupportedRateError: m is below ceil(1 / (1 - q)) - 1: 19 for 0.95, 99 for 0.99.
        SettingError: `level` is not strictly between 0 and 1.

    Cost: O((m + n) log m).

    Example:
        >>> excess([0.2, 0.4, 7.0, 8.0], [i / 19 for i in range(19)], level=0.95)
        0.5
    """
    return excess_above(level)(unlabelled, held_out)


def mean_evidence(unlabelled: ArrayLike, held_out: ArrayLike) -> float:
    """Return the mean over unlabelled images of -ln p, p the conformal p-value against the held-out normals.

    Between A2 and the excess: it uses all images, and weighs the tail without a level to choose. In
    [0, ln(m + 1)], higher = better. With nothing anomalous and no ties its expectation is
    ln(m + 1) - ln((m + 1)!) / (m + 1), about 1 - ln(2 pi m) / (2 m): 0.915 at m = 30, 0.985 at m = 240, 1 in the
    limit; ties lower it.

    Args:
        unlabelled: scores of n unlabelled images, (n,).
        held_out: scores of m normal images kept out of training, (m,).

    Raises:
        InputError: an empty, non-finite or not one-dimensional array.

    Cost: O((m + n) log m).

    References: Fisher (1932), Statistical Methods for Research Workers, the sum of -ln p; as a criterion, Feint's own.

    Example:
        >>> mean_evidence([0.0, 9.0], [1.0, 2.0, 3.0])  # p = 1 and 1/4
        0.6931471805599453
    """
    return MEAN_EVIDENCE(unlabelled, held_out)


def score_variance(unlabelled: ArrayLike, held_out: ArrayLike) -> float:
    """Return S, the variance of the unlabelled scores in units of the held-out normals' variance, >= 0.

    S = (1/n) sum_i (z_i - mean(z))^2 with z = (s - mean(h)) / sd(h), sd with 1/m: about 1 when nothing is anomalous.

    Args:
        unlabelled: scores s of n unlabelled images, (n,).
        held_out: scores h of m normal images, (m,).

    Raises:
        CollapseError: the held-out scores are constant.

    Fails when: a strong but mismatched augmentation inflates it; one extreme score can rule it.

    References: the selection statistic of ST-SSAD, Yoo, Zhao, Akoglu (2023), arXiv 2306.12033. Deviations:
    standardised, since raw scores of different candidates have different scales.

    Example:
        >>> score_variance([0.0, 4.0], [-1.0, 1.0])
        4.0
    """
    h = score_vector(held_out, "held-out scores")
    sd = float(h.std())
    if sd <= 1e-12 * float(np.abs(h).max()):
        raise CollapseError(f"the {h.size} held-out normal scores are all {h[0]:g}: this detector tells nothing apart.")
    return float((score_vector(unlabelled, "unlabelled scores") / sd).var())
