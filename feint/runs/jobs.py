"""The units of work of a run: pure functions of settings, seeds and pixels, each leaving one file.

A job whose file exists is not run again: that is all there is to resuming.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from feint.augmentations import AUGMENTATIONS, NUISANCES
from feint.core.augmentation import Policy
from feint.core.detector import as_unit
from feint.core.errors import CollapseError
from feint.core.files import atomic, write_text
from feint.core.streams import seed_of
from feint.detectors.committee import Committee, empty_committee, fit_committee
from feint.detectors.discriminator import CHUNK, SCORES, Discriminator, DiscriminatorScorer, ScoreName
from feint.tuning.selftuning import SelfTuner

Range = dict[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Where decoded images lie: a uint8 array file (n, c, h, w), memory-mapped by whoever reads it."""

    path: Path

    def open(self) -> np.ndarray:
        """Return the images, mapped: only what is read comes into memory."""
        images: np.ndarray = np.load(self.path, mmap_mode="r")
        return images

    def rows(self, chosen: np.ndarray) -> Tensor:
        """Return the chosen images, copied into memory."""
        return torch.from_numpy(np.ascontiguousarray(self.open()[chosen]))


@dataclass(frozen=True, kw_only=True)
class Making:
    """How pseudo-anomalies are made, in words and numbers: an augmentation's name and ranges of its magnitudes."""

    augmentation: str
    ranges: Range

    def policy(self) -> Policy | None:
        """Return the policy, or None for `none`."""
        if self.augmentation == "none":
            return None
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


def nuisance_policies(names: tuple[str, ...]) -> tuple[Policy, ...]:
    """Return the policies of the named nuisances over their whole ranges."""
    return tuple(policy for name in names if (policy := whole_range(name).policy()) is not None)


