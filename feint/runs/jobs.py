"""The units of work of a run: pure functions of settings, seeds and pixels, each leaving one file.

A job whose file exists is not run again: that is all there is to resuming.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from feint.core.detector import SCORED_AT_ONCE, Scorer, as_unit, score_images, thinned
from feint.core.errors import CollapseError
from feint.core.files import atomic
from feint.core.streams import seed_of
from feint.detectors.committee import Committee, Unit, unit_of
from feint.detectors.training import lines
from feint.runs.recipes import Making, Recipe, Voters
from feint.tuning.landscape import LandscapeTuner
from feint.tuning.search import found_by

MAPPED = 32
SCORER = "scorer."
MOST_VALUES = 100_000


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
class _Job:
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


@dataclass(frozen=True, kw_only=True)
class LandscapeJob(_Job):
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
        with _Log(logs / f"{self.id}.jsonl", self.id) as log:
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
        _write(self.file(jobs), found._asdict() | _state(best))


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
class TrainingJob(_Job):
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
        with _Log(logs / f"{self.id}.jsonl", self.id) as log:
            try:
                left = self._left(lambda step, loss: log(step=step, training_loss=loss))
            except CollapseError:
                sizes = {"held_out": len(self.material.held_out), "unlabelled": len(self.material.pool)}
                left = {name: torch.full((n,), torch.nan) for name, n in sizes.items()}
        _write(self.file(jobs), left)

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
            return scores | _state(joined(found.scorers, held_out))
        scorer = self.recipe.fit(normals, nuisances=self.nuisances, device=self.device, seed=seed, log=log)
        return {
            "held_out": score_rows(scorer, of.normal, of.held_out),
            "unlabelled": score_rows(scorer, of.unlabelled, of.pool),
        } | _state(scorer)


def load_scores(job: TrainingJob, jobs: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the scores of a finished candidate: of the held-out normal images (m,) and of the pool (n,)."""
    tensors = load_file(job.file(jobs))
    return tensors["held_out"].numpy(), tensors["unlabelled"].numpy()


@dataclass(frozen=True, kw_only=True)
class FinalJob(_Job):
    """The voters, fitted once more. Leaves `<id>.safetensors`: them, and their scores.

    They score `judged` and all unlabelled images, those too that are no part of the pool.

    Where one of them learns from the pool, each fold of the pool has a committee of its own, which has not seen it;
    new images are judged by all of these together. Such a voter is fitted on the `material` as it was when it was
    weighed; the others on the `normals`.

    Args:
        units: centre and spread of each voter's scores, from normal images that neither train nor calibrate it.
        normals: rows of the normal images to fit on. judged: rows of normal images to score. images: how many
            unlabelled ones there are.
    """

    normals: np.ndarray
    judged: np.ndarray
    images: int
    voters: Voters
    units: tuple[Unit, ...]
    nuisances: tuple[str, ...]
    device: str

    @property
    def ticks(self) -> int:
        """Lines this job will log."""
        return sum(each.lines for each in self.voters.recipes)

    def execute(self, jobs: Path, logs: Path) -> None:
        """Fit every voter and score."""
        of = self.material
        with _Log(logs / f"{self.id}.jsonl", self.id) as log:
            normals = of.normal.rows(self.normals)
            fitted = [
                None if recipe.learns_from_pool else self._fit(recipe, k, normals, log)
                for k, recipe in enumerate(self.voters.recipes)
            ]
            committees, folds = self._committees(fitted, normals[:MAPPED])
        whole = joined(committees, of.normal.rows(of.held_out[:MAPPED]))
        pool = torch.stack([score_rows(each, of.unlabelled, np.arange(self.images)) for each in committees])
        tensors = _state(whole)
        tensors["judged"] = score_rows(whole, of.normal, self.judged)
        tensors["folds"] = folds
        tensors["unlabelled"] = pool.gather(0, folds[None])[0]
        _write(self.file(jobs), tensors)

    def _fit(self, recipe: Recipe, k: int, normals: Tensor, log: Callable[..., None]) -> Scorer:
        seed = seed_of(self.seed, self.id, k)
        told = lambda step, loss: log(voter=k, step=step, training_loss=loss)  # noqa: E731
        return recipe.fit(normals, nuisances=self.nuisances, device=self.device, seed=seed, log=told)

    def _committees(self, fitted: Sequence[Scorer | None], shown: Tensor) -> tuple[list[Committee], Tensor]:
        """Return a committee for each fold of the pool, and the fold of each unlabelled image (n,)."""
        of = self.material
        folds = torch.zeros(self.images, dtype=torch.long)
        members: list[list[tuple[Scorer, Unit]]] = [[] for _ in range(self.voters.folds)]
        for recipe, scorer, unit in zip(self.voters.recipes, fitted, self.units, strict=True):
            if scorer is not None:
                for each in members:
                    each.append((scorer, unit))
                continue
            held_out = of.normal.rows(of.held_out)
            found = recipe.cross_fit(
                of.normal.rows(of.training), of.unlabelled.rows(of.pool), held_out,
                nuisances=self.nuisances, device=self.device, seed=self.seed,
            )  # fmt: skip
            folds[of.pool] = found.pool_fold
            for each, one in zip(members, found.scorers, strict=True):
                each.append((one, unit_of(score_images(one, held_out))))
        return [
            Committee(
                [scorer for scorer, _ in each],
                units=[unit for _, unit in each],
                map_units=[map_unit_of(scorer, shown) for scorer, _ in each],
            )
            for each in members
        ], folds


