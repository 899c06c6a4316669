"""What is done to embeddings before they are scored: unit length, unit spread, principal axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray

FLOOR = 0.5
EPSILON = 1e-6


def unit_length(z: FloatArray) -> FloatArray:
    """Return rows (n, d) divided by their Euclidean length; a row of zeros stays."""
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(length > 0, length, 1)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """An affine map of rows (n, d): (z - centre) / spread, then onto the `axes` (d, k), where there are any."""

    centre: FloatArray
    spread: FloatArray
    axes: FloatArray | None = None

    def __call__(self, z: FloatArray) -> FloatArray:
        standard = (z - self.centre) / self.spread
        return standard if self.axes is None else standard @ self.axes


def standardising(z: FloatArray) -> Preparation:
    """Return what gives the columns of `z` (n, d) mean 0 and standard deviation 1.

    A column is divided by at least half the median spread, so that one which hardly ever moves, or never, is not
    blown up into noise.
    """
    spread = z.std(axis=0)
    least = max(FLOOR * float(np.median(spread)), EPSILON * float(spread.max()))
    return Preparation(centre=z.mean(axis=0), spread=np.maximum(spread, least))


def principal(z: FloatArray, share: float) -> Preparation:
    """Return what standardises `z` (n, d) and keeps the fewest principal axes that hold a `share` of the variance.

    Cost: O(n d^2 + d^3).
    """
    standard = standardising(z)
    y = standard(z)
    variances, axes = np.linalg.eigh(y.T @ y)
    held = np.cumsum(variances[::-1].clip(min=0))
    kept = int(np.searchsorted(held, share * held[-1])) + 1
    return Preparation(centre=standard.centre, spread=standard.spread, axes=axes[:, ::-1][:, :kept])


def check_share(owner: str, share: float) -> None:
    """Raise SettingError unless the `share` of variance to be kept lies in (0, 1)."""
    if not 0 < share < 1:
        raise SettingError(f"{owner}.share must lie between 0 and 1: got {share}.")
