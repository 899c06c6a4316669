"""How fast each runtime is, measured in turns so that all meet the same moments of a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

BATCHES = (1, 32)
ROUNDS = 30
SECONDS = 3.0
FEWEST = 5
PAUSE = 0.02
"""Seconds after which no thread of another runtime still spins in wait for work, on the cores that this one needs."""


@final
@dataclass(frozen=True)
class Timing:
    """How long one call took: median and 95 % point in milliseconds, and images per second at the median."""

    runtime: str
    batch: int
    p50: float
    p95: float

    @property
    def images_per_second(self) -> float:
        """Images per second at the median."""
        return 1000 * self.batch / self.p50


def timings(scorers: Mapping[str, Callable[..., object]], *inputs: Pixels) -> list[Timing]:
    """Return the timings of scorers of `inputs`, each (n, c, h, w), by name, one image at a time and 32 at once.

    Before each timed call stand a pause and an untimed one, so that none is timed in what another has left behind.
    Cost: 60 calls of each, or as many as fit in three seconds, but five at least.
    """
    found = []
    for batch in BATCHES:
        images = [np.ascontiguousarray(np.resize(each, (batch, *each.shape[1:]))) for each in inputs]
        for score in scorers.values():
            score(*images)
        taken: dict[str, list[float]] = {name: [] for name in scorers}
        begun = time.perf_counter()
        for i in range(ROUNDS):
            if i >= FEWEST and time.perf_counter() - begun > SECONDS:
                break
            for name, score in scorers.items():
                time.sleep(PAUSE)
                score(*images)
                before = time.perf_counter()
                score(*images)
                taken[name].append(1000 * (time.perf_counter() - before))
        found += [
            Timing(name, batch, float(np.quantile(each, 0.5)), float(np.quantile(each, 0.95)))
            for name, each in taken.items()
        ]
    return found
