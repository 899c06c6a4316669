"""What was weighed, kept: every candidate of a run with its scorer, so that labels can judge the choice later."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from feint.core.detector import Scorer
from feint.core.errors import IntegrityError
from feint.core.files import atomic, sha256_of, write_text
from feint.data import open_images
from feint.detectors.committee import Unit
from feint.records.run import PreprocessingRecord
from feint.runs.choosing import ENSEMBLE, Choice, scores_of, vote
from feint.runs.jobs import load_searched, scorer_state
from feint.runs.landscapes import Landscapes
from feint.runs.preparing import Prepared
from feint.runs.recipes import FOLDS, Recipe, blank
from feint.runs.score import scores_of_images
from feint.runs.scored import csv_text

FOLDER, TABLE, LIST = "candidates", "candidates.csv", "candidates.json"
LANDSCAPES = "landscapes.safetensors"


class Weighed(BaseModel):
    """One candidate: how it was made, for which images, and the unit in which it votes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    recipe: Recipe
    preprocessing: PreprocessingRecord
    unit: Unit

    @property
    def file(self) -> str:
        """Where its scorer lies in the run's folder."""
        return f"{FOLDER}/{self.name}.safetensors"

    def load(self, path: Path) -> Scorer:
        """Return its scorer from its file; raises IntegrityError where that holds another one."""
        shape, folds = self.preprocessing, FOLDS if self.recipe.learns_from_pool else 1
        members = [self.recipe.empty(shape.channels, (shape.height, shape.width)) for _ in range(folds)]
        empty = members[0] if folds == 1 else blank(members)
        try:
            empty.load_state_dict(scorer_state(load_file(path)))
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise IntegrityError(f"{path} does not fit {LIST} beside it: {reason}. Tune again.") from error
        return empty


class WeighedList(BaseModel):
    """candidates.json: every sound candidate, which of them vote in the ensemble, if there is one, and the files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: list[Weighed]
    voters: list[str]
    sha256: dict[str, str]

    def intact(self, folder: Path, name: str) -> Path:
        """Return the path of a file of the run; raises IntegrityError unless it is the one that was written."""
        path = folder / name
        if not path.is_file():
            raise IntegrityError(f"{path} is missing: the run is not complete. Copy the whole folder, or tune again.")
        if sha256_of(path) != self.sha256.get(name):
            raise IntegrityError(
                f"{path} is not the file that this run wrote: it was cut short or changed. Copy it again, or tune "
                "again."
            )
        return path


def write_weighed(folder: Path, *, data: Prepared, choice: Choice, landscapes: Landscapes, jobs: Path) -> None:
    """Write into a run's folder the candidates' scores of the unlabelled images, their scorers, and the landscapes."""
    (folder / FOLDER).mkdir(exist_ok=True)
    columns: dict[str, object] = {"path": [data.unlabelled_names[i] for i in data.pool]}
    columns |= {name: scores_of(choice, c)[1] for c, name in enumerate(choice.names)}
    write_text(folder / TABLE, csv_text(pd.DataFrame(columns)))
    _write_landscapes(folder / LANDSCAPES, landscapes, jobs)
    weighed = [
        Weighed(name=each.name, recipe=each.recipes[0], preprocessing=data.preprocessing[each.px], unit=each.unit(0))
        for each in choice.candidates
    ]
    for of, each in zip(choice.candidates, weighed, strict=True):
        shutil.copyfile(jobs / f"{of.job}.safetensors", folder / each.file)
    listed = WeighedList(
        candidates=weighed,
        voters=[each.name for each in choice.voters] if ENSEMBLE in choice.names else [],
        sha256={name: sha256_of(folder / name) for name in (TABLE, LANDSCAPES, *(each.file for each in weighed))},
    )
    write_text(folder / LIST, listed.model_dump_json(indent=2))


def _write_landscapes(path: Path, landscapes: Landscapes, jobs: Path) -> None:
    """Write the scores of the unlabelled images at every point of every landscape, in the order of their records."""
    every = [job for per_rotation in landscapes.values() for job in per_rotation[0]]
    tensors = {
        f"{i:03d}": torch.from_numpy(load_searched(job, jobs).unlabelled[: job.points]) for i, job in enumerate(every)
    }
    with atomic(path) as temporary:
        temporary.write_bytes(save(tensors))


def _read_list(folder: Path) -> WeighedList:
    path = folder / LIST
    try:
        return WeighedList.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"{path} is missing, cut short or changed: {reason}. Tune again.") from error


@dataclass(frozen=True)
class Table:
    """Scores (n,) of every candidate by name, of images by path."""

    paths: tuple[str, ...]
    scores: dict[str, np.ndarray]


def read_weighed(folder: Path) -> Table:
    """Return the scores of the unlabelled images by which candidates were weighed."""
    path = _read_list(folder).intact(folder, TABLE)
    table = pd.read_csv(path, dtype={"path": str}, keep_default_na=False)
    names = [str(name) for name in table.columns[1:]]
    return Table(tuple(table["path"]), {name: table[name].to_numpy(dtype=np.float64) for name in names})


def read_landscapes(folder: Path) -> list[np.ndarray]:
    """Return the scores (k, n) of the unlabelled images at the points of each landscape."""
    tensors = load_file(_read_list(folder).intact(folder, LANDSCAPES))
    return [tensors[name].numpy() for name in sorted(tensors)]


def score_weighed(folder: Path, images: Path) -> Table:
    """Return the scores of other images by every candidate, those that learned from the pool by all folds together."""
    listed, opened = _read_list(folder), open_images(images, role="unlabelled")
    paths: tuple[str, ...] = ()
    scores: dict[str, np.ndarray] = {}
    for each in listed.candidates:
        scorer = each.load(listed.intact(folder, each.file))
        paths, scores[each.name] = scores_of_images(scorer, each.preprocessing, opened)
    if listed.voters:
        units = [each.unit for name in listed.voters for each in listed.candidates if each.name == name]
        scores[ENSEMBLE] = vote([scores[name] for name in listed.voters], units)
    return Table(paths, scores)
