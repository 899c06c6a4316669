"""What is tried: the starts of the tuner, and the trainings that compete."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from feint.augmentations import AUGMENTATIONS
from feint.core.augmentation import Augmentation, Magnitude
from feint.core.streams import numpy_stream
from feint.detectors import Discriminator
from feint.networks.conv import multiplications
from feint.records.run import StartRecord
from feint.runs.choosing import COMMITTEE, DEFAULT_SCORE, Choice, Row
from feint.runs.jobs import FinalJob, Making, Range, TrainingJob, TuningJob, nuisance_policies
from feint.runs.preparing import Prepared
from feint.runs.settings import Budget, Round, TuneSettings
from feint.tuning.selftuning import SelfTuner

SAME = 0.1
SECOND_ORDER_STEPS = 8


def screening_jobs(data: Prepared, settings: TuneSettings, budget: Budget, *, rotation: int) -> list[TrainingJob]:
    """Return a short training at every start of every augmentation that can be tuned."""
    return [
        training_job(
            data,
            settings,
            Making(augmentation=name, ranges=static(start)),
            name=f"{name}-screen{k}",
            level=budget.screening,
            rotation=rotation,
        )
        for name in settings.augmentations
        for k, start in enumerate(AUGMENTATIONS[name].starts)
    ]


def static(magnitudes: dict[str, float]) -> Range:
    """Return the ranges that hold these magnitudes alone."""
    return {name: (value, value) for name, value in magnitudes.items()}


def kept_starts(rows: list[Row], kept: int, *, rotation: int) -> dict[str, list[dict[str, float]]]:
    """Return the best starts of each augmentation in one rotation, by the two-sample AUROC of the pooled score."""
    found: dict[str, list[dict[str, float]]] = {}
    for row in sorted(rows, key=lambda row: -row.two_sample_auroc(rotation)):
        if row.score == DEFAULT_SCORE and len(found.setdefault(row.making.augmentation, [])) < kept:
            found[row.making.augmentation].append({name: low for name, (low, _) in row.making.ranges.items()})
    return found


def tuning_jobs(
    data: Prepared, settings: TuneSettings, budget: Budget, starts: dict[str, list[dict[str, float]]], *, rotation: int
) -> list[TuningJob]:
    """Return one job for each start that was kept."""
    tuner = SelfTuner(
        warm_start=budget.warm_start,
        updates=budget.updates,
        nuisances=nuisance_policies(settings.nuisances),
        device=settings.device,
    )
    px = budget.screening.px
    return [
        TuningJob(
            id=f"tune-{rotation}-{name}-{k}",
            normal=data.normal[px],
            unlabelled=data.unlabelled[px],
            training=data.rotations[rotation].training,
            pool=data.pool,
            augmentation=name,
            start=start,
            tuner=tuner,
            seed=settings.seed,
            cost=_tuning_cost(tuner, data, px),
        )
        for name, each in starts.items()
        for k, start in enumerate(each)
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

    `none`; each regime of each augmentation with random magnitudes; each start of the tuner at the magnitudes where
    it began and, if it did not fail, where it ended, but for those that lie where another does.
    """
    found = {"none": Making(augmentation="none", ranges={})}
    for name in settings.augmentations:
        augmentation = AUGMENTATIONS[name]
        whole = {m.name: (m.low, m.high) for m in augmentation.magnitudes}
        for k, regime in enumerate(augmentation.regimes, start=1):
            found[f"{name}-random{k}"] = Making(augmentation=name, ranges=whole | regime)
        places: list[dict[str, float]] = []
        own = [start for start in starts if start.augmentation == name]
        for kind, ends in (
            ("start", [start.start for start in own]),
            ("tuned", [start.end for start in own if start.status == "ok"]),
        ):
            for k, end in enumerate(ends, start=1):
                if all(distance(augmentation, end, other) > SAME for other in places):
                    places.append(end)
                    found[f"{name}-{kind}{k}"] = Making(augmentation=name, ranges=static(end))
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
        pool=data.pool,
        making=making,
        detector=_detector(settings, level),
        seed=settings.seed,
        cost=_training_cost(data, level, trained=making.augmentation != "none"),
    )


def final_jobs(data: Prepared, choice: Choice, *, steps: int) -> list[FinalJob]:
    """Return, per rotation, the training of the chosen committee on all normal images but those of calibration."""
    return [
        _final_job(
            rows,
            name=f"final-{r}",
            training=np.sort(np.concatenate([roles.training, roles.selection])),
            held_out=np.empty(0, dtype=np.int64),
            pool=np.arange(len(data.unlabelled_names)),
            steps=steps,
            rotation=r,
        )
        for r, (rows, roles) in enumerate(zip(choice.per_rotation, data.rotations, strict=True))
    ]


def audit_jobs(data: Prepared, settings: TuneSettings, choice: Choice, *, steps: int) -> list[FinalJob]:
    """Return trainings of the chosen committee that leave each half of the training and selection images out once."""
    roles = data.rotations[0]
    rows = np.sort(np.concatenate([roles.training, roles.selection]))
    groups = np.asarray(data.groups)[rows]
    order = numpy_stream(settings.seed, "audit").permutation(np.unique(groups))
    first = np.isin(groups, order[: len(order) // 2])
    halves = [rows[first], rows[~first]]
    return [
        _final_job(
            choice.per_rotation[0],
            name=f"audit-{k}",
            training=np.sort(np.concatenate([halves[1 - k], roles.calibration])),
            held_out=halves[k],
            pool=np.empty(0, dtype=np.int64),
            steps=steps,
            rotation=0,
        )
        for k in range(2)
    ]


def _final_job(
    rows: list[Row],
    *,
    name: str,
    training: np.ndarray,
    held_out: np.ndarray,
    pool: np.ndarray,
    steps: int,
    rotation: int,
) -> FinalJob:
    jobs = [row.jobs[rotation] for row in rows]
    return FinalJob(
        id=name,
        normal=jobs[0].normal,
        unlabelled=jobs[0].unlabelled,
        training=training,
        held_out=held_out,
        pool=pool,
        makings=tuple(job.making for job in jobs),
        units=tuple(row.unit(rotation) for row in rows),
        detector=replace(jobs[0].detector, steps=steps, score=rows[0].score),
        seed=jobs[0].seed,
        cost=sum(job.cost for job in jobs) * steps / jobs[0].detector.steps,
    )


def expected_costs(data: Prepared, settings: TuneSettings, budget: Budget) -> list[float]:
    """Return the costs of all jobs to come, as if every start that is kept led to two candidates."""
    tunable = [name for name in settings.augmentations if AUGMENTATIONS[name].starts]
    tuner = SelfTuner(warm_start=budget.warm_start, updates=budget.updates)
    regimes = sum(len(AUGMENTATIONS[name].regimes) for name in settings.augmentations)
    candidates = 1 + regimes + 2 * budget.kept * len(tunable)
    costs: list[float] = []
    for r in range(len(data.rotations)):
        costs += [job.cost for job in screening_jobs(data, settings, budget, rotation=r)]
        costs += [_tuning_cost(tuner, data, budget.screening.px)] * (budget.kept * len(tunable))
        for k, level in enumerate(budget.rounds):
            costs += [_training_cost(data, level, trained=True)] * (budget.finalists if k else candidates)
    final = replace(budget.rounds[-1], steps=budget.final_steps)
    return costs + [_training_cost(data, final, trained=True)] * (COMMITTEE * max(2, len(data.rotations)))


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
