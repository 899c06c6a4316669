"""The checks that every array of scores or labels passes once, at the door."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feint.core.errors import InputError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]


def score_vector(values: ArrayLike, name: str) -> FloatArray:
    """Return `values` as float64 (n,), n >= 1.

    Raises:
        InputError: not one-dimensional, empty, or not finite.
    """
    return _scores(values, name, ndim=1, shape="(images,)")


def score_matrix(values: ArrayLike, name: str) -> FloatArray:
    """Return `values` as float64 (C, n), one row per candidate or model, neither side empty.

    Raises:
        InputError: not two-dimensional, empty, or not finite.
    """
    return _scores(values, name, ndim=2, shape="(candidates, images)")


def _scores(values: ArrayLike, name: str, *, ndim: int, shape: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise InputError(f"{name} must have shape {shape}, with at least one score: got {array.shape}.")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(
            f"{name} must be finite: got {bad} NaN or infinite of {array.size}. Look at those images first."
        )
    return array


def label_vector(labels: ArrayLike, name: str) -> BoolArray:
    """Return labels 0 (normal) and 1 (anomalous) as booleans (n,), True = anomalous.

    Raises:
        InputError: not one-dimensional, empty, or a label other than 0 and 1 (drop the unlabelled -1 first).
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} must have shape (images,), with at least one label: got {array.shape}.")
    odd = np.unique(array[(array != 0) & (array != 1)])
    if odd.size:
        raise InputError(f"{name} must be 0 (normal) or 1 (anomalous): got {odd[:5].tolist()}. Leave such images out.")
    return array.astype(np.bool_)


def same_length(first: int, second: int, names: str) -> None:
    """Raise InputError unless the two lengths agree; `names` says what they count."""
    if first != second:
        raise InputError(f"{names} must belong to the same images: got {first} and {second}.")
