"""What is tried: the starts of the tuner, and the trainings that compete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from feint.augmentations import AUGMENTATIONS
from feint.core.augmentation import Augmentation, Magnitude
from feint.core.streams import seed_of
from feint.detectors import Discriminator
from feint.networks.conv import multiplications
from feint.records.run import StartRecord
from feint.runs.jobs import Making, TrainingJob, TuningJob, nuisance_policies
from feint.runs.preparing import Prepared
from feint.runs.settings import Budget, Round, TuneSettings
from feint.tuning.selftuning import SelfTuner

SAME = 0.1
SECOND_ORDER_STEPS = 6


def tuning_jobs(data: Prepared, settings: TuneSettings, budget: Budget, *, rotation: int) -> list[TuningJob]:
    """Return one job for each start of each augmentation that can be tuned."""
    tuner = SelfTuner(
        warm_start=budget.warm_start,
        updates=budget.updates,
        nuisances=nuisance_policies(settings.nuisances),
        device=settings.device,
    )
    return [
        TuningJob(
            id=f"tune-{rotation}-{name}-{k}",
            normal=data.normal[budget.tuning_px],
            unlabelled=data.unlabelled[budget.tuning_px],
            training=data.rotations[rotation].training,
            pool=data.pool,
            augmentation=name,
            start=start,
            tuner=tuner,
            seed=settings.seed,
            cost=_tuning_cost(tuner, data, budget.tuning_px),
        )
        for name in settings.augmentations
        for k, start in enumerate(AUGMENTATIONS[name].starts)
    ]


def start_record(job: TuningJob, jobs: Path, logs: Path) -> StartRecord:
    """Return what became of one start."""
    found = json.loads((jobs / f"{job.id}.json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (logs / f"{job.id}.jsonl").read_text(encoding="utf-8").splitlines()]
    return StartRecord(
        job=job.id,
        augmentation=job.augmentation,
        start=job.start,
        end=found["magnitudes"],
        steps=[line["step"] for line in lines],
        trajectory={name: [line["magnitudes"][name] for line in lines] for name in job.start},
        validation_loss=[line["validation_loss"] for line in lines],
        training_loss=[line["training_loss"] for line in lines],
        variance=found["variance"],
        status=found["status"],
        note=found["note"],
    )


def makings(settings: TuneSettings, starts: list[StartRecord]) -> dict[str, Making]:
    """Return how the pseudo-anomalies of each candidate are made, by its name.

    `none`; each regime of each augmentation with random magnitudes; each start of the tuner that did not fail, at
    the magnitudes where it ended, but for those that ended where another did.
    """
    found = {"none": Making(augmentation="none", ranges={})}
    for name in settings.augmentations:
        augmentation = AUGMENTATIONS[name]
        whole = {m.name: (m.low, m.high) for m in augmentation.magnitudes}
        for k, regime in enumerate(augmentation.regimes):
            found[f"{name}-random{'' if len(augmentation.regimes) == 1 else k + 1}"] = Making(
                augmentation=name, ranges=whole | regime
            )
        ends: list[StartRecord] = []
        for start in starts:
            if start.augmentation != name or start.status != "ok":
                continue
            if all(distance(augmentation, start.end, other.end) > SAME for other in ends):
                ends.append(start)
                static = {magnitude: (value, value) for magnitude, value in start.end.items()}
                found[f"{name}-tuned{len(ends)}"] = Making(augmentation=name, ranges=static)
    return found


def distance(augmentation: type[Augmentation], a: dict[str, float], b: dict[str, float]) -> float:
    """Return the largest difference of two settings over the magnitudes, each as a share of its range (or period)."""
    return max(_share_apart(m, a[m.name], b[m.name]) for m in augmentation.magnitudes)


def _share_apart(magnitude: Magnitude, a: float, b: float) -> float:
    if magnitude.scale == "log":
        return abs(float(np.log(a / b) / np.log(magnitude.high / magnitude.low)))
    apart = abs(a - b) / (magnitude.high - magnitude.low)
    return min(apart % 1, 1 - apart % 1) if magnitude.scale == "periodic" else apart


def training_job(
    data: Prepared, settings: TuneSettings, making: Making, *, name: str, level: Round, rotation: int
) -> TrainingJob:
    """Return the training of one candidate in one round."""
    roles = data.rotations[rotation]
    return TrainingJob(
        id=f"train-{rotation}-{name}-{level.px}px-w{level.width}",
        normal=data.normal[level.px],
        unlabelled=data.unlabelled[level.px],
        training=roles.training,
        held_out=roles.selection,
        pool=np.arange(len(data.unlabelled_names)),
        making=making,
        detector=_detector(settings, level),
        seed=settings.seed,
        cost=_training_cost(data, level, trained=making.augmentation != "none"),
    )


def audit_jobs(data: Prepared, settings: TuneSettings, chosen: TrainingJob) -> list[TrainingJob]:
    """Return trainings of the chosen recipe that leave each half of the training images out once."""
    roles = data.rotations[0]
    order = np.random.default_rng(seed_of(settings.seed, "audit")).permutation(roles.training)
    halves = [np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])]
    rest = np.concatenate([roles.selection, roles.calibration])
    return [
        TrainingJob(
            id=f"audit-{k}",
            normal=chosen.normal,
            unlabelled=chosen.unlabelled,
            training=np.sort(np.concatenate([halves[1 - k], rest])),
            held_out=halves[k],
            pool=np.empty(0, dtype=np.int64),
            making=chosen.making,
            detector=chosen.detector,
            seed=settings.seed,
            cost=chosen.cost,
        )
        for k in range(2)
    ]


def _training_cost(data: Prepared, level: Round, *, trained: bool) -> float:
    """Return 10^9 multiplications, a backward pass counted twice."""
    image = multiplications(data.channels, data.size(level.px), width=level.width) / 1e9
    scored = len(data.unlabelled_names) + len(data.normal_names)
    return image * (scored + trained * level.steps * 2 * Discriminator().batch * 3)


def _tuning_cost(tuner: SelfTuner, data: Prepared, px: int) -> float:
    image = multiplications(data.channels, data.size(px), width=tuner.width) / 1e9
    plain = 2 * tuner.batch * 3
    return image * plain * (tuner.warm_start + tuner.updates * (tuner.between + SECOND_ORDER_STEPS))


def _detector(settings: TuneSettings, level: Round) -> Discriminator:
    return Discriminator(
        width=level.width,
        steps=level.steps,
        nuisances=nuisance_policies(settings.nuisances),
        device=settings.device,
    )
