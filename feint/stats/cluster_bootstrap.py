"""Means and contrasts over tasks, with bootstrap intervals that keep the tasks of one trained model together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, SettingError
from feint.metrics.arrays import FloatArray
from feint.stats.clusters import ClusterInterval, Clusters, task_matrix, task_vector


class CategoryContrast(NamedTuple):
    """The target category minus the best of the others (its `rival`) with a 95 % interval.

    `ranked_first` is the share of bootstrap draws in which the target was ahead of all others.
    """

    interval: ClusterInterval
    rival: str
    ranked_first: float


def cluster_mean(
    values: ArrayLike, clusters: Iterable[Hashable], *, draws: int = 2000, generator: np.random.Generator
) -> ClusterInterval:
    """Return the mean over tasks with its 95 % interval, clusters drawn with all of their tasks.

    In each draw K clusters are taken with replacement; its mean is over all tasks taken. For a contrast of two arms
    give their differences per task; for a share give 0 and 1.

    Args:
        values: one per task, (T,).
        clusters: one label per task, such as (data set, normal class); tasks of one trained model share a label.
        draws: number of bootstrap draws, at least 100.
        generator: the source of chance.

    Raises:
        InputError: no tasks, a value that is not finite, or a different number of labels.
        SettingError: fewer than 100 draws.

    Fails when: there are fewer than 5 clusters (`trusted` is then False; with one the ends are NaN), or all values
    are equal, as a share of 0: the interval has no width then. It holds the images fixed.

    Cost: O(draws K + T).

    References: Davison, Hinkley (1997), Bootstrap Methods and their Application, section 3.8; Field, Welsh (2007),
    Bootstrapping clustered data, JRSS B 69.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> cluster_mean([0.02, 0.04, -0.01, 0.03], ["a", "a", "b", "b"], generator=generator).trusted
        False
    """
    x = task_vector(values)
    groups = Clusters.of(clusters, x.size)
    counts = groups.draws(draws, generator)
    return groups.interval(float(x.mean()), _means(x[None], groups, counts)[:, 0])


def category_contrast(
    values: ArrayLike,
    categories: Sequence[str],
    target: str,
    clusters: Iterable[Hashable],
    *,
    draws: int = 2000,
    generator: np.random.Generator,
) -> CategoryContrast:
    """Return the mean of the target category's arms minus the largest mean of another category, over all tasks.

    delta = m_target - max_{g != target} m_g, m_g the mean over the arms of category g and all tasks. The best of the
    others is chosen anew in each draw, so that the interval bears the luck of that choice.

    Args:
        values: one per arm and task, (A, T): AUROC or relative AUROC, higher = better.
        categories: the category of each arm, (A,).
        target: the category claimed to be best.
        clusters: one label per task, such as (data set, normal class).
        draws: number of bootstrap draws, at least 100.
        generator: the source of chance.

    Raises:
        InputError: shapes that do not agree, or a value that is not finite.
        SettingError: the target is no arm's category, or every arm's; fewer than 100 draws.

    Fails when: several others are about equally good: their maximum is then biased upward, and delta and both ends
    lie too low. A claim that delta > 0 stays safe; `high` is then no upper bound. Fewer than 5 clusters.

    Cost: O(draws A K + A T).

    References: Davison, Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    x = task_matrix(values)
    groups = Clusters.of(clusters, x.shape[1])
    return _contrast(x, categories, target, groups, groups.draws(draws, generator), best_arm=False)


def best_arm_contrast(
    values: ArrayLike,
    categories: Sequence[str],
    target: str,
    clusters: Iterable[Hashable],
    *,
    draws: int = 2000,
    generator: np.random.Generator,
) -> CategoryContrast:
    """Return the mean of the target category's best arm minus that of the best arm of any other category.

    As `category_contrast`, with m_g the largest mean of an arm of category g; all arms are chosen anew in each draw.

    Fails when: as `category_contrast`; besides, a target category of many equal arms gains by its own maximum, and
    the claim is safe only if it has no more arms to choose from than the others.
    """
    x = task_matrix(values)
    groups = Clusters.of(clusters, x.shape[1])
    return _contrast(x, categories, target, groups, groups.draws(draws, generator), best_arm=True)


def _contrast(
    x: FloatArray, categories: Sequence[str], target: str, groups: Clusters, counts: FloatArray, *, best_arm: bool
) -> CategoryContrast:
    if len(categories) != len(x):
        raise InputError(f"categories must name one per arm: got {len(categories)} for {len(x)} arms.")
    others = sorted(set(categories) - {target})
    if target not in categories or not others:
        raise SettingError(f"target must be the category of some arms but not of all: got {target!r} of {categories}.")
    within = np.max if best_arm else np.mean
    arms = [[i for i, category in enumerate(categories) if category == g] for g in (target, *others)]

    def by_category(means: FloatArray) -> FloatArray:
        return np.stack([within(means[:, rows], axis=1) for rows in arms], axis=1)

    observed = by_category(x.mean(axis=1)[None])
    drawn = by_category(_means(x, groups, counts))
    delta = drawn[:, 0] - drawn[:, 1:].max(axis=1)
    return CategoryContrast(
        interval=groups.interval(float(observed[0, 0] - observed[0, 1:].max()), delta),
        rival=others[int(observed[0, 1:].argmax())],
        ranked_first=float((delta > 0).mean()),
    )


def _means(x: FloatArray, groups: Clusters, counts: FloatArray) -> FloatArray:
    """Return each arm's mean (B, A) over the tasks of the clusters drawn `counts` (B, K) times."""
    Z = groups.members
    means: FloatArray = counts @ (Z @ x.T) / (counts @ Z.sum(axis=1))[:, None]
    return means
