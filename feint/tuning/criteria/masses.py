"""Excess mass and mass volume: how tight the sets are in which a density holds most of the pool."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from feint.core.errors import CollapseError, SettingError
from feint.core.streams import numpy_stream
from feint.metrics.arrays import FloatArray
from feint.tuning.criteria.criterion import Evidence, Part, SeparateCriterion

MASS = 0.9
HIGHEST_MASS = 0.999
LEVELS = 200
RIDGE = 1e-9


def excess_mass(points: FloatArray, uniform: FloatArray) -> float:
    r"""Return the area under the excess-mass curve of a normality g; higher = better, NaN where undefined.

        EM(t) = max_u [ P_n(g > u) - t Leb(g > u) ],   area from t = 0 to where EM(t) = 0.9

    Args:
        points: g of n images, (n,), large = normal. uniform: g of points spread evenly over their bounding box, (k,).

    Leb is a share of the box, so that the unit of the data does not matter. Undefined where no uniform point lies in a
    set that holds more than 0.9 of the images: EM never falls to 0.9 then.

    Cost: O((n + k) log(n + k) + 200 n).
    References: Goix (2016), arXiv:1607.01152; Goix, Sabourin, Clemencon (AISTATS 2015). Deviations: volumes as shares.

    Example:
        >>> round(excess_mass(np.array([1.0, 1.0]), np.array([0.0, 1.0, 0.0, 0.0])), 12)  # EM(t) = 1 - t/4 to t = 0.4
        0.38
    """
    mass, volume = _level_sets(points, uniform)
    held = mass > MASS
    if not (volume[held] > 0).all():
        return np.nan
    t = np.linspace(0, ((mass[held] - MASS) / volume[held]).max(), LEVELS)
    EM = (mass - t[:, None] * volume).max(axis=1)
    return float(((EM[1:] + EM[:-1]) / 2 * np.diff(t)).sum())


def mass_volume(points: FloatArray, uniform: FloatArray) -> float:
    r"""Return the area under the mass-volume curve of a normality g; LOWER = better, NaN where undefined.

        MV(a) = min_u { Leb(g >= u) : P_n(g >= u) >= a },   area from a = 0.9 to 0.999

    Arguments and Leb as of `excess_mass`. Undefined where no uniform point lies in the largest of these sets.

    Cost: O((n + k) log(n + k)).
    References: Clemencon, Jakubowicz (AISTATS 2013); Goix (2016), arXiv:1607.01152. Deviations: volumes as shares.

    Example:
        >>> round(mass_volume(np.array([1.0, 1.0]), np.array([0.0, 1.0, 0.0, 0.0])), 12)  # 0.25 times 0.099
        0.02475
    """
    mass, volume = _level_sets(points, uniform)
    ends = np.clip(mass, MASS, HIGHEST_MASS)
    widths = np.diff(ends, prepend=MASS)
    if not volume[widths > 0].any():
        return np.nan
    return float((widths * volume).sum())


def _level_sets(points: FloatArray, uniform: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the share of images and of uniform points in each set {g >= u}, u the images' g from the highest down.

    Between two of these levels the images in the set are the same and the volume is larger, so they suffice.
    """
    u = np.unique(points)[::-1]
    mass = 1 - np.searchsorted(np.sort(points), u) / points.size
    volume = 1 - np.searchsorted(np.sort(uniform), u) / uniform.size
    return mass, volume


