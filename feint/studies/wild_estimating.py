"""What a study of representations will cost, before it runs: labels read, a few steps of each arm timed."""

from __future__ import annotations

import time

import numpy as np

from feint.augmentations.views import views_named
from feint.backends import available_cores, open_named
from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.networks.architectures import build
from feint.pretraining import METHODS
from feint.pretraining.optimisation import usual
from feint.pretraining.training import Pretraining, Training
from feint.studies.estimate import Estimate
from feint.studies.plan import Arm
from feint.studies.wild_cell import SUPERVISED, UNTRAINED
from feint.studies.wild_images import chosen_of, fitting, labels_of
from feint.studies.wild_plan import WildData, WildPlan, encoder_of, views_of
from feint.studies.wild_run import title

TIMED_STEPS = 3
JUDGED = 15.0
BYTES_PER_CELL = 20_000.0
CHANNELS = 3


def estimate_wild(plan: WildPlan, *, workers: int | None) -> Estimate:
    """Return what a study of representations will cost; times a few steps of each arm, on noise.

    Raises: InputError that lists every set whose labels cannot be used; no image is decoded.
    """
    arms, left_out = plan.pretraining.applicable()
    images = _count(plan)
    each_unit = len(plan.study.seeds) * len(plan.pretraining.levels)
    cells: dict[Arm, int] = {}
    seconds: dict[Arm, float] = {}
    with open_named("serial", workers=1):
        for table in plan.data:
            for name in arms:
                arm = Arm(detector=name, augmentation=views_of(name, table, plan.pretraining), data=table.name)
                cells[arm] = each_unit * max(1, len(table.normal))
                seconds[arm] = JUDGED + plan.pretraining.steps * seconds_per_step(
                    name, arm.augmentation, size=_size(table, arms), batch=plan.pretraining.batch
                )
    return Estimate(
        name=plan.study.name,
        cells=cells,
        tasks=len(plan.pretraining.levels) * sum(max(1, len(table.normal)) for table in plan.data),
        left_out=left_out,
        seconds=seconds,
        workers=min(workers or available_cores(), available_cores()),
        disk=sum(cells.values()) * BYTES_PER_CELL + sum(images[t.name] * CHANNELS * t.size**2 for t in plan.data),
        timed=f"{TIMED_STEPS} timed steps of each arm on noise, and {JUDGED:.0f} s to judge each",
    )


def seconds_per_step(arm: str, views: str, *, size: tuple[int, int], batch: int) -> float:
    """Return the seconds of a step of METHOD/ENCODER on `batch` images of `size`; 0 for the untrained.

    A supervised step is half of one of SimCLR, which sees two views.
    """
    method, encoder = arm.partition("/")[0], encoder_of(arm)
    if method == UNTRAINED:
        return 0.0
    if method in SUPERVISED:
        return seconds_per_step(f"simclr/{encoder}", views, size=size, batch=batch) / 2
    pixels = numpy_stream(0, "timed").integers(0, 256, (batch, 1, *size), np.uint8)
    training = Training(optimisation=usual(encoder, batch=batch), steps=1 + TIMED_STEPS, batch=batch, seed=0)
    learner = METHODS[method]().learner(build(encoder, channels=1, size=size, seed=0), seed=0)
    pretraining = Pretraining(learner, pixels, views_named(views), training=training)
    pretraining.run(lambda _: None, until=1)
    begun = time.perf_counter()
    pretraining.run(lambda _: None)
    return (time.perf_counter() - begun) / TIMED_STEPS


def _size(table: WildData, arms: list[str]) -> tuple[int, int]:
    return fitting((table.size, table.size), [encoder_of(arm) for arm in arms])


def _count(plan: WildPlan) -> dict[str, int]:
    """Return how many images each set has, over its normal classes."""
    found = {table.name: 0 for table in plan.data}
    problems = []
    for table in plan.data:
        for normal in table.normal or [""]:
            try:
                found[table.name] += len(chosen_of(labels_of(table, normal), table))
            except InputError as error:
                problems.append(f"data {title(table, normal)}: {error}")
    if problems:
        raise InputError("the data of the plan cannot be used:\n" + "\n".join(f"  - {each}" for each in problems))
    return found