def joined(scorers: Sequence[Scorer], shown: Tensor) -> Committee:
    """Return the committee of the folds' scorers, in units from `shown` normal images; the only one, if it is one."""
    if len(scorers) == 1 and isinstance(scorers[0], Committee):
        return scorers[0]
    return Committee(
        scorers,
        units=[unit_of(score_images(each, shown)) for each in scorers],
        map_units=[(0.0, 1.0)] * len(scorers),
    )


Job = LandscapeJob | TrainingJob | FinalJob


def execute(job: Job, jobs: Path, logs: Path) -> str:
    """Run one job in whatever process this is; returns its id."""
    job.execute(jobs, logs)
    return job.id


@dataclass(frozen=True)
class Finished:
    """What a final job left behind: who judges new images, who each fold of the pool, and scores."""

    whole: Committee
    by_fold: list[Committee]
    folds: np.ndarray
    judged: np.ndarray
    unlabelled: np.ndarray


def load_finished(job: FinalJob, jobs: Path) -> Finished:
    """Read the voters of a finished job."""
    tensors = load_file(job.file(jobs))
    channels, height, width = job.material.normal.open().shape[1:]
    whole = job.voters.empty(channels, (height, width))
    whole.load_state_dict(scorer_state(tensors))
    by_fold = [each for each in whole.members if isinstance(each, Committee)] if job.voters.folds > 1 else [whole]
    return Finished(whole, by_fold, tensors["folds"].numpy(), tensors["judged"].numpy(), tensors["unlabelled"].numpy())


def judge_rows(job: FinalJob, jobs: Path, *, rows: np.ndarray) -> np.ndarray:
    """Return scores (1 + folds, n) of chosen normal images: as new ones, and by the committee of each fold.

    Meant for a worker, as its threads are.
    """
    finished = load_finished(job, jobs)
    scorers = [finished.whole, *finished.by_fold]
    return np.stack([score_rows(each, job.material.normal, rows).numpy() for each in scorers])


def map_rows(job: FinalJob, jobs: Path, *, requests: list[tuple[Pixels, np.ndarray]]) -> list[np.ndarray]:
    """Return the anomaly maps (n, h, w) for the rows of each request."""
    whole = load_finished(job, jobs).whole
    with torch.no_grad():
        return [whole.map(as_unit(pixels.rows(rows))).numpy() for pixels, rows in requests]


def score_rows(scorer: Scorer, pixels: Pixels, rows: np.ndarray) -> Tensor:
    """Return the scores (n,) of the chosen rows, chunk by chunk; empty where none is chosen."""
    found = [
        score_images(scorer, pixels.rows(rows[i : i + SCORED_AT_ONCE])) for i in range(0, len(rows), SCORED_AT_ONCE)
    ]
    return torch.cat([torch.empty(0), *found])


@torch.no_grad()
def map_unit_of(scorer: Scorer, shown: Tensor) -> Unit:
    """Return the median and the quartile distance of the maps of `shown` images (n, c, h, w), uint8."""
    return unit_of(thinned(scorer.map(as_unit(shown)).flatten(), MOST_VALUES))


def _state(scorer: Scorer) -> dict[str, Tensor]:
    return {f"{SCORER}{name}": value.cpu() for name, value in scorer.state_dict().items()}


def scorer_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the scorer among the tensors that a job left."""
    return {name.removeprefix(SCORER): value for name, value in tensors.items() if name.startswith(SCORER)}


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(save({name: value.contiguous().clone() for name, value in tensors.items()}))


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
