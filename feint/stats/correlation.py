"""Rank correlation over tasks, with intervals that keep the tasks of one trained model together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, SettingError
from feint.metrics.arrays import FloatArray
from feint.stats.clusters import ClusterInterval, Clusters, task_vector

Method = Literal["spearman", "kendall"]


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    clusters: Iterable[Hashable],
    *,
    method: Method = "spearman",
    draws: int = 2000,
    generator: np.random.Generator,
) -> ClusterInterval:
    """Return Spearman's rho or Kendall's tau-b of two quantities over tasks, in [-1, 1], with its 95 % interval.

    Of X_ij = sign(x_i - x_j) and Y alike: tau-b = sum_ij X_ij Y_ij / sqrt(sum X_ij^2 sum Y_ij^2), and rho is the same
    of the row sums, the centred midranks. A task drawn twice ties with itself. 0 if a quantity is constant.

    Args:
        x: one per task, (T,).
        y: one per task, (T,).
        clusters: one label per task, such as (data set, normal class).
        method: "spearman" or "kendall".
        draws: number of bootstrap draws, at least 100.
        generator: the source of chance.

    Raises:
        InputError: lengths that differ, or a value that is not finite.
        SettingError: another method, or fewer than 100 draws.

    Fails when: the correlation is close to -1 or 1, or there are fewer than 5 clusters: intervals are too narrow.

    Cost: O(T^2 + draws K (K + T)) time with K clusters, O(T (T + draws)) memory.

    References: Kendall (1970), Rank Correlation Methods, chapters 1 to 3.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> rank_correlation([1, 2, 3, 4], [1, 3, 2, 9], range(4), generator=generator).value
        0.8
    """
    a, b = _same_tasks(x, y)
    correlate = _correlation(method)
    groups = Clusters.of(clusters, a.size)
    X, Y = np.sign(a[:, None] - a), np.sign(b[:, None] - b)
    value = correlate(X, Y, np.eye(a.size), np.ones((1, a.size)))[0]
    counts, which = np.unique(groups.draws(draws, generator), axis=0, return_inverse=True)
    return groups.interval(float(value), correlate(X, Y, groups.members, counts)[which])


def rank_correlation_within(
    x: ArrayLike,
    y: ArrayLike,
    groups: Iterable[Hashable],
    clusters: Iterable[Hashable],
    *,
    method: Method = "spearman",
    generator: np.random.Generator,
) -> ClusterInterval:
    """Return the mean over groups of the rank correlation within each, weighted by their sizes, with its 95 % interval.

    What differs between groups, such as how hard a data set is, cannot make or hide a correlation. Groups of one task
    say nothing and are left out. Intervals are those of 2,000 draws of clusters with all of their tasks.

    Args:
        x: one per task, (T,).
        y: one per task, (T,).
        groups: one label per task: what to stay within, such as the method or the data set.
        clusters: one label per task, such as (data set, normal class).
        method: "spearman" or "kendall".
        generator: the source of chance.

    Raises:
        InputError: lengths that differ, a value that is not finite, or no group of two tasks.
        SettingError: another method.

    Fails when, Cost, References: as `rank_correlation`.

    Example:
        >>> x, y, sets = [1, 2, 11, 12], [4, 5, 1, 2], ["easy", "easy", "hard", "hard"]
        >>> rank_correlation_within(x, y, sets, sets, generator=np.random.default_rng(0)).value
        1.0
    """
    a, b = _same_tasks(x, y)
    correlate = _correlation(method)
    inner, outer = Clusters.of(groups, a.size), Clusters.of(clusters, a.size)
    counts, which = np.unique(outer.draws(2000, generator), axis=0, return_inverse=True)
    value, drawn, size, drawn_size = 0.0, np.zeros(len(counts)), 0, np.zeros(len(counts))
    for rows in (np.flatnonzero(inner.index == k) for k in range(inner.count)):
        if rows.size < 2:
            continue
        X, Y = np.sign(a[rows, None] - a[rows]), np.sign(b[rows, None] - b[rows])
        Z = outer.members[:, rows]
        many = counts @ Z.sum(axis=1)
        value += rows.size * float(correlate(X, Y, np.eye(rows.size), np.ones((1, rows.size)))[0])
        drawn += many * correlate(X, Y, Z, counts)
        size, drawn_size = size + rows.size, drawn_size + many
    if not size:
        raise InputError(f"no group has two tasks to compare: {inner.count} groups of {a.size} tasks.")
    means = np.divide(drawn, drawn_size, out=np.zeros_like(drawn), where=drawn_size > 0)
    return outer.interval(value / size, means[which])


def _same_tasks(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = task_vector(x), task_vector(y)
    if a.size != b.size:
        raise InputError(f"x and y must be of the same tasks: got {a.size} and {b.size} values.")
    return a, b


def _correlation(method: Method) -> Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]:
    if method not in {"spearman", "kendall"}:
        raise SettingError(f"method must be 'spearman' or 'kendall': got {method!r}.")
    return _spearman if method == "spearman" else _kendall


def _spearman(X: FloatArray, Y: FloatArray, Z: FloatArray, counts: FloatArray) -> FloatArray:
    """Return rho (B,) when the cluster k of members Z[k] occurs counts[:, k] times."""
    c = counts @ Z
    x, y = counts @ (Z @ X), counts @ (Z @ Y)
    return _ratio((c * x * y).sum(axis=1), (c * x**2).sum(axis=1), (c * y**2).sum(axis=1))


def _kendall(X: FloatArray, Y: FloatArray, Z: FloatArray, counts: FloatArray) -> FloatArray:
    """Return tau-b (B,) when the cluster k of members Z[k] occurs counts[:, k] times."""
    xy, xx, yy = (((counts @ (Z @ M @ Z.T)) * counts).sum(axis=1) for M in (X * Y, X**2, Y**2))
    return _ratio(xy, xx, yy)


def _ratio(xy: FloatArray, xx: FloatArray, yy: FloatArray) -> FloatArray:
    norm = np.sqrt(xx * yy)
    ratio: FloatArray = np.divide(xy, norm, out=np.zeros_like(norm), where=norm > 0)
    return ratio
