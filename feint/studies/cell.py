"""ONE experiment, top to bottom: fit a detector on the images of one normal class, score all its tasks."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

import feint
from feint.augmentations.policies import policy_for_training
from feint.backends import Shared
from feint.core.augmentation import Exposure, PseudoAnomalies, Unchanged
from feint.core.detector import PoolDetector, Scorer
from feint.core.errors import FeintError
from feint.core.streams import numpy_stream, stream
from feint.data.testbeds import NormalSet
from feint.studies.evaluating import Pixelwise, Result, evaluate_task
from feint.studies.plan import Setting, TunePool, recipe_of
from feint.studies.scoring import check_scores, close_up, map_images, score_images, tuning_arrays
from feint.studies.tune_pool import Share, shares
from feint.tuning.st_ssad import TunedScorer

OUTLIERS = 0.1
OWN = ("cell", "evaluating", "scoring", "tune_pool", "wild_cell", "wild_judging", "wild_pseudo", "wild_supervised")

CellT = TypeVar("CellT")
ImagesT = TypeVar("ImagesT")
Found = tuple[list[Result], dict[str, NDArray[np.generic]]]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training: a detector with an augmentation on a normal class with a seed; all of its tasks share it.

    A detector that learns from unlabelled images too is trained for each `task` of its own (such as `one-vs-one/7`;
    empty: all of them). `tune_pool` says which of a task's images it sees and on which it is judged, as all detectors
    of the plan are. `images` is the fingerprint of the data and of how they are prepared; `close_up` asks for
    embeddings and pictures.
    """

    detector: str
    kind: str
    settings: Mapping[str, Setting]
    augmentation: str
    data: str
    normal: str
    seed: int
    images: str
    task: str = ""
    tune_pool: TunePool | None = None
    close_up: bool = False

    @property
    def key(self) -> str:
        """The hash of everything that decides the result, the code's version among it."""
        decisive = {name: value for name, value in asdict(self).items() if name != "close_up"}
        text = json.dumps([decisive, code_version()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Images:
    """A normal set by reference: `described` without its pixels, which lie where every worker reaches them.

    `outliers` are the training images of other classes, by name, for outlier exposure.
    """

    described: NormalSet
    train: Shared
    pixels: Shared
    masks: Shared | None
    outliers: Mapping[str, Shared]

    def open(self) -> NormalSet:
        """Return the normal set, its pixels mapped."""
        pictures = replace(
            self.described.pictures,
            pixels=self.pixels.open(),
            masks=None if self.masks is None else self.masks.open(),
        )
        return replace(self.described, train=self.train.open(), pictures=pictures)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What comes of a cell: results and arrays, or the reason why there are none."""

    results: Sequence[Result] = ()
    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    traceback: str = ""


def run_cell(experiment: Callable[[CellT, ImagesT], Found], cell: CellT, images: ImagesT) -> Outcome:
    """Carry out the experiment of a cell; an error becomes an outcome with its reason, so that it loses no other."""
    begun = time.monotonic()
    try:
        results, arrays = experiment(cell, images)
    except Exception as error:
        reason = str(error) if isinstance(error, FeintError) else f"{type(error).__name__}: {error}"
        return Outcome(reason=reason, traceback=traceback.format_exc(), seconds=time.monotonic() - begun)
    return Outcome(results=results, arrays=arrays, seconds=time.monotonic() - begun)


def experiment(cell: Cell, images: Images) -> Found:
    """Return the results of every task of a cell, and its arrays: scores by name, and, close up, what explains them.

    The arrays of scores have a place for every test image; it is NaN where the image is of no task of the cell.
    """
    seen = images.open()
    mine = [each for each in shares(seen, cell.tune_pool, seed=cell.seed) if cell.task in {"", each.name}]
    scorer, policy = fit_cell(cell, images, seen, mine)
    rows = np.unique(np.concatenate([np.union1d(each.seen, each.judged) for each in mine]))
    whole = len(rows) == len(seen.kinds)
    test, kinds = (seen.test, seen.kinds) if whole else (seen.test[rows], seen.kinds[rows])
    scores = score_images(scorer, test)
    for name, found in scores.items():
        check_scores(found, name)
    pixelwise = pixelwise_of(seen, rows, test, scorer)
    results = []
    for share in mine:
        judged = np.searchsorted(rows, share.judged)
        results += evaluate_task(
            share.task,
            {name: found[judged] for name, found in scores.items()},
            kinds[judged] != 0,
            main=scorer.score,
            pixelwise=None if pixelwise is None else pixelwise.rows(judged),
        )
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, found in scores.items():
        arrays[f"scores.{name}"] = np.full(len(seen.kinds), np.nan, np.float32)
        arrays[f"scores.{name}"][rows] = found
    if isinstance(scorer, TunedScorer):
        arrays |= tuning_arrays(scorer.tuning)
    if cell.close_up:
        shown = {f"test:{name}": test[kinds == kind] for kind, name in enumerate(seen.names) if kind in kinds}
        arrays |= close_up(shown | {"train": seen.train}, scorer, policy, seed=cell.seed)
    return results, arrays


def fit_cell(
    cell: Cell, images: Images, seen: NormalSet, mine: Sequence[Share]
) -> tuple[Scorer, PseudoAnomalies | None]:
    """Return the fitted scorer of a cell, and what made, or would make, its pseudo-anomalies."""
    recipe = recipe_of(cell.kind, dict(cell.settings))
    normals = torch.from_numpy(np.array(seen.train))
    if not isinstance(recipe, PoolDetector):
        policy = policy_of(cell, images)
        return recipe.fit(normals, policy=policy, seed=cell.seed), policy
    (share,) = mine
    scorer: Scorer = recipe.fit(normals, torch.from_numpy(np.array(seen.test[share.seen])), seed=cell.seed)
    return scorer, scorer.tuning.policy if isinstance(scorer, TunedScorer) else None


def pixelwise_of(seen: NormalSet, rows: NDArray[np.intp], test: NDArray[np.uint8], scorer: Scorer) -> Pixelwise | None:
    """Return the anomaly maps of the `test` images, at `rows`, beside their ground truth; None where there is none."""
    masks, known = seen.masks, seen.masked
    if masks is None or known is None:
        return None
    return Pixelwise(maps=map_images(scorer, test), masks=masks[rows], known=known[rows])


def policy_of(cell: Cell, images: Images) -> PseudoAnomalies | None:
    """Return what makes the pseudo-anomalies of a cell.

    `oe-k` exposes to a tenth of class k's training images, the same for every seed; where k is the normal class, images
    stay as they are.
    """
    if cell.augmentation == "none":
        return None
    if cell.augmentation.startswith("oe-"):
        if (name := cell.augmentation.removeprefix("oe-")) == cell.normal:
            return Unchanged()
        others = images.outliers[name].open()
        count = max(1, round(OUTLIERS * len(others)))
        chosen = np.sort(numpy_stream(0, "outliers", cell.augmentation).choice(len(others), count, replace=False))
        return Exposure(images=torch.from_numpy(np.array(others[chosen])))
    return policy_for_training(
        cell.augmentation, generator=stream(cell.seed, "magnitudes", cell.augmentation, cell.data, cell.normal)
    )


@cache
def code_version() -> str:
    """Return the hash of the code that decides results: a change of it makes other cells of the same settings."""
    root = Path(feint.__file__).parent
    digest = hashlib.sha256(feint.__version__.encode())
    rooms = (
        "core", "augmentations", "networks", "detectors", "tuning", "metrics", "data", "pretraining", "embeddings",
    )  # fmt: skip
    own = [Path(__file__).with_name(f"{name}.py") for name in OWN]
    files = [*(file for room in rooms for file in sorted((root / room).rglob("*.py"))), *own]
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