@dataclass(frozen=True, kw_only=True)
class _OnSubspaces(SeparateCriterion):
    """A mean over random subspaces of the embeddings, a Gaussian refitted in each.

    In the whole space a bounding box is nearly all empty: no uniform point falls among the images. So `subspaces`
    draws of `features` embedding features are taken without replacement (only of those that vary), g is minus the
    Mahalanobis distance from the normal embeddings there, and the mean is over the draws where the area is defined.

    Args:
        subspaces: number of draws. features: features in each, fewer if there are fewer. uniform: points in the box.
    """

    subspaces: int = 50
    features: int = 5
    uniform: int = 2000
    needs: ClassVar[frozenset[Part]] = frozenset({"normal_embeddings", "pool_embeddings"})

    def __post_init__(self) -> None:
        if min(self.subspaces, self.features, self.uniform) < 1:
            raise SettingError(
                f"{type(self).__name__}: subspaces, features and uniform must be at least 1: got {self.subspaces}, "
                f"{self.features} and {self.uniform}."
            )

    def _value(self, candidate: Evidence, seed: int) -> float:
        normal, pool = candidate.part("normal_embeddings"), candidate.part("pool_embeddings")
        areas = np.array([self._area(*sets) for sets in self._normalities(normal, pool, seed)])
        if np.isnan(areas).all():
            raise CollapseError("no uniform point fell among the embeddings in any subspace.")
        return float(np.nanmean(areas))

    def _normalities(self, normal: FloatArray, pool: FloatArray, seed: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield g of the pool and of uniform points in its bounding box, one pair for each subspace."""
        low, high = pool.min(axis=0), pool.max(axis=0)
        varying = np.flatnonzero((high > low) & (normal.std(axis=0) > 1e-9 * np.abs(normal).max(axis=0)))
        if varying.size == 0:
            raise CollapseError("no feature of the embeddings varies.")
        chance = numpy_stream(seed, "criteria", "masses")
        for _ in range(self.subspaces):
            chosen = chance.choice(varying, size=min(self.features, varying.size), replace=False)
            box = low[chosen] + (high - low)[chosen] * chance.random((self.uniform, chosen.size))
            yield _normality(normal[:, chosen], pool[:, chosen]), _normality(normal[:, chosen], box)

    @staticmethod
    @abstractmethod
    def _area(points: FloatArray, uniform: FloatArray) -> float:
        """Return the area in one subspace; higher = better."""


def _normality(normal: FloatArray, x: FloatArray) -> FloatArray:
    """Return minus the squared Mahalanobis distance of x (n, f) from the mean of normal (a, f).

    A tiny ridge makes what leaves the plane of redundant features far, as it is; a pseudo-inverse would not see it.
    """
    mu, sd = normal.mean(axis=0), normal.std(axis=0)
    w, z = (normal - mu) / sd, (x - mu) / sd
    correlation = w.T @ w / len(w) + RIDGE * np.eye(w.shape[1])
    g: FloatArray = -(z * np.linalg.solve(correlation, z.T).T).sum(axis=1)
    return g


@final
@dataclass(frozen=True, kw_only=True)
class ExcessMass(_OnSubspaces):
    """The area under the excess-mass curve of a Gaussian on random subspaces of the embeddings, `excess_mass`.

    Fails when: it says how concentrated the embeddings are, not whether what is far out is anomalous; one image far
    out stretches the box, and with it the value.
    Cost: 50 x O((n + k) log(n + k) + 200 n), k = 2000 points.
    References: Goix (2016), arXiv:1607.01152, section on feature sub-sampling. Deviations: refits a Gaussian, whatever
    the candidate's own score is; boxes are drawn around the pool.
    """

    name = "excess-mass"

    @staticmethod
    def _area(points: FloatArray, uniform: FloatArray) -> float:
        return excess_mass(points, uniform)


@final
@dataclass(frozen=True, kw_only=True)
class MassVolume(_OnSubspaces):
    """Minus the area under the mass-volume curve of a Gaussian on random subspaces of the embeddings, `mass_volume`.

    Fails when: as `ExcessMass`.
    Cost: 50 x O((n + k) log(n + k)), k = 2000 points.
    References: Goix (2016), arXiv:1607.01152. Deviations: as `ExcessMass`.
    """

    name = "mass-volume"

    @staticmethod
    def _area(points: FloatArray, uniform: FloatArray) -> float:
        return -mass_volume(points, uniform)
