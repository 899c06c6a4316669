"""Embeddings at the door: checked once, then read in chunks, so that a mapped file of any length stays on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feint.core.errors import InputError
from feint.metrics.arrays import FloatArray, IntArray

Rows: TypeAlias = NDArray[Any]
NUMBERS_AT_ONCE = 2**20


def embedding_rows(z: ArrayLike, name: str, *, width: int | None = None) -> Rows:
    """Return `z` as an array (n, d) of numbers, d >= 1, without copying one that is an array already.

    Args:
        name: what the message calls them: "embeddings".
        width: the d that is wanted; None: any.

    Raises:
        InputError: another shape, no numbers, NaN or infinite ones.
    """
    rows = np.asanyarray(z)
    if rows.ndim != 2:
        hint = " One embedding? Pass z[None]." if rows.ndim == 1 else ""
        raise InputError(f"{name} must have shape (n, d): got {rows.shape}.{hint}")
    if rows.dtype.kind not in "fiu" or rows.shape[1] == 0:
        raise InputError(f"{name} must be numbers, at least one a row: got {rows.dtype} of shape {rows.shape}.")
    if width is not None and rows.shape[1] != width:
        raise InputError(
            f"{name} must have the {width} columns of those fitted on: got {rows.shape[1]}. Use the same encoder."
        )
    bad = sum(int(np.count_nonzero(~np.isfinite(chunk).all(axis=1))) for chunk in chunks(rows))
    if bad:
        raise InputError(f"{name} must be finite: got {bad} rows of {len(rows)} with NaN or infinite numbers.")
    return rows


def chunks(z: Rows, which: IntArray | None = None) -> Iterator[FloatArray]:
    """Yield the rows `which` (None: all) of `z` (n, d) in order, as fresh float64 arrays of at most 8 MiB."""
    step = max(1, NUMBERS_AT_ONCE // z.shape[1])
    for start in range(0, len(z) if which is None else len(which), step):
        part = slice(start, start + step)
        yield np.array(z[part if which is None else which[part]], dtype=np.float64, order="C")


def by_chunks(score: Callable[[FloatArray], FloatArray], z: Rows, which: IntArray | None = None) -> FloatArray:
    """Return `score` (m,), float64, of the rows `which` (None: all) of `z` (n, d), chunk by chunk."""
    return np.concatenate([np.empty(0), *(score(chunk) for chunk in chunks(z, which))])
