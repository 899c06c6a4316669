"""How a scorer is made, in words and numbers: what a job is given, and what a saved model remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from feint.augmentations import AUGMENTATIONS, NUISANCES
from feint.core.augmentation import Mixture, Policy, PseudoAnomalies
from feint.core.detector import Log, Scorer, no_log
from feint.detectors import DETECTORS, POOL_DETECTORS
from feint.detectors.committee import Committee
from feint.detectors.cross_fitting import CrossFitted, cross_fitted, pool_folds
from feint.detectors.marked import MarkedDeepSAD
from feint.detectors.training import lines
from feint.detectors.views import Viewed, seen, size_seen
from feint.tuning.tuned import TunedDiscriminator

Range = dict[str, tuple[float, float]]
Setting = bool | int | float | str | tuple[int, int]
FOLDS = 3
MARKED = "deepsad-marked"
LEARNERS = {MARKED: MarkedDeepSAD}
FITTED: dict[str, Any] = {**DETECTORS, "tuned": TunedDiscriminator}


class Making(BaseModel):
    """How pseudo-anomalies are made: an augmentation's name and ranges of its magnitudes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    augmentation: str
    ranges: Range

    def policy(self) -> Policy:
        """Return the policy."""
        augmentation = (AUGMENTATIONS | NUISANCES)[self.augmentation]()
        order = [m.name for m in augmentation.magnitudes]
        return Policy(
            augmentation=augmentation,
            low=tuple(self.ranges[name][0] for name in order),
            high=tuple(self.ranges[name][1] for name in order),
        )


def whole_range(name: str) -> Making:
    """Return the making that draws every magnitude from its whole range."""
    augmentation = (AUGMENTATIONS | NUISANCES)[name]
    return Making(augmentation=name, ranges={m.name: (m.low, m.high) for m in augmentation.magnitudes})


def static(name: str, magnitudes: dict[str, float]) -> Making:
    """Return the making that always uses these magnitudes."""
    return Making(augmentation=name, ranges={each: (value, value) for each, value in magnitudes.items()})


def nuisance_policies(names: Sequence[str]) -> tuple[Policy, ...]:
    """Return the policies of the named nuisances over their whole ranges."""
    return tuple(whole_range(name).policy() for name in names)


