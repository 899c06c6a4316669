"""Tasks that share a trained model, kept together: the unit of replication of a study."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, SettingError
from feint.metrics.arrays import FloatArray, IntArray

_FEWEST = 5


class ClusterInterval(NamedTuple):
    """A number with the ends of its 95 % interval, and how many clusters and tasks it rests on.

    The ends are NaN with a single cluster, which says nothing of another one.
    """

    value: float
    low: float
    high: float
    clusters: int
    tasks: int

    @property
    def trusted(self) -> bool:
        """Whether there are enough clusters, at least 5, for the interval to be believed."""
        return self.clusters >= _FEWEST


@final
@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Which of K clusters each of T tasks belongs to: `index` (T,) of 0..K-1, in order of first appearance.

    A cluster is what one training gives: all the tasks with the same data set, normal class and therefore the same
    trained model. Its tasks rise and fall together, so K, not T, says how often the study was repeated.
    """

    index: IntArray
    count: int

    @classmethod
    def of(cls, labels: Iterable[Hashable], tasks: int) -> Clusters:
        """Return the clusters of `tasks` tasks from one label per task, such as ("mnist", "6").

        Raises:
            InputError: no tasks, or a different number of labels.
        """
        names = list(labels)
        if not names or len(names) != tasks:
            raise InputError(f"clusters must hold one label per task: got {len(names)} labels for {tasks} tasks.")
        number = {name: k for k, name in enumerate(dict.fromkeys(names))}
        return cls(index=np.array([number[name] for name in names], dtype=np.int64), count=len(number))

    @property
    def members(self) -> FloatArray:
        """Membership (K, T): 1 where the task belongs to the cluster, else 0."""
        return np.asarray(self.index == np.arange(self.count)[:, None], dtype=np.float64)

    def draws(self, draws: int, generator: np.random.Generator) -> FloatArray:
        """Return how often each cluster occurs in each bootstrap draw: (B, K), every row summing to K.

        Raises:
            SettingError: fewer than 100 draws, which cannot carry a 95 % interval.
        """
        if draws < 100:
            raise SettingError(f"draws must be at least 100 for a 95 % interval: got {draws}.")
        counts = generator.multinomial(self.count, np.full(self.count, 1 / self.count), size=draws)
        return counts.astype(np.float64)

    def ends(self, results: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return both ends (...) of the 95 % intervals from the bootstrap results (B, ...) of cluster draws.

        They are the percentiles Phi(+-t sqrt(K / (K - 1))), t the 97.5 % point of Student's law with K - 1 degrees of
        freedom. In simulation they covered a mean in 92 % of cases with 5 clusters, 94 % with 10 and 95 % with 20; the
        plain 2.5 % and 97.5 % points in 84, 90 and 93 %. NaN with one cluster.

        References: Hesterberg (2015), What Teachers Should Know About the Bootstrap, The American Statistician 69,
        section 5.3 (expanded percentiles).
        """
        from scipy.stats import t

        if self.count < 2:
            missing = np.full(results.shape[1:], np.nan)
            return missing, missing
        tail = NormalDist().cdf(-t.ppf(0.975, self.count - 1) * (self.count / (self.count - 1)) ** 0.5)
        low, high = np.quantile(results, [tail, 1 - tail], axis=0)
        return low, high

    def interval(self, value: float, results: FloatArray) -> ClusterInterval:
        """Return `value` with its interval from the bootstrap `results` (B,)."""
        low, high = self.ends(results)
        return ClusterInterval(value, float(low), float(high), self.count, self.index.size)


def task_matrix(values: ArrayLike) -> FloatArray:
    """Return one value per arm and task as float64 (A, T), higher = better.

    Raises:
        InputError: not two-dimensional, empty, or not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise InputError(f"values must have shape (arms, tasks), neither of them empty: got {array.shape}.")
    _all_finite(array)
    return array


def task_vector(values: ArrayLike) -> FloatArray:
    """Return one value per task as float64 (T,).

    Raises:
        InputError: not one-dimensional, empty, or not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"values must have shape (tasks,), with at least one task: got {array.shape}.")
    _all_finite(array)
    return array


def _all_finite(array: FloatArray) -> None:
    bad = int(np.count_nonzero(~np.isfinite(array).reshape(-1, array.shape[-1]).all(axis=0)))
    if bad:
        raise InputError(
            f"every arm needs a finite value on every task: {bad} of {array.shape[-1]} tasks lack one. "
            "Leave those tasks out for all arms, so that all are compared on the same."
        )


def cluster_means(values: ArrayLike, clusters: Iterable[Hashable]) -> FloatArray:
    """Return each arm's mean over the tasks of each cluster, (A, K), clusters in order of first appearance.

    Args:
        values: one per arm and task, (A, T).
        clusters: one label per task.

    Raises:
        InputError: shapes that do not agree, or a value that is not finite.

    Example:
        >>> cluster_means([[0.5, 0.75, 1.0]], ["cat", "dog", "dog"]).tolist()
        [[0.5, 0.875]]
    """
    x = task_matrix(values)
    Z = Clusters.of(clusters, x.shape[1]).members
    means: FloatArray = x @ Z.T / Z.sum(axis=1)
    return means
