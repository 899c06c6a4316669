"""From p-values to flags, and whether the flags are more than chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.calibration import discoveries
from feint.calibration.conformal import supported_exceedances
from feint.core.errors import InputError, SettingError
from feint.metrics.arrays import BoolArray, score_vector
from feint.metrics.ranks import exact_rate
from feint.stats.beta_binomial import beta_binomial_at_least


def decide(p_values: ArrayLike, *, false_alarm_rate: float | None = None, fdr: float | None = None) -> BoolArray:
    """Return which images are flagged (n,): p <= false_alarm_rate, or Benjamini-Hochberg at `fdr`.

    Args:
        p_values: conformal p-values, (n,).
        false_alarm_rate: largest acceptable share of the normal images flagged, in (0, 1).
        fdr: largest acceptable share, on average, of normal images among the flagged, in (0, 1).

    Raises:
        SettingError: not exactly one of the two is given, or it is not strictly between 0 and 1.

    Example:
        >>> decide([0.01, 0.04, 0.2, 0.9], false_alarm_rate=0.05).tolist()
        [True, True, False, False]
        >>> decide([0.01, 0.04, 0.2, 0.9], fdr=0.05).tolist()
        [True, False, False, False]
    """
    if false_alarm_rate is not None and fdr is None:
        return np.asarray(p_values, dtype=np.float64) <= float(exact_rate(false_alarm_rate, "false_alarm_rate"))
    if fdr is not None and false_alarm_rate is None:
        return discoveries.flag(p_values, fdr)
    raise SettingError(f"give either false_alarm_rate or fdr: got false_alarm_rate={false_alarm_rate} and fdr={fdr}.")


def too_many_flagged(flagged: int, *, unlabelled: int, calibration: int, rate: float) -> float:
    """Return the probability that so many images or more would have p <= rate if all of them were normal.

    All images are judged by one calibration set, whose luck they share: the number flagged is beta-binomial with
    a = n + 1 - k, b = k (n calibration images, k as in `threshold`), with far heavier tails than a binomial. Ties
    among the scores make the result too high, never too low. Low = the images hold anomalies, or have drifted.

    Args:
        flagged: number of images with p <= rate.
        unlabelled: number of images judged.
        calibration: number n of calibration images.
        rate: the false-alarm rate, fixed beforehand.

    Raises:
        UnsupportedRateError: n cannot support the rate.
        InputError: flagged is not between 0 and unlabelled.

    Fails when: the p-values are cross-conformal, or the unlabelled images took part in choosing the detector: then
    it is an approximation that errs on the side of finding anomalies.

    Cost: O(unlabelled).

    References: Marques F. (2023), Universal distribution of the empirical coverage in split conformal prediction,
    arXiv 2303.02770.

    Example:
        >>> round(too_many_flagged(80, unlabelled=1000, calibration=100, rate=0.05), 3)
        0.102
    """
    if not 0 <= flagged <= unlabelled:
        raise InputError(f"flagged must lie between 0 and the {unlabelled} images judged: got {flagged}.")
    a = supported_exceedances(calibration, rate)
    return beta_binomial_at_least(flagged, n=unlabelled, a=a, b=calibration + 1 - a)


def too_high_together(p_values: ArrayLike, *, calibration: int) -> float:
    """Return the probability that images score as high together, or higher, if all of them were normal.

    A p-value p = (1 + u) / (n + 1) holds the number u of n calibration scores that are at least as high; the sum of u
    over the m images judged is Mann's and Whitney's U, here with its normal approximation: mean m n / 2, variance
    m n (m + n + 1) / 12, so the luck of the calibration set that all images share is accounted for. It asks what
    `too_many_flagged` does of the whole distribution: where few calibration images set a threshold that no image
    alone can pass, many that score near it still show. Ties make the result too high, never too low.

    Args:
        p_values: conformal p-values of the m images judged, (m,).
        calibration: number n of calibration images.

    Raises:
        InputError: no p-value, or one is not finite; n is below 1.

    Fails when: the p-values are cross-conformal, or the unlabelled images took part in choosing the detector: then
    it is an approximation that errs on the side of finding anomalies. A shift of all images looks like anomalies.

    Cost: O(m).

    References: Mann, Whitney (1947), On a test of whether one of two random variables is stochastically larger than
    the other, Annals of Mathematical Statistics 18.

    Example:
        >>> round(too_high_together([0.1, 0.05, 0.3, 0.15], calibration=19), 3)
        0.008
    """
    from scipy.special import ndtr

    p = score_vector(p_values, "p-values")
    if calibration < 1:
        raise InputError(f"calibration needs at least one normal image: got {calibration}.")
    m, n = p.size, calibration
    u = float(np.sum(p * (n + 1) - 1))
    return float(ndtr((u - m * n / 2 + 0.5) / np.sqrt(m * n * (m + n + 1) / 12)))
