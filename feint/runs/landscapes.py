"""The landscapes of a run: one per augmentation, size and rotation, and one more where the best lies at a bound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from feint.augmentations import AUGMENTATIONS
from feint.core.augmentation import Magnitude
from feint.networks.conv import multiplications
from feint.records.run import LandscapeRecord, PointRecord
from feint.runs.jobs import LandscapeJob, Searched, load_searched
from feint.runs.preparing import Prepared
from feint.runs.recipes import Making, Range, nuisance_policies, whole_range
from feint.runs.settings import Budget, TuneSettings
from feint.tuning.landscape import MOST_FITTED, LandscapeTuner

Landscapes = dict[int, list[list[LandscapeJob]]]

BOUND = 0.02


def landscape_jobs(
    data: Prepared, settings: TuneSettings, budget: Budget, *, px: int, rotation: int
) -> list[LandscapeJob]:
    """Return the landscape of each augmentation that has magnitudes."""
    return [
        landscape_job(data, settings, budget, whole_range(name), px=px, rotation=rotation)
        for name in settings.families(budget)
        if AUGMENTATIONS[name].magnitudes
    ]


def landscape_job(
    data: Prepared, settings: TuneSettings, budget: Budget, making: Making, *, px: int, rotation: int
) -> LandscapeJob:
    """Return the landscape of one augmentation over the ranges of `making`."""
    tuner = LandscapeTuner(
        width=budget.width,
        steps=budget.landscape_steps,
        nuisances=nuisance_policies(settings.nuisances),
        device=settings.device,
    )
    points = budget.points if len(making.ranges) > 1 else max(4, budget.points // 2)
    of = data.material(px, rotation)
    image = multiplications(data.channels, data.size(px), width=budget.width) / 1e9
    scored = min(len(of.training), MOST_FITTED) + len(of.held_out) + len(of.pool)
    return LandscapeJob(
        id=f"landscape-{rotation}-{making.augmentation}-{px}px",
        material=of,
        making=making,
        tuner=tuner,
        points=points,
        seed=settings.seed,
        cost=image * (tuner.steps * 2 * tuner.batch * 3 + 2 * scored * points),
    )


def highest(jobs: list[LandscapeJob], folder: Path) -> LandscapeJob:
    """Return the finished landscape with the highest smoothed criterion."""
    return max(jobs, key=lambda job: float(load_searched(job, folder).smoothed.max()))


def wider(job: LandscapeJob, folder: Path) -> LandscapeJob | None:
    """Return the landscape over a wider range where a finished one is highest at a bound that can be passed."""
    whole = whole_range(job.making.augmentation).ranges
    if job.making.ranges != whole or not (further := _further(job, load_searched(job, folder))):
        return None
    making = Making(augmentation=job.making.augmentation, ranges=whole | further)
    return replace(job, id=f"{job.id}-wider", making=making)


def better(job: LandscapeJob, wide: LandscapeJob | None, folder: Path) -> LandscapeJob:
    """Return which of two finished landscapes is the higher one, smoothed."""
    if wide is None:
        return job
    first, second = (float(load_searched(each, folder).smoothed.max()) for each in (job, wide))
    return wide if second > first else job


def landscape_records(data: Prepared, landscapes: Landscapes, folder: Path) -> list[LandscapeRecord]:
    """Return what became of every landscape of the first rotation."""
    return [
        landscape_record(job, folder, data.size(px))
        for px, per_rotation in landscapes.items()
        for job in per_rotation[0]
    ]


def landscape_record(job: LandscapeJob, folder: Path, size: tuple[int, int]) -> LandscapeRecord:
    """Return what became of one augmentation's landscape."""
    found = load_searched(job, folder)
    best = int(found.smoothed.argmax())
    ranges, beyond = job.making.ranges, wider(job, folder)
    repeated = beyond is not None and beyond.done(folder)
    searched = beyond.making.ranges if beyond is not None and repeated else ranges
    return LandscapeRecord(
        augmentation=job.making.augmentation,
        size=size,
        ranges=ranges,
        points=[
            PointRecord(magnitudes=settings_at(job, found, i), two_sample_auroc=float(found.values[i]))
            for i in range(job.points)
        ],
        chosen=settings_at(job, found, best),
        smoothed=float(found.smoothed[best]),
        at_bound=[name for name in _ends(job, found) if searched[name] == ranges[name]],
        widened=repeated or job.making != whole_range(job.making.augmentation),
    )


def settings_at(job: LandscapeJob, found: Searched, i: int) -> dict[str, float]:
    """Return the i-th setting of a finished landscape by name; an angle within its period."""
    values = dict(zip(job.making.ranges, map(float, found.points[i]), strict=True))
    return {
        name: m.low + (values[name] - m.low) % (m.high - m.low) if m.scale == "periodic" else values[name]
        for name, m in _magnitudes(job).items()
    }


def _magnitudes(job: LandscapeJob) -> dict[str, Magnitude]:
    """Return the magnitudes by name, each over the range that was searched."""
    ranges = job.making.ranges
    return {
        each.name: replace(each, low=ranges[each.name][0], high=ranges[each.name][1])
        for each in AUGMENTATIONS[job.making.augmentation].magnitudes
    }


def _ends(job: LandscapeJob, found: Searched) -> dict[str, float]:
    """Return the end, 0 or 1, of each magnitude that is best at an end of what was searched."""
    chosen = settings_at(job, found, int(found.smoothed.argmax()))
    shares = {
        name: float(m.share(torch.tensor(chosen[name], dtype=torch.float64)))
        for name, m in _magnitudes(job).items()
        if m.scale != "periodic"
    }
    return {name: float(t > 0.5) for name, t in shares.items() if not BOUND < t < 1 - BOUND}


def _further(job: LandscapeJob, found: Searched) -> Range:
    """Return the wider range of each magnitude that is best at an end which it can pass."""
    magnitudes = _magnitudes(job)
    ranges = {name: magnitudes[name].beyond(end) for name, end in _ends(job, found).items()}
    return {name: (m.low, m.high) for name, m in ranges.items() if m != magnitudes[name]}
