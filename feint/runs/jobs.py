"""The units of work of a run: pure functions of settings, seeds and pixels, each leaving one file.

A job whose file exists is not run again: that is all there is to resuming.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from feint.core.detector import SCORED_AT_ONCE, Scorer, score_images
from feint.core.errors import CollapseError
from feint.core.files import atomic
from feint.core.streams import seed_of
from feint.detectors.committee import Committee, unit_of
from feint.detectors.training import lines
from feint.runs.recipes import Making, Recipe
from feint.tuning.landscape import LandscapeTuner
from feint.tuning.search import found_by

SCORER = "scorer."


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
class Material:
    """What a job works on: the images at one size, and which rows train, are held out, and are unlabelled."""

    normal: Pixels
    unlabelled: Pixels
    training: np.ndarray
    held_out: np.ndarray
    pool: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Job(ABC):
    """What every job has: a name, what it works on, a seed, and the one file it leaves. `cost` is for the order."""

    id: str
    material: Material
    seed: int
    cost: float = field(default=1.0, compare=False)

    def file(self, jobs: Path) -> Path:
        """Return the file that the job leaves."""
        return jobs / f"{self.id}.safetensors"

    def done(self, jobs: Path) -> bool:
        """Whether the job has left its file."""
        return self.file(jobs).exists()

    @property
    @abstractmethod
    def ticks(self) -> int:
        """Lines this job will log."""

    @abstractmethod
    def execute(self, jobs: Path, logs: Path) -> None:
        """Do the work, tell of it in the logs, and leave the file."""


@dataclass(frozen=True, kw_only=True)
class LandscapeJob(Job):
    """The landscape of one augmentation, searched. Leaves `<id>.safetensors`: points, scores, and the best's scorer."""

    making: Making
    tuner: LandscapeTuner
    points: int

    @property
    def ticks(self) -> int:
        """Lines this job will log."""
        return lines(self.tuner.steps) + self.points

    def execute(self, jobs: Path, logs: Path) -> None:
        """Train over all magnitudes, score at many, and look for the best."""
        of = self.material
        with JobLog(logs / f"{self.id}.jsonl", self.id) as log:
            normals = of.normal.rows(of.training)
            landscape = self.tuner.fit(
                normals,
                policy=self.making.policy(),
                seed=seed_of(self.seed, self.id),
                log=lambda step, loss: log(step=step, training_loss=loss),
            )
            found = found_by(
                landscape,
                normals,
                held_out=of.normal.rows(of.held_out),
                unlabelled=of.unlabelled.rows(of.pool),
                points=self.points,
                seed=seed_of(self.seed, self.id),
                log=lambda point, value: log(point=point, two_sample_auroc=value),
            )
            best = landscape.at(found.points[int(found.smoothed.argmax())], normals)
        leave(self.file(jobs), found._asdict() | state_of(best))


@dataclass(frozen=True)
class Searched:
    """What a landscape left behind: see `feint.tuning.search.Found`."""

    points: np.ndarray
    values: np.ndarray
    smoothed: np.ndarray
    held_out: np.ndarray
    unlabelled: np.ndarray


def load_searched(job: LandscapeJob, jobs: Path) -> Searched:
    """Read a finished landscape."""
    tensors = load_file(job.file(jobs))
    return Searched(**{each.name: tensors[each.name].numpy() for each in fields(Searched)})


@dataclass(frozen=True, kw_only=True)
class TrainingJob(Job):
    """One candidate. Leaves `<id>.safetensors`: its scores of `held_out` and `pool`, and its scorer.

    Where the training collapses the scores are NaN: that candidate fails, and the run goes on.
    """

    recipe: Recipe
    nuisances: tuple[str, ...]
    device: str

    @property
    def ticks(self) -> int:
        """Lines this job will log."""
        return self.recipe.lines

    def execute(self, jobs: Path, logs: Path) -> None:
        """Fit and score."""
        with JobLog(logs / f"{self.id}.jsonl", self.id) as log:
            try:
                left = self._left(lambda step, loss: log(step=step, training_loss=loss))
            except CollapseError:
                sizes = {"held_out": len(self.material.held_out), "unlabelled": len(self.material.pool)}
                left = {name: torch.full((n,), torch.nan) for name, n in sizes.items()}
        leave(self.file(jobs), left)

    def _left(self, log: Callable[[int, float], None]) -> dict[str, Tensor]:
        """Return the scores and the scorer."""
        of, seed = self.material, seed_of(self.seed, self.id)
        normals = of.normal.rows(of.training)
        if self.recipe.learns_from_pool:
            held_out = of.normal.rows(of.held_out)
            found = self.recipe.cross_fit(
                normals, of.unlabelled.rows(of.pool), held_out,
                nuisances=self.nuisances, device=self.device, seed=seed,
            )  # fmt: skip
            scores = {"held_out": found.held_out, "unlabelled": found.pool}
            return scores | state_of(joined(found.scorers, held_out))
        scorer = self.recipe.fit(normals, nuisances=self.nuisances, device=self.device, seed=seed, log=log)
        return {
            "held_out": score_rows(scorer, of.normal, of.held_out),
            "unlabelled": score_rows(scorer, of.unlabelled, of.pool),
        } | state_of(scorer)


def load_scores(job: TrainingJob, jobs: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the scores of a finished candidate: of the held-out normal images (m,) and of the pool (n,)."""
    tensors = load_file(job.file(jobs))
    return tensors["held_out"].numpy(), tensors["unlabelled"].numpy()


def joined(scorers: Sequence[Scorer], shown: Tensor) -> Committee:
    """Return the committee of the folds' scorers, in units from `shown` normal images; the only one, if it is one."""
    if len(scorers) == 1 and isinstance(scorers[0], Committee):
        return scorers[0]
    return Committee(
        scorers,
        units=[unit_of(score_images(each, shown)) for each in scorers],
        map_units=[(0.0, 1.0)] * len(scorers),
    )


def execute(job: Job, jobs: Path, logs: Path) -> str:
    """Run one job in whatever process this is; returns its id."""
    job.execute(jobs, logs)
    return job.id


def score_rows(scorer: Scorer, pixels: Pixels, rows: np.ndarray) -> Tensor:
    """Return the scores (n,) of the chosen rows, chunk by chunk; empty where none is chosen."""
    found = [
        score_images(scorer, pixels.rows(rows[i : i + SCORED_AT_ONCE])) for i in range(0, len(rows), SCORED_AT_ONCE)
    ]
    return torch.cat([torch.empty(0), *found])


def state_of(scorer: Scorer) -> dict[str, Tensor]:
    """Return the state of a scorer as the tensors that a job leaves; see `scorer_state`."""
    return {f"{SCORER}{name}": value.cpu() for name, value in scorer.state_dict().items()}


def scorer_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the scorer among the tensors that a job left."""
    return {name.removeprefix(SCORER): value for name, value in tensors.items() if name.startswith(SCORER)}


def leave(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write the one file of a job, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(save({name: value.contiguous().clone() for name, value in tensors.items()}))


class JobLog:
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
