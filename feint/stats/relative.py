"""Relative AUROC: what an arm gains or loses on each task against its vanilla counterpart."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import BoolArray, FloatArray, IntArray
from feint.stats.cluster_bootstrap import cluster_mean
from feint.stats.clusters import ClusterInterval

_FEWEST_SEEDS = 3


@final
@dataclass(frozen=True, kw_only=True)
class RelativeAuroc:
    """Relative AUROC (T,) of one arm, seeds averaged, with 95 % intervals over the `seeds` (T,) that both arms have.

    Where there are fewer than 3 seeds `low` and `high` are NaN. Positive = self-supervision helped.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    seeds: IntArray

    @property
    def hurt(self) -> BoolArray:
        """Whether self-supervision hurt, task by task: mean below 0."""
        return self.value < 0

    @property
    def hurt_beyond_doubt(self) -> BoolArray:
        """Whether the interval over seeds lies below 0; never with fewer than 3 seeds.

        Fails when: read as an error rate of 0: of tasks without an effect it names 2.5 %.
        """
        return self.high < 0


@final
@dataclass(frozen=True, kw_only=True)
class Harm:
    """What an arm did over all tasks: mean relative AUROC and the share of tasks on which it hurt.

    `beyond_doubt` is the share, of the tasks with at least 3 seeds, that are hurt by their interval over seeds; None if
    there are no such tasks. By chance alone it would be 0.025.
    """

    mean: ClusterInterval
    hurt: ClusterInterval
    beyond_doubt: ClusterInterval | None


def relative_auroc(arm: ArrayLike, vanilla: ArrayLike) -> RelativeAuroc:
    """Return the AUROC of an arm minus that of its vanilla counterpart, task by task, paired by seed.

    With d_s = arm_s - vanilla_s over the S seeds that both have: value = mean d, and the interval is that of the paired
    t-test, value +- t sd(d) / sqrt S with S - 1 degrees of freedom.

    Args:
        arm: AUROCs in [0, 1], (T, S); NaN where a cell failed.
        vanilla: those of the vanilla counterpart on the same tasks and seeds, (T, S); (T, 1) if it needs no seed, or
            one number such as 0.5.

    Raises:
        InputError: shapes that do not agree, an AUROC outside [0, 1], or a task on which the two share no seed.

    Fails when: seeds do not vary what varies in practice: images are held fixed. Three seeds give wide intervals.

    Cost: O(T S).

    Example:
        >>> result = relative_auroc([[0.70, 0.72, 0.71], [0.5, 0.4, 0.6]], [[0.80, 0.83, 0.81], [0.5, 0.5, 0.5]])
        >>> result.value.round(3).tolist(), result.hurt_beyond_doubt.tolist()
        ([-0.103, 0.0], [True, False])
    """
    from scipy.stats import t

    a, v = np.asarray(arm, dtype=np.float64), np.asarray(vanilla, dtype=np.float64)
    if a.ndim != 2 or a.size == 0 or v.shape not in {a.shape, (len(a), 1), ()}:
        raise InputError(f"AUROCs must have shape (tasks, seeds), the vanilla ones the same: got {a.shape}, {v.shape}.")
    if any(((x < 0) | (x > 1)).any() for x in (a, v)):
        raise InputError("AUROCs must lie in [0, 1], NaN where a cell failed. Are these percentages?")
    d = a - v
    S = np.isfinite(d).sum(axis=1)
    if not S.all():
        raise InputError(
            f"{int((S == 0).sum())} of {S.size} tasks have no seed finished by both arms. Leave those tasks out."
        )
    value = np.nansum(d, axis=1) / S
    variance = np.nansum((d - value[:, None]) ** 2, axis=1) / np.maximum(S - 1, 1)
    half = np.where(S >= _FEWEST_SEEDS, t.ppf(0.975, np.maximum(S - 1, 1)) * np.sqrt(variance / S), np.nan)
    return RelativeAuroc(value=value, low=value - half, high=value + half, seeds=S)


def harm(
    relative: RelativeAuroc, clusters: Iterable[Hashable], *, draws: int = 2000, generator: np.random.Generator
) -> Harm:
    """Return the mean relative AUROC and the shares of tasks hurt, with intervals over clusters of tasks.

    Args:
        relative: one arm on T tasks.
        clusters: one label per task, such as (data set, normal class).
        draws: number of bootstrap draws, at least 100.
        generator: the source of chance.

    Raises:
        InputError: a different number of labels.
        SettingError: fewer than 100 draws.

    Fails when: a share is 0 or 1 (its interval has no width), or there are fewer than 5 clusters.
    """
    labels = list(clusters)
    kept = np.flatnonzero(relative.seeds >= _FEWEST_SEEDS)
    mean = cluster_mean(relative.value, labels, draws=draws, generator=generator)
    hurt = cluster_mean(relative.hurt, labels, draws=draws, generator=generator)
    beyond_doubt = None
    if kept.size:
        doubted = relative.hurt_beyond_doubt[kept]
        beyond_doubt = cluster_mean(doubted, [labels[i] for i in kept], draws=draws, generator=generator)
    return Harm(mean=mean, hurt=hurt, beyond_doubt=beyond_doubt)
