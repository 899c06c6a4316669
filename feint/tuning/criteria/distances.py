"""Euclidean distances between all pairs of embeddings."""

from __future__ import annotations

import numpy as np

from feint.metrics.arrays import FloatArray


def squared_distances(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return || x_i - y_j ||^2, (a, b), of embeddings (a, d) and (b, d), by one matrix product.

    The centre is taken off first, since || x ||^2 + || y ||^2 - 2 x . y loses digits far from the origin.

    Example:
        >>> squared_distances(np.array([[1e9, 0.0]]), np.array([[1e9, 3.0], [1e9 + 4, 0.0]])).tolist()
        [[9.0, 16.0]]
    """
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    squares: FloatArray = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * (x @ y.T)
    np.maximum(squares, 0, out=squares)
    return squares


def distances(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return || x_i - y_j ||, (a, b), of embeddings (a, d) and (b, d)."""
    squares = squared_distances(x, y)
    np.sqrt(squares, out=squares)
    return squares
