"""Split-conformal p-values and thresholds: a false-alarm rate that holds for any detector.

The calibration scores are of normal images held out of training, tuning and choosing, exchangeable with the
normal images to come. Not so, and so without guarantee: goods from another day or camera; calibration scores
used before to choose a model; calibration scores from which the highest were trimmed. Judging the very unlabelled
images by which a detector was chosen bends it a little: in simulation the best of 40 unrelated candidates by
`excess` at 0.95 turned 5 % into 5.5 % with 1,000 unlabelled images, into 7 % with 100 or 200.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, UnsupportedRateError
from feint.metrics.arrays import FloatArray, same_length, score_matrix, score_vector
from feint.metrics.ranks import allowed_exceedances, count_at_least, exact_rate, minimum_images, p_values

__all__ = [
    "cross_conformal_p_values",
    "leave_one_out_p_values",
    "minimum_images",
    "p_values",
    "realised_rate",
    "smallest_rate",
    "threshold",
]


def smallest_rate(n: int) -> float:
    """Return the smallest false-alarm rate that n calibration images support: 1 / (n + 1).

    Raises:
        InputError: n is below 1.

    Example:
        >>> smallest_rate(99)
        0.01
    """
    if n < 1:
        raise InputError(f"calibration needs at least one normal image: got {n}.")
    return 1 / (n + 1)


def threshold(calibration: ArrayLike, rate: float, *, confidence: float | None = None) -> float:
    """Return the score tau above which (s > tau) an image is flagged, so that normal images rarely are.

    tau is the k-th smallest of the n calibration scores, k = n + 1 - floor(rate (n + 1)); then s(x) > tau exactly when
    p(x) <= rate. A normal image is flagged with probability <= rate on average over calibration sets, and without ties
    > rate - 1 / (n + 1). One set may give more: see `realised_rate`. With `confidence`, k is the smallest with
    P(Binomial(n, 1 - rate) >= k) <= 1 - confidence, so that *this* set's false-alarm rate is <= rate with that
    probability.

    Args:
        calibration: scores of n held-out normal images, (n,).
        rate: largest acceptable share of normal images flagged, strictly between 0 and 1.
        confidence: None for the guarantee on average, or a probability such as 0.95.

    Raises:
        UnsupportedRateError: n is too small for the rate; the message names the number needed.
        SettingError: rate or confidence is not strictly between 0 and 1.

    Cost: O(n log n).

    References: Vovk, Gammerman, Shafer (2005); with confidence, Wilks (1941), Annals of Mathematical Statistics 12
    (tolerance limits), and Vovk (2012), arXiv 1209.2673.

    Example:
        >>> scores = list(range(1, 101))
        >>> threshold(scores, 0.05), threshold(scores, 0.05, confidence=0.95)
        (96.0, 99.0)
    """
    s = np.sort(score_vector(calibration, "calibration scores"))
    n = s.size
    if confidence is None:
        k, needed = n + 1 - allowed_exceedances(n, rate), minimum_images(rate)
    else:
        k, needed = _confident_rank(n, rate, confidence)
    if k > n:
        sure = "" if confidence is None else f" with {confidence:.0%} confidence"
        raise UnsupportedRateError(
            f"a false-alarm rate of {rate:g}{sure} needs at least {needed} calibration images: got {n}. "
            f"Give more normal images, or ask for a rate that {n} can support."
        )
    return float(s[k - 1])


def _confident_rank(n: int, rate: float, confidence: float) -> tuple[int, int]:
    """Return k of the high-confidence threshold and the number of images it needs."""
    from scipy.stats import binom

    quiet = float(1 - exact_rate(rate))
    delta = float(1 - exact_rate(confidence, "confidence"))
    return int(binom.isf(delta, n, quiet)) + 1, math.ceil(math.log(delta) / math.log(quiet))


def realised_rate(n: int, rate: float) -> tuple[float, float]:
    """Return the 5 % and 95 % points of the false-alarm rate that one calibration set of n images gives.

    Without ties it is Beta(n + 1 - k, k), k as in `threshold`.

    Raises:
        UnsupportedRateError: n is below `minimum_images(rate)`.

    References: Vovk (2012), arXiv 1209.2673.

    Example:
        >>> [round(point, 3) for point in realised_rate(100, 0.05)]
        [0.02, 0.089]
    """
    from scipy.special import betaincinv

    a = supported_exceedances(n, rate)
    return float(betaincinv(a, n + 1 - a, 0.05)), float(betaincinv(a, n + 1 - a, 0.95))


def supported_exceedances(n: int, rate: float) -> int:
    """Return n + 1 - k = floor(rate (n + 1)) >= 1.

    Raises:
        UnsupportedRateError: it is 0, because n calibration images cannot support the rate.
    """
    allowed = allowed_exceedances(n, rate)
    if allowed == 0:
        raise UnsupportedRateError(
            f"a false-alarm rate of {rate:g} needs at least {minimum_images(rate)} calibration images: got {n}."
        )
    return allowed


def leave_one_out_p_values(scores: ArrayLike) -> FloatArray:
    """Return the p-value of each normal image against the other ones: (n,), multiples of 1/n, low = suspicious.

    It ranks the normal images among themselves; the lowest p of n is 1/n by construction, so a low p alone is no
    finding. All scores must come from one model that saw none of the images, or from cross-fitting.

    Raises:
        InputError: fewer than two scores, or not finite.

    Example:
        >>> leave_one_out_p_values([0.1, 0.2, 0.9, 0.2]).tolist()
        [1.0, 0.75, 0.25, 0.75]
    """
    s = score_vector(scores, "scores")
    if s.size < 2:
        raise InputError(f"ranking normal images among themselves needs at least two: got {s.size}.")
    p: FloatArray = count_at_least(s, s) / s.size
    return p


def cross_conformal_p_values(folds: Sequence[ArrayLike], scores: ArrayLike) -> FloatArray:
    """Return p-values (n,) of images scored by K models, each calibrated on the fold its model has not seen.

    p(x) = (1 + sum_k #{i in fold k : s_k(i) >= s_k(x)}) / (1 + total number of calibration images). Scores are only
    compared within a model, so the K models need no common scale.

    Guarantee: in practice about P(p <= alpha) <= alpha, but proven is only P(p <= alpha) <= 2 alpha + 2 (1 - alpha)
    (K - 1) / (n + K) for n calibration images in K equal folds. If twice alpha is too much, hold out one calibration
    set and use `p_values`.

    Args:
        folds: K arrays; the k-th holds the scores by model k of the normal images that model k was not trained on.
        scores: scores of the n images to judge by each model, (K, n).

    Raises:
        InputError: the number of folds and of rows differ, or an array is empty or not finite.

    Fails when: an image stands in two folds, or a model saw its own fold.

    Cost: O(K (m + n) log m).

    References: Vovk (2015), Cross-conformal predictors, Annals of Mathematics and AI 74; the bound: Vovk, Wang, as
    stated by Gasparin, Ramdas (2025), arXiv 2503.01495, abstract; see also Barber, Candes, Ramdas, Tibshirani (2021),
    Predictive inference with the jackknife+, arXiv 1905.02928.

    Example:
        >>> cross_conformal_p_values([[1.0, 2.0], [10.0, 20.0]], [[1.5, 9.0], [15.0, 99.0]]).tolist()
        [0.6, 0.2]
    """
    s = score_matrix(scores, "scores")
    same_length(len(folds), len(s), "calibration folds and rows of scores")
    calibration = [score_vector(fold, f"calibration fold {k}") for k, fold in enumerate(folds)]
    counts = np.sum([count_at_least(fold, row) for fold, row in zip(calibration, s, strict=True)], axis=0)
    p: FloatArray = (1 + counts) / (1 + sum(fold.size for fold in calibration))
    return p
