"""What every detector that learns from unlabelled images promises: all that a detector does, and two things more.

It is fitted on toy images of `feint.testing.detectors`: 40 normal ones, and a pool of 80 of which half are planted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Detector, Log, PoolDetector, Scorer, as_unit
from feint.testing.detectors import (
    DARKER,
    DETECTOR_CHECKS,
    HEIGHT,
    IMAGES,
    SIDE,
    TOLERANCE,
    WIDTH,
    DetectorCheck,
    normal_images,
    planted_images,
    pseudo_anomalies_are_as_declared,
)
from feint.testing.promises import promise

PoolDetectorCheck = Callable[[PoolDetector[Scorer]], None]


def the_pool_is_learned_from(detector: PoolDetector[Scorer]) -> None:
    """Fitted with the same normal images and seed beside another pool, it gives other scores."""
    images, normal = planted_images()[0], normal_images(IMAGES, "normal")
    scorers = [detector.fit(normal, pool, seed=0) for pool in (pool_images(), normal_images(IMAGES, "other pool"))]
    with torch.no_grad():
        first, second = (scorer(images) for scorer in scorers)
    apart, level = float((first - second).abs().max()), float(first.abs().max())
    promise(apart > TOLERANCE * level, "the scores are the same whatever the unlabelled images are, or nearly so.")


def the_pool_stays_untouched(detector: PoolDetector[Scorer]) -> None:
    """Fit writes into no unlabelled image."""
    pool = pool_images()
    detector.fit(normal_images(IMAGES, "normal"), pool, seed=0)
    promise(torch.equal(pool, pool_images()), "fit wrote into the unlabelled images.")


def pool_images() -> Tensor:
    """Return 80 unlabelled toy images (80, 1, 20, 18), uint8: normal ones, then as many with a planted defect."""
    normal = normal_images(2 * IMAGES, "pool")
    planted = as_unit(normal[IMAGES:])
    for i in range(IMAGES):
        top, left = i * 7 % (HEIGHT - SIDE + 1), i * 5 % (WIDTH - SIDE + 1)
        planted[i, :, top : top + SIDE, left : left + SIDE] -= DARKER
    return torch.cat([normal[:IMAGES], (planted.clamp(0, 1) * 255).round().to(torch.uint8)])


@final
@dataclass(frozen=True, kw_only=True)
class _OnToyPool(Detector[Scorer]):
    """The detector of normal images that `recipe` is beside the toy pool."""

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "refused"

    recipe: PoolDetector[Scorer]

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> Scorer:  # noqa: ARG002
        return self.recipe.fit(normals, pool_images(), seed=seed, log=log)


def _beside_the_toy_pool(check: DetectorCheck) -> PoolDetectorCheck:
    @wraps(check)
    def checked(detector: PoolDetector[Scorer]) -> None:
        check(_OnToyPool(recipe=detector))

    return checked


POOL_DETECTOR_CHECKS: tuple[PoolDetectorCheck, ...] = (
    *(_beside_the_toy_pool(check) for check in DETECTOR_CHECKS if check is not pseudo_anomalies_are_as_declared),
    the_pool_is_learned_from,
    the_pool_stays_untouched,
)
