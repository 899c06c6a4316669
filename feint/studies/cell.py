"""ONE experiment, top to bottom: fit a detector on the images of one normal class, score all its tasks."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import feint
from feint.augmentations.policies import policy_named
from feint.backends import Shared
from feint.core.augmentation import Exposure, PseudoAnomalies, Unchanged
from feint.core.detector import Scorer, as_unit
from feint.core.errors import CollapseError, FeintError
from feint.core.streams import numpy_stream, stream
from feint.data.testbeds import NormalSet
from feint.studies.evaluating import Pixelwise, Result, evaluate_task
from feint.studies.plan import Setting, recipe_of

CHUNK = 256
CLOSE_UPS = 60
PICTURES = 4
PICTURE_PX = 64
OUTLIERS = 0.1


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training: a detector with an augmentation on a normal class with a seed; all of its tasks share it.

    `images` is the fingerprint of the data and of how they are prepared; `close_up` asks for embeddings and pictures.
    """

    detector: str
    kind: str
    settings: Mapping[str, Setting]
    augmentation: str
    data: str
    normal: str
    seed: int
    images: str
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


def run_cell(cell: Cell, images: Images) -> Outcome:
    """Fit, score, evaluate; an error becomes an outcome with its reason, so that it loses no other cell."""
    begun = time.monotonic()
    try:
        results, arrays = experiment(cell, images)
    except Exception as error:
        reason = str(error) if isinstance(error, FeintError) else f"{type(error).__name__}: {error}"
        return Outcome(reason=reason, traceback=traceback.format_exc(), seconds=time.monotonic() - begun)
    return Outcome(results=results, arrays=arrays, seconds=time.monotonic() - begun)


def experiment(cell: Cell, images: Images) -> tuple[list[Result], dict[str, NDArray[np.generic]]]:
    """Return the results of every task of a cell, and its arrays: scores by name, and, close up, what explains them."""
    seen = images.open()
    policy = policy_of(cell, images)
    scorer = recipe_of(cell.kind, dict(cell.settings)).fit(_tensor(seen.train), policy=policy, seed=cell.seed)
    test = seen.test
    scores = score_images(scorer, test)
    for name, found in scores.items():
        check_scores(found, name)
    pixelwise = pixelwise_of(seen, test, scorer)
    results = [
        result
        for task, pool in zip(seen.tasks, seen.pools, strict=True)
        for result in evaluate_task(
            task,
            {name: found[pool] for name, found in scores.items()},
            seen.kinds[pool] != 0,
            main=scorer.score,
            pixelwise=None if pixelwise is None else pixelwise.rows(pool),
        )
    ]
    arrays: dict[str, NDArray[np.generic]] = {f"scores.{name}": found for name, found in scores.items()}
    if cell.close_up:
        arrays |= close_up(cell, seen, test, scorer, policy)
    return results, arrays


def pixelwise_of(seen: NormalSet, test: NDArray[np.uint8], scorer: Scorer) -> Pixelwise | None:
    """Return the anomaly maps of all `test` images beside their ground truth; None where there is none."""
    masks, known = seen.masks, seen.masked
    if masks is None or known is None:
        return None
    return Pixelwise(maps=map_images(scorer, test), masks=masks, known=known)


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
    return policy_named(cell.augmentation)


def check_scores(scores: NDArray[np.floating], name: str) -> None:
    """Raise CollapseError where scores are not finite or all the same: such a detector has learnt nothing."""
    if not np.isfinite(scores).all():
        raise CollapseError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} values of {name} are not finite.")
    if np.ptp(scores) <= 1e-7 * np.abs(scores).max():
        raise CollapseError(f"all {len(scores)} values of {name} are {scores[0]:.6g}: the detector has collapsed.")


@torch.no_grad()
def score_images(scorer: Scorer, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return every score (n,) that the scorer gives of images (n, c, h, w), uint8."""
    found = [scorer.all_scores(chunk) for chunk in _chunks(images)]
    return {name: torch.cat([each[name].cpu() for each in found]).float().numpy() for name in found[0]}


@torch.no_grad()
def map_images(scorer: Scorer, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return anomaly maps (n, h, w) of images (n, c, h, w), uint8."""
    return torch.cat([scorer.map(chunk).cpu() for chunk in _chunks(images)]).float().numpy()


@torch.no_grad()
def close_up(
    cell: Cell, seen: NormalSet, test: NDArray[np.uint8], scorer: Scorer, policy: PseudoAnomalies | None
) -> dict[str, NDArray[np.generic]]:
    """Return, for a few images of each kind, scores, embeddings, pictures and maps, as `close.PART.KIND`.

    Kinds are "train", "pseudo" and the names of the test images' kinds, as `test:NAME`.
    """
    groups = {f"test:{name}": _few(test[seen.kinds == kind]) for kind, name in enumerate(seen.names)}
    units = {name: as_unit(_tensor(found)) for name, found in (groups | {"train": _few(seen.train)}).items()}
    if policy is not None:
        units["pseudo"] = policy(units["train"], generator=stream(cell.seed, "close up"))
    found: dict[str, NDArray[np.generic]] = {}
    for name, unit in units.items():
        shown = unit[:PICTURES]
        step = -(-max(shown.shape[2:]) // PICTURE_PX)
        pictures = (shown[..., ::step, ::step].clamp(0, 1) * 255).round().to(torch.uint8)
        found[f"close.scores.{name}"] = scorer(unit).float().numpy()
        found[f"close.embeddings.{name}"] = scorer.embed(unit).half().numpy()
        found[f"close.pictures.{name}"] = pictures.numpy()
        found[f"close.maps.{name}"] = scorer.map(shown)[..., ::step, ::step].half().numpy()
    return found


def _few(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return at most `CLOSE_UPS` evenly spaced images."""
    chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), CLOSE_UPS)).astype(int))
    return np.array(images[chosen])


def _chunks(images: NDArray[np.uint8]) -> list[Tensor]:
    return [as_unit(_tensor(images[i : i + CHUNK])) for i in range(0, len(images), CHUNK)]


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.array(images))


@cache
def code_version() -> str:
    """Return the hash of the code that decides results: a change of it makes other cells of the same settings."""
    root = Path(feint.__file__).parent
    digest = hashlib.sha256(feint.__version__.encode())
    rooms = ("core", "augmentations", "networks", "detectors", "metrics", "data")
    files = [*(file for room in rooms for file in sorted((root / room).rglob("*.py"))), Path(__file__)]
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