class Recipe(BaseModel):
    """A detector of the catalogue with its settings and the kinds of its pseudo-anomalies; none: an empty list.

    The detector "tuned" is trained over the whole range of its making and taken `at` one setting of the magnitudes.
    It sees images shrunk by `shrink`, or their `tiles` x `tiles` tiles one by one: see `feint.detectors.views`.
    "deepsad-marked" learns from marked images on what finished `readers` see of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: Literal[
        "discriminator",
        "tuned",
        "ae",
        "feature-gaussian",
        "feature-knn",
        "patch-knn",
        "pool-classifier",
        "pool-probe",
        "deepsad-marked",
    ]
    settings: dict[str, Setting] = {}
    makings: tuple[Making, ...] = ()
    at: dict[str, float] = {}
    shrink: int = Field(default=1, ge=1)
    tiles: int = Field(default=1, ge=1)
    readers: tuple[Recipe, ...] = ()

    @model_serializer(mode="wrap")
    def _as_ever(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no readers where there are none: the seals of manifests from before there were any still hold."""
        found: dict[str, Any] = written(self)
        return {name: value for name, value in found.items() if name != "readers" or value}

    @property
    def learns_from_pool(self) -> bool:
        """Whether it is fitted on unlabelled images too, and therefore cross-fitted."""
        return self.detector in POOL_DETECTORS

    @property
    def learns_from_marks(self) -> bool:
        """Whether it is fitted on images that a person has marked anomalous."""
        return self.detector == MARKED

    @property
    def fine_tuned(self) -> bool:
        """Whether it begins with weights that were trained elsewhere, and trains them further."""
        return bool(self.settings.get("fine_tuned"))

    @property
    def practised(self) -> tuple[Making, ...]:
        """The pseudo-anomalies that it has tuned itself to, or those that it was taught."""
        return (static(self.makings[0].augmentation, self.at),) if self.at else self.makings

    @property
    def lines(self) -> int:
        """How many lines a fit logs."""
        steps = self.settings.get("steps")
        trained = self.detector in {"discriminator", "tuned"} or self.fine_tuned
        if not trained or not self.makings or not isinstance(steps, int):
            return 0
        return lines(steps)

    def trained_for(self, steps: int) -> Recipe:
        """Return the recipe with as many steps, where it is trained from scratch, on normal images alone."""
        if "steps" not in self.settings or self.learns_from_pool or self.fine_tuned:
            return self
        return self.model_copy(update={"settings": self.settings | {"steps": steps}})

    def policy(self) -> PseudoAnomalies | None:
        """Return what makes the pseudo-anomalies; None: nothing does."""
        policies = tuple(each.policy() for each in self.makings)
        return None if not policies else policies[0] if len(policies) == 1 else Mixture(policies=policies)

    def fit(self, normals: Tensor, *, nuisances: Sequence[str], device: str, seed: int, log: Log = no_log) -> Scorer:
        """Fit on normal images (n, c, h, w), uint8."""
        recipe = self._build(FITTED, nuisances, device)
        return self._viewed(recipe.fit(self._seen(normals), policy=self.policy(), seed=seed, log=log), normals)

    def cross_fit(
        self,
        normals: Tensor,
        unlabelled: Tensor,
        held_out: Tensor,
        *,
        nuisances: Sequence[str],
        device: str,
        seed: int,
    ) -> CrossFitted[Scorer]:
        """Fit on normal and unlabelled images, once for each fold of the latter."""
        recipe = self._build(POOL_DETECTORS, nuisances, device)
        seen = (self._seen(each) for each in (normals, unlabelled, held_out))
        found = cross_fitted(recipe, *seen, folds=FOLDS, seed=seed, groups=copies(unlabelled))
        return replace(found, scorers=tuple(self._viewed(each, normals) for each in found.scorers))

    def fit_marked(self, readers: Sequence[Scorer], normals: Tensor, anomalous: Tensor, *, log: Log = no_log) -> Scorer:
        """Fit on normal images (n, c, h, w) and on some that a person has marked anomalous (m, c, h, w), uint8."""
        recipe: MarkedDeepSAD = self._build(LEARNERS, (), "cpu")
        return recipe.fit(readers, normals, anomalous, log=log)

    def empty(self, channels: int, size: tuple[int, int]) -> Scorer:
        """Return a scorer of this recipe into which a saved state can be loaded."""
        if self.learns_from_marks:
            learner: MarkedDeepSAD = self._build(LEARNERS, (), "cpu")
            return learner.scorer([each.empty(channels, size) for each in self.readers])
        inner = size_seen(size, shrink=self.shrink, tiles=self.tiles)
        with torch.random.fork_rng(devices=[]):
            scorer: Scorer = self._build({**FITTED, **POOL_DETECTORS}, (), "cpu").scorer(channels, inner)
        return self._viewed(scorer, torch.empty(0, channels, *size))

    def seen_from(self, times: int) -> Recipe:
        """Return the recipe for images `times` as large, which it shrinks to the size it was weighed at."""
        return self.model_copy(update={"shrink": self.shrink * times})

    def _seen(self, images: Tensor) -> Tensor:
        return seen(images, shrink=self.shrink, tiles=self.tiles)

    def _viewed(self, scorer: Scorer, images: Tensor) -> Scorer:
        """Return the scorer of what is seen as one of whole `images`."""
        if self.shrink == self.tiles == 1:
            return scorer
        return Viewed(scorer, (images.shape[2], images.shape[3]), shrink=self.shrink, tiles=self.tiles)

    def _build(self, catalogue: Mapping[str, Any], nuisances: Sequence[str], device: str) -> Any:
        kind = catalogue[self.detector]
        known = {field.name for field in fields(kind)}
        surroundings = {
            "nuisances": nuisance_policies(nuisances),
            "device": device,
            "kinds": max(1, len(self.makings)),
            "at": tuple(self.at.values()),
        }
        return kind(**self.settings | {name: value for name, value in surroundings.items() if name in known})


class Voters(BaseModel):
    """The recipes of a committee, in the order of its members; each fold of the pool has a committee of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipes: list[Recipe] = Field(min_length=1)

    @property
    def folds(self) -> int:
        """Into how many folds the pool is divided: 1 where no voter learns from it."""
        return FOLDS if any(each.learns_from_pool for each in self.recipes) else 1

    def empty(self, channels: int, size: tuple[int, int]) -> Committee:
        """Return a committee into which a saved state can be loaded."""
        committees = [blank([each.empty(channels, size) for each in self.recipes]) for _ in range(self.folds)]
        return committees[0] if len(committees) == 1 else blank(committees)


def folds_of(unlabelled: Tensor, *, seed: int) -> Tensor:
    """Return the fold (n,) in which `Recipe.cross_fit` under this seed puts unlabelled images (n, c, h, w), uint8."""
    return pool_folds(copies(unlabelled), folds=FOLDS, seed=seed)


def copies(images: Tensor) -> list[int]:
    """Return a number for each image (n, c, h, w), the same for those with the same pixels."""
    first: dict[int, int] = {}
    found: list[int] = torch.unique(images.flatten(1), dim=0, return_inverse=True)[1].tolist()
    return [first.setdefault(each, len(first)) for each in found]


def blank(members: Sequence[Scorer]) -> Committee:
    """Return the committee of empty scorers, into which a saved state can be loaded."""
    unknown = [(0.0, 1.0)] * len(members)
    return Committee(members, units=unknown, map_units=unknown)
