"""Jobs that leave voters: the committee that judges new images, one for each fold of the pool, and their scores."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from feint.core.detector import Scorer, as_unit, score_images, thinned
from feint.core.streams import seed_of
from feint.detectors.committee import Committee, Unit, unit_of
from feint.runs.jobs import Job, JobLog, Pixels, joined, leave, score_rows, scorer_state, state_of
from feint.runs.recipes import Recipe, Voters

MAPPED = 32
MOST_VALUES = 100_000


@dataclass(frozen=True, kw_only=True)
class CommitteeJob(Job, ABC):
    """A job that leaves voters and their scores: of some normal images, and of all `images` unlabelled ones."""

    voters: Voters
    images: int

    def write(self, committees: Sequence[Committee], folds: Tensor, *, judged: np.ndarray, jobs: Path) -> None:
        """Leave a committee for each fold, with scores of all unlabelled images, each by its fold, and of `judged`."""
        of = self.material
        whole = joined(committees, of.normal.rows(of.held_out[:MAPPED]))
        pool = torch.stack([score_rows(each, of.unlabelled, np.arange(self.images)) for each in committees])
        tensors = state_of(whole)
        tensors["judged"] = score_rows(whole, of.normal, judged)
        tensors["folds"] = folds
        tensors["unlabelled"] = pool.gather(0, folds[None])[0]
        leave(self.file(jobs), tensors)


@dataclass(frozen=True, kw_only=True)
class FinalJob(CommitteeJob):
    """The voters, fitted once more. Leaves `<id>.safetensors`: them, and their scores.

    They score `judged` and all unlabelled images, those too that are no part of the pool.

    Where one of them learns from the pool, each fold of the pool has a committee of its own, which has not seen it;
    new images are judged by all of these together. Such a voter is fitted on the `material` as it was when it was
    weighed; the others on the `normals`.

    Args:
        units: centre and spread of each voter's scores, from normal images that neither train nor calibrate it.
        normals: rows of the normal images to fit on. judged: rows of normal images to score.
    """

    normals: np.ndarray
    judged: np.ndarray
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
        with JobLog(logs / f"{self.id}.jsonl", self.id) as log:
            normals = of.normal.rows(self.normals)
            fitted = [
                None if recipe.learns_from_pool else self._fit(recipe, k, normals, log)
                for k, recipe in enumerate(self.voters.recipes)
            ]
            committees, folds = self._committees(fitted, normals[:MAPPED])
        self.write(committees, folds, judged=self.judged, jobs=jobs)

    def _fit(self, recipe: Recipe, k: int, normals: Tensor, log: Callable[..., None]) -> Scorer:
        seed = seed_of(self.seed, self.id, k)
        return recipe.fit(
            normals, nuisances=self.nuisances, device=self.device, seed=seed,
            log=lambda step, loss: log(voter=k, step=step, training_loss=loss),
        )  # fmt: skip

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


@dataclass(frozen=True)
class Finished:
    """What a final job left behind: who judges new images, who each fold of the pool, and scores."""

    whole: Committee
    by_fold: list[Committee]
    folds: np.ndarray
    judged: np.ndarray
    unlabelled: np.ndarray


def load_finished(job: CommitteeJob, jobs: Path) -> Finished:
    """Read the voters of a finished job."""
    tensors = load_file(job.file(jobs))
    channels, height, width = job.material.normal.open().shape[1:]
    whole = job.voters.empty(channels, (height, width))
    whole.load_state_dict(scorer_state(tensors))
    by_fold = [each for each in whole.members if isinstance(each, Committee)] if job.voters.folds > 1 else [whole]
    return Finished(whole, by_fold, tensors["folds"].numpy(), tensors["judged"].numpy(), tensors["unlabelled"].numpy())


def judge_rows(job: CommitteeJob, jobs: Path, *, rows: np.ndarray) -> np.ndarray:
    """Return scores (1 + folds, n) of chosen normal images: as new ones, and by the committee of each fold.

    Meant for a worker, as its threads are.
    """
    finished = load_finished(job, jobs)
    scorers = [finished.whole, *finished.by_fold]
    return np.stack([score_rows(each, job.material.normal, rows).numpy() for each in scorers])


def map_rows(job: CommitteeJob, jobs: Path, *, requests: list[tuple[Pixels, np.ndarray]]) -> list[np.ndarray]:
    """Return the anomaly maps (n, h, w) for the rows of each request."""
    whole = load_finished(job, jobs).whole
    with torch.no_grad():
        return [whole.map(as_unit(pixels.rows(rows))).numpy() for pixels, rows in requests]


@torch.no_grad()
def map_unit_of(scorer: Scorer, shown: Tensor) -> Unit:
    """Return the median and the quartile distance of the maps of `shown` images (n, c, h, w), uint8."""
    return unit_of(thinned(scorer.map(as_unit(shown)).flatten(), MOST_VALUES))