@dataclass(frozen=True, kw_only=True)
class TuningJob:
    """One start of the tuner. Leaves `<id>.json`."""

    id: str
    normal: Pixels
    unlabelled: Pixels
    training: np.ndarray
    pool: np.ndarray
    augmentation: str
    start: dict[str, float]
    tuner: SelfTuner
    seed: int
    cost: float = field(default=1.0, compare=False)

    @property
    def ticks(self) -> int:
        """Lines this job will log."""
        return self.tuner.updates

    def done(self, jobs: Path) -> bool:
        return (jobs / f"{self.id}.json").exists()

    def execute(self, jobs: Path, logs: Path) -> None:
        with _Log(logs / f"{self.id}.jsonl", self.id) as log:
            result = self.tuner.run(
                self.normal.rows(self.training),
                self.unlabelled.rows(self.pool),
                augmentation=AUGMENTATIONS[self.augmentation](),
                start=self.start,
                seed=seed_of(self.seed, self.id),
                log=lambda step, upper, lower, magnitudes: log(
                    step=step, validation_loss=upper, training_loss=lower, magnitudes=magnitudes
                ),
            )
        write_text(jobs / f"{self.id}.json", json.dumps(asdict(result)))


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training of the detector. Leaves `<id>.safetensors`: every score of `held_out` and `pool`.

    Where the training collapses the scores are NaN: that candidate fails, and the run goes on.
    """

    id: str
    normal: Pixels
    unlabelled: Pixels
    training: np.ndarray
    held_out: np.ndarray
    pool: np.ndarray
    making: Making
    detector: Discriminator
    seed: int
    cost: float = field(default=1.0, compare=False)

    @property
    def ticks(self) -> int:
        """Lines this job will log."""
        return 1 + (self.detector.steps + 18) // 20 if self.making.augmentation != "none" else 0

    def done(self, jobs: Path) -> bool:
        return (jobs / f"{self.id}.safetensors").exists()

    def execute(self, jobs: Path, logs: Path) -> None:
        """Train and score."""
        with _Log(logs / f"{self.id}.jsonl", self.id) as log:
            try:
                scorer = self.detector.fit(
                    self.normal.rows(self.training),
                    policy=self.making.policy(),
                    seed=seed_of(self.seed, self.id),
                    log=lambda step, loss: log(step=step, training_loss=loss),
                )
                held_out = score_rows(scorer, self.normal, self.held_out)
                pool = score_rows(scorer, self.unlabelled, self.pool)
            except CollapseError:
                held_out = {score: torch.full((len(self.held_out),), torch.nan) for score in SCORES}
                pool = {score: torch.full((len(self.pool),), torch.nan) for score in SCORES}
        tensors = {f"held_out.{k}": v for k, v in held_out.items()} | {f"unlabelled.{k}": v for k, v in pool.items()}
        with atomic(jobs / f"{self.id}.safetensors") as temporary:
            temporary.write_bytes(save(tensors))


@dataclass(frozen=True, kw_only=True)
class FinalJob:
    """A committee of the chosen makings. Leaves `<id>.safetensors`: it, and its scores of `held_out` and `pool`."""

    id: str
    normal: Pixels
    unlabelled: Pixels
    training: np.ndarray
    held_out: np.ndarray
    pool: np.ndarray
    makings: tuple[Making, ...]
    units: tuple[tuple[float, float], ...]
    detector: Discriminator
    seed: int
    cost: float = field(default=1.0, compare=False)

    @property
    def ticks(self) -> int:
        """Lines this job will log."""
        return len(self.makings) * (1 + (self.detector.steps + 18) // 20)

    def done(self, jobs: Path) -> bool:
        """Whether the job has left its file."""
        return (jobs / f"{self.id}.safetensors").exists()

    def execute(self, jobs: Path, logs: Path) -> None:
        """Train every member and score."""
        with _Log(logs / f"{self.id}.jsonl", self.id) as log:
            committee = fit_committee(
                self.detector,
                self.normal.rows(self.training),
                policies=[making.policy() for making in self.makings],
                units=self.units,
                seed=seed_of(self.seed, self.id),
                log=lambda step, loss: log(step=step, training_loss=loss),
            )
        tensors = {f"scorer.{name}": value.cpu().contiguous() for name, value in committee.state_dict().items()}
        tensors["held_out"] = score_committee(committee, self.normal, self.held_out)
        tensors["unlabelled"] = score_committee(committee, self.unlabelled, self.pool)
        with atomic(jobs / f"{self.id}.safetensors") as temporary:
            temporary.write_bytes(save(tensors))


Job = TuningJob | TrainingJob | FinalJob


def execute(job: Job, jobs: Path, logs: Path) -> str:
    """Run one job in whatever process this is; returns its id."""
    job.execute(jobs, logs)
    return job.id


@dataclass(frozen=True)
class Trained:
    """The scores that a training left behind, by name: of selection normals (m,) and of the pool (n,)."""

    held_out: dict[str, np.ndarray]
    unlabelled: dict[str, np.ndarray]


def load_trained(job: TrainingJob, jobs: Path) -> Trained:
    """Read a finished training."""
    parts: dict[str, dict[str, np.ndarray]] = {"held_out": {}, "unlabelled": {}}
    for name, value in load_file(jobs / f"{job.id}.safetensors").items():
        part, _, key = name.partition(".")
        parts[part][key] = value.numpy()
    return Trained(**parts)


@torch.no_grad()
def score_rows(scorer: DiscriminatorScorer, pixels: Pixels, rows: np.ndarray) -> dict[ScoreName, Tensor]:
    """Return every score of the chosen rows, chunk by chunk; empty tensors where none is chosen."""
    array = pixels.open()
    device = scorer.gaussian.centre.device
    found = [
        scorer.all_scores(as_unit(torch.from_numpy(array[rows[i : i + CHUNK]])).to(device))
        for i in range(0, len(rows), CHUNK)
    ]
    return {name: torch.cat([torch.empty(0), *(each[name].cpu() for each in found)]) for name in SCORES}


@dataclass(frozen=True)
class Finished:
    """What a final job left behind."""

    committee: Committee
    held_out: np.ndarray
    unlabelled: np.ndarray


def load_finished(job: FinalJob, jobs: Path) -> Finished:
    """Read a finished committee."""
    tensors = load_file(jobs / f"{job.id}.safetensors")
    channels, height, width = job.normal.open().shape[1:]
    committee = empty_committee(job.detector, channels, (height, width), members=len(job.makings))
    committee.load_state_dict({n.removeprefix("scorer."): v for n, v in tensors.items() if n.startswith("scorer.")})
    return Finished(committee, tensors["held_out"].numpy(), tensors["unlabelled"].numpy())


@torch.no_grad()
def score_committee(committee: Committee, pixels: Pixels, rows: np.ndarray) -> Tensor:
    """Return the committee's score of the chosen rows, chunk by chunk; empty where none is chosen."""
    array, device = pixels.open(), committee.centres.device
    found = [
        committee(as_unit(torch.from_numpy(array[rows[i : i + CHUNK]])).to(device)).cpu()
        for i in range(0, len(rows), CHUNK)
    ]
    return torch.cat([torch.empty(0), *found])


def judge_rows(job: FinalJob, jobs: Path, *, rows: np.ndarray) -> np.ndarray:
    """Return the score of chosen normal images; meant for a worker, as its threads are."""
    found: np.ndarray = score_committee(load_finished(job, jobs).committee, job.normal, rows).numpy()
    return found


def map_rows(job: FinalJob, jobs: Path, *, requests: list[tuple[Pixels, np.ndarray]]) -> list[np.ndarray]:
    """Return the anomaly maps (n, h, w) for the rows of each request."""
    committee = load_finished(job, jobs).committee
    with torch.no_grad():
        return [committee.map(as_unit(pixels.rows(rows))).numpy() for pixels, rows in requests]


class _Log:
    """Appends one JSON line a call, so that progress can be seen from outside."""

    def __init__(self, path: Path, job: str) -> None:
        self.path, self.job = path, job

    def __enter__(self) -> Callable[..., None]:
        self.file = self.path.open("w", encoding="utf-8")
        return self._write

    def _write(self, **values: object) -> None:
        self.file.write(json.dumps({"job": self.job, **values}) + "\n")
        self.file.flush()

    def __exit__(self, *_: object) -> None:
        self.file.close()
