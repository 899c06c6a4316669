"""ONE experiment on representations, top to bottom: pretrain on contaminated images, judge what was learnt."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feint.augmentations.views import views_named
from feint.backends import Shared
from feint.core.detector import SCORED_AT_ONCE, as_unit
from feint.core.pretraining import Learner
from feint.core.streams import stream
from feint.data.imbalance import Base, LabelledSplit, Level, NestedSets, nested, split_labelled
from feint.networks.architectures import Architecture, build
from feint.networks.masked_autoencoder import reconstruction_errors
from feint.pretraining import METHODS
from feint.pretraining.mae import MAELearner
from feint.pretraining.optimisation import usual
from feint.pretraining.training import Pretraining, Training
from feint.studies.cell import code_version
from feint.studies.evaluating import Result
from feint.studies.plan import Setting
from feint.studies.wild_judging import (
    Floats,
    Parts,
    Values,
    auroc_of,
    judge_label_free,
    judge_logits,
    judge_probes,
    judge_scorers,
)
from feint.studies.wild_pseudo import pseudo_criteria
from feint.studies.wild_supervised import supervised_logits

SUPERVISED = ("supervised", "supervised-weighted")
UNTRAINED = "untrained"
VIEWED, VIEWS_EACH = 100, 10
MASKINGS = 8


@dataclass(frozen=True, kw_only=True)
class WildCell:
    """One pretraining at one level of contamination; `kind` is the method, or a reference.

    `task` is the level as it is written; `views` are those of the set, which a reference is only measured with;
    `images` is the fingerprint of the data and of how they are prepared. The training sets have `total` images, or,
    where that is None, as many as all of `levels` can have.
    """

    detector: str
    kind: str
    encoder: str
    settings: Mapping[str, Setting]
    augmentation: str
    data: str
    normal: str
    anomaly: str
    seed: int
    images: str
    task: str
    views: str
    level: Level
    probe_level: Level
    levels: tuple[Level, ...]
    base: Base
    total: int | None

    @property
    def key(self) -> str:
        """The hash of everything that decides the result, the code's version among it."""
        text = json.dumps([asdict(self), code_version()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def training(self) -> Training:
        """Return how its encoder is trained."""
        steps, batch = int(self.settings["steps"]), int(self.settings["batch"])
        return Training(optimisation=usual(self.encoder, batch=batch), steps=steps, batch=batch, seed=self.seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class WildImages:
    """Labelled images by reference: pixels (n, c, h, w), labels (n,), groups and hashes (n), pairs (p, 2) of copies."""

    pixels: Shared
    labels: NDArray[np.int_]
    groups: tuple[str, ...] | None
    hashes: tuple[str, ...]
    alike: NDArray[np.intp]


def divided(cell: WildCell, images: WildImages) -> LabelledSplit:
    """Return what each image is for, by the seed of the cell: what shows one thing stays together."""
    shares = (float(cell.settings["test_share"]), float(cell.settings["validation_share"]))
    return split_labelled(
        images.labels, groups=images.groups, hashes=images.hashes, alike=images.alike, shares=shares, seed=cell.seed
    )


def drawn(cell: WildCell, labels: NDArray[np.int_], level: Level) -> NestedSets:
    """Return the training set of a level, from the `labels` of the pool; all levels of the study have one size.

    Raises: InputError for a pool that is too small for it.
    """
    total = cell.total or nested(labels, cell.levels, base=cell.base, seed=cell.seed).total
    return nested(labels, [level], total=total, base=cell.base, seed=cell.seed)


def wild_experiment(cell: WildCell, images: WildImages) -> tuple[list[Result], dict[str, NDArray[np.generic]]]:
    """Return the results of a cell, and its arrays: the logits of the natural test images, their rows and labels."""
    pixels, labels, split = images.pixels.open(), images.labels, divided(cell, images)
    seen, probed = (
        split.pool[drawn(cell, labels[split.pool], level).sets[0].rows] for level in (cell.level, cell.probe_level)
    )
    test = split.test_natural
    if cell.kind in SUPERVISED:
        weighted = cell.kind == "supervised-weighted"
        logits = supervised_logits(cell, pixels, probed, labels[probed], test, weighted=weighted)
        learned = 0.5 if weighted else float(labels[probed].mean())
        found = judge_logits(logits, labels, split, learned=learned, rows=test)
        return _told(cell, found), {"wild.logits": logits, "wild.rows": test, "wild.labels": labels[test]}
    encoder, learner = _pretrained(cell, pixels[seen])
    everything = np.unique(np.concatenate([seen, probed, split.val_balanced, test]))
    encoder.eval()
    z = _in_chunks(encoder.embed, _units(pixels, everything))
    parts = Parts(z=z, rows=everything, labels=labels, split=split, seen=seen, probed=probed)
    found, logits = judge_probes(parts, seed=cell.seed)
    found |= judge_scorers(parts, seed=cell.seed)
    found |= _label_free(cell, encoder, learner, pixels, parts)
    found |= pseudo_criteria(
        lambda each: _in_chunks(encoder.embed, torch.split(each, SCORED_AT_ONCE)), pixels[seen], seed=cell.seed
    )
    if isinstance(learner, MAELearner):
        errors = _reconstruction_errors(learner, _units(pixels, split.test_balanced), seed=cell.seed)
        found["auroc:reconstruction"] = auroc_of(labels[split.test_balanced], errors)
    return _told(cell, found), {"wild.logits": logits, "wild.rows": test, "wild.labels": labels[test]}


def _pretrained(cell: WildCell, pixels: NDArray[np.uint8]) -> tuple[Architecture, Learner | None]:
    """Return the encoder, pretrained on `pixels` without a label, and what trained it; None where nothing did."""
    masked = cell.kind in METHODS and METHODS[cell.kind].transformers_only
    encoder = build(
        cell.encoder,
        channels=pixels.shape[1],
        size=(pixels.shape[2], pixels.shape[3]),
        readout="mean" if masked else "both",
        seed=cell.seed,
    )
    if cell.kind == UNTRAINED:
        return encoder, None
    learner = METHODS[cell.kind]().learner(encoder, seed=cell.seed)
    Pretraining(learner, pixels, views_named(cell.views), training=cell.training()).run(lambda _: None)
    return encoder, learner


@torch.no_grad()
def _in_chunks(function: Callable[[Tensor], Tensor], chunks: Iterable[Tensor]) -> Floats:
    """Return what `function` makes of chunks of images in [0, 1], (k, e)."""
    return torch.cat([function(each) for each in chunks]).double().numpy()


def _units(pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[Tensor]:
    """Yield the images at `rows` in [0, 1], in chunks: no more of them are in memory at once."""
    for start in range(0, len(rows), SCORED_AT_ONCE):
        yield as_unit(torch.from_numpy(pixels[rows[start : start + SCORED_AT_ONCE]]))


@torch.no_grad()
def _label_free(
    cell: WildCell, encoder: Architecture, learner: Learner | None, pixels: NDArray[np.uint8], parts: Parts
) -> Values:
    """Return the metrics of the images that were pretrained on, at the encoder and at the projector."""
    chance = stream(cell.seed, "assess")
    shown = as_unit(torch.from_numpy(pixels[parts.seen[torch.randperm(len(parts.seen), generator=chance)[:VIEWED]]]))
    one, other = views_named(cell.views)
    repeated = one(shown.repeat_interleave(VIEWS_EACH, 0), generator=chance)
    one_view, other_view = one(shown, generator=chance), other(shown, generator=chance)
    ends: dict[str, Callable[[Tensor], Tensor]] = {"": encoder.embed}
    if learner is not None:
        learner.eval()
        ends["projector"] = learner.project
    found: Values = {}
    for at, function in ends.items():
        drawn_views, first, second = (
            _in_chunks(function, torch.split(each, SCORED_AT_ONCE)) for each in (repeated, one_view, other_view)
        )
        found |= judge_label_free(
            _in_chunks(function, _units(pixels, parts.seen)),
            views=drawn_views.reshape(len(shown), VIEWS_EACH, -1),
            pair=(first, second),
            seed=cell.seed,
            at=at,
        )
    return found


def _reconstruction_errors(learner: MAELearner, chunks: Iterable[Tensor], *, seed: int) -> Floats:
    """Return the masked errors (k,), the mean over maskings, the same for every chunk: MAE on its own terms."""
    return np.concatenate(
        [
            reconstruction_errors(
                learner.autoencoder, each, times=MASKINGS, generator=stream(seed, "maskings")
            ).double().numpy()
            for each in chunks
        ]
    )  # fmt: skip


def _told(cell: WildCell, values: Values) -> list[Result]:
    return [Result(cell.task, cell.anomaly, name, value) for name, value in values.items() if math.isfinite(value)]
