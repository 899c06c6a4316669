"""What a study will cost, before it runs: its cells counted, a sample of each detector timed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feint.augmentations.policies import policy_named
from feint.backends import available_cores, open_named
from feint.core.augmentation import Exposure, PseudoAnomalies
from feint.core.detector import PoolDetector
from feint.core.errors import InputError
from feint.data.testbeds import NormalSet, normal_sets, task_names
from feint.studies.estimate import Estimate
from feint.studies.plan import (
    Arm,
    DataTable,
    Plan,
    Setting,
    arms_of,
    learns_from_unlabelled,
    recipe_of,
    settings_of_arm,
)
from feint.studies.plan_file import read_plan
from feint.studies.run import testbed_settings
from feint.studies.scoring import score_images
from feint.studies.wild_estimating import estimate_wild
from feint.studies.wild_plan import WildPlan
from feint.tuning import TUNERS

SAMPLE = 256
SAMPLE_TESTED = 20
BYTES_PER_SCORE = 4.0
CLOSE_UP_BYTES = 400_000.0
ASSUMED_TRAINING = 6000
ASSUMED_TESTED = 1000
EPOCHS = ("pretrain_epochs", "epochs")
STEPS = ("warm_start", "updates", "steps")
PART = 10


def estimate(path: Path, *, workers: int | None = None) -> Estimate:
    """Return what the plan at `path` will cost; trains one epoch of each detector on a few images to know.

    Raises: as `run_study`, for a plan or images that cannot be used.
    """
    plan = read_plan(path)
    if isinstance(plan, WildPlan):
        return estimate_wild(plan, workers=workers)
    arms, left_out = arms_of(plan)
    cells: dict[Arm, int] = {}
    seconds: dict[Arm, float] = {}
    tasks, disk = 0, 0.0
    seeds = len(plan.study.seeds)
    problems: list[str] = []
    for table in plan.data:
        mine = [arm for arm in arms if arm.data == table.name]
        try:
            named = task_names(_path(table), name=table.name, settings=testbed_settings(table))
            sample = _sample(table)
        except (InputError, ValueError) as error:
            problems.append(f"data {table.name}: {error}")
            continue
        these = sum(len(each) for each in named.values())
        trained = {arm: these if learns_from_unlabelled(plan.kind(arm.detector)) else len(named) for arm in mine}
        tasks += these
        cells |= {arm: seeds * count for arm, count in trained.items()}
        seconds |= _timed(plan, mine, sample, table)
        images = len(sample.test) * (table.test_limit or ASSUMED_TESTED) / SAMPLE_TESTED
        disk += sum(trained.values()) * (seeds * images * BYTES_PER_SCORE + CLOSE_UP_BYTES)
        disk += len(named) * sample.train[0].nbytes * ((table.train_limit or ASSUMED_TRAINING) + images)
    if problems:
        raise InputError("the data of the plan cannot be used:\n" + "\n".join(f"  - {each}" for each in problems))
    return Estimate(
        name=plan.study.name,
        cells=cells,
        tasks=tasks,
        left_out=left_out,
        seconds=seconds,
        workers=min(workers or available_cores(), available_cores()),
        disk=disk,
        timed=f"a timed epoch of each arm on at most {SAMPLE} images",
    )


def _path(table: DataTable) -> Path:
    assert table.path is not None
    return table.path


def _sample(table: DataTable) -> NormalSet:
    settings = replace(
        testbed_settings(table),
        train_limit=min(SAMPLE, table.train_limit or SAMPLE),
        test_limit=min(SAMPLE_TESTED, table.test_limit or SAMPLE_TESTED),
    )
    return normal_sets(_path(table), name=table.name, settings=settings, seed=table.seed)[0]


def _timed(plan: Plan, arms: list[Arm], sample: NormalSet, table: DataTable) -> dict[Arm, float]:
    """Return about how many seconds a cell of each arm takes: one epoch on the sample, and its scores, scaled up."""
    train = torch.from_numpy(sample.train)
    found = {}
    with open_named("serial", workers=1):
        for arm in arms[:1] + arms:  # the first fit of a process also pays for what it loads
            settings = settings_of_arm(plan, arm)
            recipe, short = recipe_of(plan.kind(arm.detector), settings), _short(plan.kind(arm.detector), settings)
            begun = time.perf_counter()
            if isinstance(short, PoolDetector):
                scorer = short.fit(train, torch.from_numpy(sample.test), seed=0)
            else:
                scorer = short.fit(train, policy=_policy(arm.augmentation, train), seed=0)
            fitted = time.perf_counter()
            score_images(scorer, sample.test)
            scored = time.perf_counter()
            images = (table.train_limit or ASSUMED_TRAINING) / len(train)
            tests = (table.test_limit or ASSUMED_TESTED) / SAMPLE_TESTED
            found[arm] = (fitted - begun) * _times_as_much(recipe, images) + (scored - fitted) * tests
    return found


def _policy(augmentation: str, train: Tensor) -> PseudoAnomalies | None:
    if augmentation == "none":
        return None
    return Exposure(images=train) if augmentation.startswith("oe-") else policy_named(augmentation)


def _short(kind: str, settings: dict[str, Setting]) -> Any:
    """Return the recipe with one epoch of each kind; of a tuner, with one start and a tenth of the steps."""
    recipe = recipe_of(kind, settings)
    if kind in TUNERS:
        return recipe_of(kind, settings | {"starts": 1} | {name: -(-getattr(recipe, name) // PART) for name in STEPS})
    return recipe_of(kind, settings | {name: 1 for name in EPOCHS if getattr(recipe, name, None) is not None})


def _times_as_much(recipe: Any, images: float) -> float:
    """Return how much more a recipe computes than the short one, on `images` times as many images."""
    if type(recipe) in TUNERS.values():
        return float(PART * recipe.starts)
    epochs = [int(getattr(recipe, name)) for name in EPOCHS if getattr(recipe, name, None) is not None]
    if epochs:
        return images * sum(epochs) / len(epochs)
    return 1.0 if hasattr(recipe, "steps") else images
