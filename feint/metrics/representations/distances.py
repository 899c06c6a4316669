"""Squared Euclidean distances between many rows, a block at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feint.core.streams import numpy_stream
from feint.metrics.arrays import FloatArray

BLOCK = 512
SAMPLE = 5000


def distance_blocks(queries: FloatArray, bank: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Yield (i, squared distances (b, m) of the rows i..i+b of `queries` to the m rows of `bank`), b <= 512.

    |x|^2 + |y|^2 - 2 x.y, cut at zero: absolute errors are about 1e-16 of the largest squared length.
    """
    lengths = np.square(bank).sum(axis=1)
    for i in range(0, len(queries), BLOCK):
        x = queries[i : i + BLOCK]
        yield i, np.maximum(np.square(x).sum(axis=1)[:, None] + lengths - 2 * (x @ bank.T), 0)


def sampled(rows: FloatArray, *, sample: int, seed: int, name: str) -> FloatArray:
    """Return at most `sample` of the rows, drawn from the stream `name` under `seed`; all of them if they are few."""
    if len(rows) <= sample:
        return rows
    return rows[np.sort(numpy_stream(seed, "representations", name).choice(len(rows), sample, replace=False))]
