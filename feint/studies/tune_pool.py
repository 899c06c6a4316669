"""Which test images of a task are shown unlabelled, and which ones detectors are judged on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.data.testbeds import NormalSet, Task
from feint.studies.plan import TunePool

Rows = NDArray[np.intp]
FEWEST = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Share:
    """Of one task the test images (rows, ascending) that may be seen unlabelled, and those that are judged."""

    task: Task
    seen: Rows
    judged: Rows

    @property
    def name(self) -> str:
        """The task's name within its normal set."""
        return task_name(self.task)


def task_name(task: Task) -> str:
    """Return the name of a task within its normal set, such as `one-vs-one/7`."""
    return f"{task.testbed}/{task.anomaly}"


def shares(images: NormalSet, tune_pool: TunePool | None, *, seed: int) -> list[Share]:
    """Return the share of every task: with "val" disjoint halves of its pool, otherwise twice the whole pool.

    The halves are drawn at random without a look at the kinds of the images, the same for all detectors; they are drawn
    again, for a task of few images, only where what is to be judged would lack the normal or the anomalous ones.
    """
    return [_share(images, task, pool, tune_pool, seed) for task, pool in zip(images.tasks, images.pools, strict=True)]


def _share(images: NormalSet, task: Task, pool: Rows, tune_pool: TunePool | None, seed: int) -> Share:
    if tune_pool != "val":
        return Share(task=task, seen=pool, judged=pool)
    if len(pool) < FEWEST:
        raise InputError(
            f"{task_name(task)} of {images.normal} has {len(pool)} test images, too few to be halved: give it more, or "
            'set tune_pool = "test" in [study].'
        )
    for attempt in count():
        rng = numpy_stream(seed, "tune pool", images.data, images.normal, task.testbed, task.anomaly, attempt)
        drawn = rng.permutation(pool)
        seen, judged = np.sort(drawn[: len(pool) // 2]), np.sort(drawn[len(pool) // 2 :])
        if len(np.unique(images.kinds[judged] != 0)) == 2:
            return Share(task=task, seen=seen, judged=judged)
    raise AssertionError("a pool has images of both kinds, so that some draw has")
