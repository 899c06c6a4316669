"""Benjamini-Hochberg: flag as many images as possible while few of the flagged are normal, on average."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import BoolArray, FloatArray
from feint.metrics.ranks import exact_rate

_ROUNDING = 1 + 1e-12


def adjust(p: ArrayLike) -> FloatArray:
    """Return adjusted p-values (m,): the smallest false discovery rate q at which each image is flagged, in (0, 1].

    padj_(j) = min(1, min_{l >= j} m p_(l) / l), p_(1) <= ... <= p_(m); an empty input gives an empty result.

    The false discovery rate is <= q times the share of normal images. Conformal p-values that share one calibration
    set depend on one another positively, which the procedure allows. Cross-conformal ones carry no such proof.

    Raises:
        InputError: not one-dimensional, or a value outside [0, 1].

    Cost: O(m log m).

    References: Benjamini, Hochberg (1995), JRSS B 57; Bates, Candes, Lei, Romano, Sesia (2023), arXiv 2104.08279.

    Example:
        >>> adjust([0.01, 0.5, 0.02]).tolist()
        [0.03, 0.5, 0.03]
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"p-values must be numbers from 0 to 1 of shape (images,): got shape {values.shape}.")
    m = values.size
    order = np.argsort(values, kind="stable")
    steps = m * values[order] / np.arange(1, m + 1)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted


def flag(p: ArrayLike, q: float) -> BoolArray:
    """Return which images are discoveries at false discovery rate q: (m,), True = flagged.

    Raises:
        SettingError: q is not strictly between 0 and 1.
        InputError: p-values that are none.

    Example:
        >>> flag([0.01, 0.02, 0.03, 0.04, 0.05], 0.05).tolist()
        [True, True, True, True, True]
    """
    return adjust(p) <= float(exact_rate(q, "q")) * _ROUNDING


def largest_flagged(counts: Mapping[float, int], q: float) -> float:
    """Return the largest p-value that `flag` flags, from how often each occurs; -1 where it flags none.

    For more images than fit in memory: conformal p-values take few values.

    Raises:
        SettingError: q is not strictly between 0 and 1.

    Cost: O(k log k) for k different p-values.

    Example:
        >>> largest_flagged({0.01: 2, 0.5: 7, 0.02: 1}, 0.1)
        0.02
    """
    values = np.array(sorted(counts), dtype=np.float64)
    up_to = np.cumsum([counts[value] for value in values.tolist()])
    flagged = up_to[-1:] * values / up_to <= float(exact_rate(q, "q")) * _ROUNDING
    return float(values[flagged].max(initial=-1.0))


def fewest_discoveries(n_calibration: int, m: int, q: float) -> int:
    """Return the least number of discoveries possible among m images: the least j with 1 / (n + 1) <= j q / m.

    Above m there can be none at all.

    Example:
        >>> fewest_discoveries(100, 1000, 0.1)
        100
    """
    return math.ceil(m / (exact_rate(q, "q") * (n_calibration + 1)))


def power_warning(n_calibration: int, m: int, q: float) -> str | None:
    """Return a sentence if so few calibration images cannot reveal a lone anomaly among m images, else None.

    The smallest p-value is 1 / (n + 1): a lone discovery needs n >= m / q - 1, j at once need n >= m / (j q) - 1.

    Example:
        >>> power_warning(999, 100, 0.1) is None
        True
        >>> print(power_warning(8, 50, 0.1))
        8 calibration images cannot reveal anything among 50 at a false discovery rate of 0.1: at least 9 are needed.
    """
    j = fewest_discoveries(n_calibration, m, q)
    if j <= 1:
        return None
    if j > m:
        needed = math.ceil(1 / exact_rate(q, "q")) - 1
        return (
            f"{n_calibration} calibration images cannot reveal anything among {m:,} at a false discovery rate "
            f"of {q:g}: at least {needed} are needed."
        )
    lone = math.ceil(m / exact_rate(q, "q")) - 1
    return (
        f"with {n_calibration:,} calibration images, fewer than {j:,} anomalies among {m:,} images cannot be flagged "
        f"at a false discovery rate of {q:g}; finding a lone one takes {lone:,} calibration images."
    )
