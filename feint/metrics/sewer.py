"""F2-CIW and F1-Normal, by which classifiers of sewer defects are compared. Higher is better, both in [0, 1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import BoolArray, FloatArray

CLASS_IMPORTANCE = {
    "RB": 5.55, "OB": 3.0625, "PF": 1.6075, "DE": 0.9, "FS": 3.5625, "IS": 1.025, "RO": 1.975, "IN": 1.7375, "AF": 0.45,
    "BE": 1.2625, "FO": 1.375, "GR": 0.5, "PH": 2.3125, "PB": 2.3125, "OS": 5.0, "OP": 2.125, "OK": 2.44,
}  # fmt: skip
CODES = tuple(CLASS_IMPORTANCE)
IMPORTANCE = tuple(CLASS_IMPORTANCE.values())
THRESHOLD = 0.5


def f2_per_code(labels: ArrayLike, predictions: ArrayLike) -> FloatArray:
    """Return F2_c (17,) of each code: F2_c = 5 P_c R_c / (4 P_c + R_c) = 5 TP / (5 TP + 4 FN + FP), 0 without a hit.

    Args:
        labels: 1 where the image shows the code, else 0, (n, 17), in the order of CODES.
        predictions: 0 or 1, or probabilities, of which .5 and more counts as 1, (n, 17).

    Raises:
        InputError: other shapes or values, NaN, different lengths.

    Fails when: no image shows a code: its F2 is 0 whatever is predicted.

    Cost: O(n).

    References: Haurum, Moeslund (2021), Sewer-ML: A Multi-Label Sewer Defect Classification Dataset and Benchmark,
    arXiv 2103.10895. Deviations: none known.
    """
    y, p = _checked(labels, predictions, codes=True)
    hits = (y & p).sum(axis=0)
    weighted = 5 * hits
    return _ratio(weighted, weighted + 4 * (y & ~p).sum(axis=0) + (~y & p).sum(axis=0))


def f2_ciw(labels: ArrayLike, predictions: ArrayLike, *, weights: ArrayLike = IMPORTANCE) -> float:
    """Return F2_CIW = sum_c w_c F2_c / sum_c w_c, the mean F2 weighted by the economic importance of the codes.

    Args:
        labels: as in `f2_per_code`.
        predictions: as in `f2_per_code`.
        weights: w (17,), positive; the published ones by default. Their scale does not matter.

    Raises:
        InputError: as in `f2_per_code`, or weights that are not 17 positive numbers.

    Fails when: some code is in no image: even perfect predictions stay below 1.

    References: Haurum, Moeslund (2021), arXiv 2103.10895. Deviations: none known.

    Example:
        >>> y = np.eye(17, dtype=int)
        >>> f2_ciw(y, y), f2_ciw(y, 0 * y)
        (1.0, 0.0)
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (len(CODES),) or not (np.isfinite(w) & (w > 0)).all():
        raise InputError(f"weights must be {len(CODES)} positive numbers, in the order of CODES: got shape {w.shape}.")
    return float(w @ f2_per_code(labels, predictions) / (w @ np.ones_like(w)))


def f1_normal(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Return F1 = 2 TP / (2 TP + FN + FP) of finding the images without a defect; 0 without a hit.

    An image is normal when it shows no code, and is called normal when none is predicted.

    Args:
        labels: 1 defect, 0 none: (n, 17) by code, or (n,).
        predictions: of the same shape, 0 or 1, or probabilities of a defect, of which .5 and more counts as 1.

    Raises:
        InputError: other shapes or values, NaN, different lengths.

    References: Haurum, Moeslund (2021), arXiv 2103.10895. Deviations: none known.

    Example:
        >>> f1_normal([0, 0, 0, 1], [0.1, 0.2, 0.9, 0.4])
        0.6666666666666666
    """
    y, p = _checked(labels, predictions, codes=np.ndim(labels) == 2)
    normal, called = (~each if each.ndim == 1 else ~each.any(axis=1) for each in (y, p))
    hits = 2 * (normal & called).sum()
    return float(_ratio(hits, hits + (normal ^ called).sum()))


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=np.asarray(part) > 0)


def _checked(labels: ArrayLike, predictions: ArrayLike, *, codes: bool) -> tuple[BoolArray, BoolArray]:
    """Return labels and predictions as booleans of one shape."""
    y, p = np.asarray(labels), np.asarray(predictions, dtype=np.float64)
    shape = f"(images, {len(CODES)})" if codes else "(images,)"
    for name, array in (("labels", y), ("predictions", p)):
        if array.ndim != 1 + codes or (codes and array.shape[1] != len(CODES)) or not array.size:
            raise InputError(f"{name} must have shape {shape}, with at least one image: got {array.shape}.")
    if len(y) != len(p):
        raise InputError(f"labels and predictions must belong to the same images: got {len(y)} and {len(p)}.")
    odd = np.unique(y[(y != 0) & (y != 1)])
    if odd.size:
        raise InputError(f"labels must be 0 or 1: got {odd[:5].tolist()}.")
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError("predictions must be 0 or 1, or probabilities in [0, 1]: pass logits through a sigmoid first.")
    return y == 1, p >= THRESHOLD
