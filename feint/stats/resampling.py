"""How often each image occurs in a bootstrap draw, and the percentile interval of many draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray, IntArray

_CELLS_PER_CHUNK = 1_000_000


class Interval(NamedTuple):
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap_counts(
    sizes: tuple[int, int], *, draws: int, generator: np.random.Generator
) -> Iterator[tuple[slice, IntArray, IntArray]]:
    """Yield bootstrap draws of two groups of images in chunks that keep memory small.

    Each item is (which draws, counts of the first group (b, m), counts of the second (b, n)): how often each image
    was drawn; a row sums to the size of its group.

    Args:
        sizes: m, n, the numbers of images in the two groups.
        draws: number of draws in all, at least 100.
        generator: the source of chance.

    Raises:
        SettingError: fewer than 100 draws, which cannot carry a 95 % interval.
    """
    if draws < 100:
        raise SettingError(f"draws must be at least 100 for a 95 % interval: got {draws}.")
    step = max(1, _CELLS_PER_CHUNK // sum(sizes))
    for start in range(0, draws, step):
        chunk = slice(start, min(start + step, draws))
        b = chunk.stop - chunk.start
        yield chunk, _counts(sizes[0], b, generator), _counts(sizes[1], b, generator)


def _counts(n: int, draws: int, generator: np.random.Generator) -> IntArray:
    picks = generator.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(picks.ravel(), minlength=draws * n).reshape(draws, n)


def percentile_interval(value: float, draws: FloatArray) -> Interval:
    """Return `value` with the 2.5 % and 97.5 % points of `draws`."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high))
