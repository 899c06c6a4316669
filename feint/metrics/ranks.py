"""Ranks among reference scores, and the exact arithmetic that ties them to a false-alarm rate.

With m reference scores and alpha written a/b in lowest terms, everything conformal rests on the integer
floor(alpha (m + 1)); in floating point 0.29 * 100 is 28.999..., so it is computed with fractions.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray, IntArray, score_vector

_LARGEST_DENOMINATOR = 10**7  # fractions with larger ones lie closer together than floats do


def midranks(values: ArrayLike) -> FloatArray:
    """Return the rank of each value, 1 = smallest, ties sharing the mean of their ranks: (n,).

    Cost: O(n log n).

    Example:
        >>> midranks([3.0, 1.0, 3.0]).tolist()
        [2.5, 1.0, 2.5]
    """
    _, group, counts = np.unique(score_vector(values, "values"), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: FloatArray = last - (counts - 1) / 2
    return middle[group]


def exact_rate(rate: float, name: str = "rate") -> Fraction:
    """Return a share strictly between 0 and 1 as the fraction its user meant: 0.05 is 1/20, 1 / 3 is 1/3.

    It is the nearest fraction with a denominator of at most 10^7: exact for decimals of up to seven digits
    and for the reciprocal of up to ten million images.

    Raises:
        SettingError: `rate` is not strictly between 0 and 1.

    Example:
        >>> exact_rate(0.05)
        Fraction(1, 20)
    """
    if not 0 < rate < 1:
        raise SettingError(f"{name} must lie strictly between 0 and 1: got {rate}. For 5 % write 0.05.")
    fraction = Fraction(rate).limit_denominator(_LARGEST_DENOMINATOR)
    if not 0 < fraction < 1:
        raise SettingError(f"{name} must lie between 1e-7 and 1 - 1e-7: got {rate}.")
    return fraction


def allowed_exceedances(m: int, rate: float) -> int:
    """Return floor(rate (m + 1)): p <= rate exactly when fewer than this many of m reference scores are as high.

    Example:
        >>> allowed_exceedances(99, 0.29)  # 0.29 * 100 is 28.999... in floating point
        29
    """
    return math.floor(exact_rate(rate) * (m + 1))


def minimum_images(rate: float) -> int:
    """Return the least number of reference images that can support a false-alarm rate: ceil(1 / rate) - 1.

    With fewer, even a score above all of them has a p-value above `rate`.

    Raises:
        SettingError: `rate` is not strictly between 0 and 1.

    Example:
        >>> minimum_images(0.05), minimum_images(0.01)
        (19, 99)
    """
    return math.ceil(1 / exact_rate(rate)) - 1


def count_at_least(reference: ArrayLike, scores: ArrayLike) -> IntArray:
    """Return, for each of `scores` (n,), how many of `reference` (m,) are equal or higher: (n,) of 0..m.

    Cost: O((m + n) log m).
    """
    ordered = np.sort(score_vector(reference, "reference scores"))
    below = np.searchsorted(ordered, score_vector(scores, "scores"), side="left")
    return (ordered.size - below).astype(np.int64)


def p_values(reference: ArrayLike, scores: ArrayLike) -> FloatArray:
    """Return the conformal p-value of each of `scores` (n,) against normal `reference` scores (m,).

    p(x) = (1 + #{i : s_i >= s(x)}) / (m + 1), in [1 / (m + 1), 1]: low = anomalous. If x is normal and
    exchangeable with the reference, P(p(x) <= u) <= u for every u, on average over reference sets; ties make
    it smaller still.

    Fails when: the reference was used to train, tune or stop; it comes from another day or camera. Anomalies
    among the reference raise p (fewer alarms, less power).

    Raises:
        InputError: an empty, non-finite or not one-dimensional array.

    Cost: O((m + n) log m).

    References: Vovk, Gammerman, Shafer (2005), Algorithmic Learning in a Random World; Bates, Candes, Lei,
    Romano, Sesia (2023), arXiv 2104.08279.

    Example:
        >>> reference = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
        >>> p_values(reference, [0.05, 0.5, 0.85, 0.9, 0.95]).tolist()
        [1.0, 0.6, 0.2, 0.2, 0.1]
    """
    counts = count_at_least(reference, scores)
    p: FloatArray = (1 + counts) / (np.size(reference) + 1)
    return p
