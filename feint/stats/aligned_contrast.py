"""How far the target group of arms is ahead of all others, where each task has a target of its own."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, SettingError
from feint.metrics.arrays import FloatArray
from feint.stats.clusters import ClusterInterval, Clusters, task_matrix


def aligned_contrast(
    values: ArrayLike,
    groups: Sequence[str],
    targets: Sequence[str],
    clusters: Iterable[Hashable],
    *,
    draws: int = 2000,
    generator: np.random.Generator,
) -> ClusterInterval:
    """Return by how much the target group's mean exceeds the best other group's, averaged over kinds of task.

    delta = sum_k w_k (m_k,k - max_{g != k} m_k,g): m_k,g is the mean over the arms of group g and the tasks whose
    target is k, w_k the share of those tasks. With the same target everywhere it is that of `category_contrast`.
    Clusters are drawn with all of their tasks, and the best of the others is chosen anew in each draw.

    Args:
        values: one per arm and task, (A, T): relative AUROC, higher = better.
        groups: the group of each arm, (A,), such as its category.
        targets: the group claimed to be best on each task, (T,).
        clusters: one label per task, such as (data set, normal class).
        draws: number of bootstrap draws, at least 100. generator: the source of chance.

    Raises:
        InputError: shapes that do not agree, or a value that is not finite.
        SettingError: a target that is no group, or the only one; fewer than 100 draws.

    Fails when: several others are about equally good: their maximum is biased upward, and delta and both ends lie too
    low. A claim that delta > 0 stays safe. Fewer than 5 clusters.

    Cost: O(draws K G k + A T).
    """
    x = task_matrix(values)
    if len(groups) != x.shape[0] or len(targets) != x.shape[1]:
        raise InputError(
            f"give a group for each of {x.shape[0]} arms and a target for each of {x.shape[1]} tasks: "
            f"got {len(groups)} and {len(targets)}."
        )
    names = list(dict.fromkeys(groups))
    if not set(targets) <= set(names) or len(names) < 2:
        raise SettingError(f"each target must be one of at least two groups: got {set(targets)} of {names}.")
    by_group = np.stack([x[[i for i, g in enumerate(groups) if g == name]].mean(axis=0) for name in names])
    drawn = Clusters.of(clusters, x.shape[1])
    counts = drawn.draws(draws, generator)
    once = np.ones((1, drawn.count))
    return drawn.interval(
        float(_delta(by_group, names, targets, drawn, once)[0]), _delta(by_group, names, targets, drawn, counts)
    )


def _delta(
    by_group: FloatArray, names: list[str], targets: Sequence[str], drawn: Clusters, counts: FloatArray
) -> FloatArray:
    """Return delta (B,) where each cluster occurs `counts` (B, K) times; a target that no draw holds weighs nothing."""
    total, weight = np.zeros(len(counts)), np.zeros(len(counts))
    for target in dict.fromkeys(targets):
        mine = np.array([each == target for each in targets])
        Z = drawn.members[:, mine]
        tasks = counts @ Z.sum(axis=1)
        means = (counts @ (Z @ by_group[:, mine].T)) / np.maximum(tasks, 1)[:, None]
        row = names.index(target)
        total += tasks * (means[:, row] - np.delete(means, row, axis=1).max(axis=1))
        weight += tasks
    delta: FloatArray = total / weight
    return delta
