"""Synthetic landscapes with a known best setting, for the tests of the report."""

from __future__ import annotations

import math

import numpy as np

from feint.records.run import LandscapeRecord, PointRecord

TUNED = {"area": (0.031, 0.031), "aspect": (0.55, 0.55), "angle": (35.0, 35.0), "amplitude": (0.42, 0.42)}
RANGES = {
    "cutdiff": {"area": (0.003, 0.4), "aspect": (0.15, 1.0), "angle": (0.0, 180.0), "amplitude": (-1.0, 1.0)},
    "rotation": {"angle": (0.0, 360.0)},
    "noise": {"std": (0.0, 0.5)},
}
BEST = {
    "cutdiff": {name: low for name, (low, _) in TUNED.items()},
    "rotation": {"angle": -2.0},
    "noise": {"std": 0.5},
}


def nearness(augmentation: str, magnitudes: dict[str, float]) -> float:
    """Return how near a setting is to the best one, 1 at best; angles wrap."""
    far = 0.0
    for name, value in magnitudes.items():
        low, high = RANGES[augmentation][name]
        if name == "angle":
            turn = 2 * math.pi * (value - BEST[augmentation][name]) / (high - low)
            far += 1 - math.cos(turn)
        elif low > 0:
            far += 4 * (math.log(value / BEST[augmentation][name]) / math.log(high / low)) ** 2
        else:
            far += 4 * ((value - BEST[augmentation][name]) / (high - low)) ** 2
    return math.exp(-far)


def landscape(augmentation: str = "cutdiff", *, points: int = 24, size: int = 64) -> LandscapeRecord:
    noise = np.random.default_rng(len(augmentation))
    settings = [
        {
            name: float(low * (high / low) ** t if low > 0 else low + (high - low) * t)
            for (name, (low, high)), t in zip(RANGES[augmentation].items(), row, strict=True)
        }
        for row in noise.random((points, len(RANGES[augmentation])))
    ]
    top = {"cutdiff": 0.19, "rotation": 0.1, "noise": 0.06}[augmentation]
    return LandscapeRecord(
        augmentation=augmentation,
        size=(size, size),
        ranges=RANGES[augmentation],
        points=[
            PointRecord(
                magnitudes=each,
                two_sample_auroc=float(0.5 + top * nearness(augmentation, each) + 0.006 * noise.normal()),
            )
            for each in settings
        ],
        chosen=BEST[augmentation],
        smoothed=0.49 + top,
        at_bound=["std"] if augmentation == "noise" else [],
        widened=augmentation == "noise",
    )
