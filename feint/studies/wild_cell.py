"""ONE experiment on representations, top to bottom: pretrain on contaminated images, judge what was learnt."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feint.augmentations.views import views_named
from feint.backends import Shared
from feint.core.detector import as_unit
from feint.core.pretraining import Learner
from feint.core.streams import stream
from feint.data.imbalance import Base, Level, TrainingSet, nested, split_labelled
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
from feint.studies.wild_supervised import supervised_logits

SUPERVISED = ("supervised", "supervised-weighted")
UNTRAINED = "untrained"
AT_ONCE = 64
VIEWED, VIEWS_EACH = 100, 10
MASKINGS = 8


@dataclass(frozen=True, kw_only=True)
class WildCell:
    """One pretraining at one level of contamination; `kind` is the method, or a reference.

    `task` is the level as it is written; `views` are those of the set, which a reference is only measured with;
    `images` is the fingerprint of the data and of how they are prepared.
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


@dataclass(frozen=True, kw_only=True)
class WildImages:
    """Labelled images by reference: pixels (n, c, h, w), labels (n,), groups and hashes (n)."""

    pixels: Shared
    labels: tuple[int, ...]
    groups: tuple[str, ...] | None
    hashes: tuple[str, ...]


def wild_experiment(cell: WildCell, images: WildImages) -> tuple[list[Result], dict[str, NDArray[np.generic]]]:
    """Return the results of a cell, and its arrays: the probe's logits of the balanced test set beside the labels."""
    pixels, labels = images.pixels.open(), np.array(images.labels)
    shares = (float(cell.settings["test_share"]), float(cell.settings["validation_share"]))
    split = split_labelled(labels, groups=images.groups, hashes=images.hashes, shares=shares, seed=cell.seed)
    seen, probed = (_drawn(cell, labels[split.pool], level) for level in (cell.level, cell.probe_level))
    seen, probed = split.pool[seen], split.pool[probed]
    test = split.test_natural
    if cell.kind in SUPERVISED:
        weighted = cell.kind == "supervised-weighted"
        logits = supervised_logits(cell, pixels, probed, labels[probed], test, weighted=weighted)
        found = judge_logits(logits, labels, split, learned=float(labels[probed].mean()), rows=test)
        return _told(cell, found), {"wild.logits": logits, "wild.rows": test, "wild.labels": labels[test]}
    encoder, learner = _pretrained(cell, pixels[seen])
    everything = np.unique(np.concatenate([seen, probed, split.val_balanced, test]))
    parts = Parts(
        z=_embedded(encoder, pixels[everything]), rows=everything, labels=labels, split=split, seen=seen, probed=probed
    )
    found, logits = judge_probes(parts, seed=cell.seed)
    found |= judge_scorers(parts, seed=cell.seed)
    found |= _label_free(cell, encoder, learner, pixels, parts)
    if learner is not None and cell.kind == "mae":
        found |= _reconstruction(cell, learner, pixels[split.test_balanced], labels[split.test_balanced])
    return _told(cell, found), {"wild.logits": logits, "wild.rows": test, "wild.labels": labels[test]}


def _drawn(cell: WildCell, labels: NDArray[np.int_], level: Level) -> NDArray[np.intp]:
    """Return the rows of the pool that make the training set of a level; all levels of the study have one size."""
    levels = list(dict.fromkeys([*cell.levels, cell.probe_level]))
    sets: tuple[TrainingSet, ...] = nested(labels, levels, total=cell.total, base=cell.base, seed=cell.seed).sets
    return next(each.rows for each in sets if each.level == level)


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
def _embedded(encoder: Architecture, pixels: NDArray[np.uint8]) -> Floats:
    """Return the embeddings (n, e) of images (n, c, h, w), uint8."""
    encoder.eval()
    return _in_chunks(encoder.embed, as_unit(torch.from_numpy(pixels)))


def _in_chunks(function: Callable[[Tensor], Tensor], images: Tensor) -> Floats:
    return torch.cat([function(each) for each in torch.split(images, AT_ONCE)]).double().numpy()


@torch.no_grad()
def _label_free(
    cell: WildCell, encoder: Architecture, learner: Learner | None, pixels: NDArray[np.uint8], parts: Parts
) -> Values:
    """Return the metrics of the images that were pretrained on, at the encoder and at the projector."""
    chance = stream(cell.seed, "assess")
    shown = as_unit(torch.from_numpy(pixels[parts.seen[torch.randperm(len(parts.seen), generator=chance)[:VIEWED]]]))
    one, other = views_named(cell.views)
    repeated = one(shown.repeat_interleave(VIEWS_EACH, 0), generator=chance)
    pair = one(shown, generator=chance), other(shown, generator=chance)
    ends: dict[str, Callable[[Tensor], Tensor]] = {"": encoder.embed}
    if learner is not None:
        learner.eval()
        ends["projector"] = learner.project
    found: Values = {}
    for at, function in ends.items():
        z = _in_chunks(function, as_unit(torch.from_numpy(pixels[parts.seen])))
        found |= judge_label_free(
            z,
            views=_in_chunks(function, repeated).reshape(len(shown), VIEWS_EACH, -1),
            pair=(_in_chunks(function, pair[0]), _in_chunks(function, pair[1])),
            seed=cell.seed,
            at=at,
        )
    return found


@torch.no_grad()
def _reconstruction(cell: WildCell, learner: Learner, pixels: NDArray[np.uint8], labels: NDArray[np.int_]) -> Values:
    """Return the AUROC of the masked error, the mean over maskings: MAE on its own terms."""
    assert isinstance(learner, MAELearner)
    unit = as_unit(torch.from_numpy(pixels))
    scores = reconstruction_errors(learner.autoencoder, unit, times=MASKINGS, generator=stream(cell.seed, "maskings"))
    return {"auroc:reconstruction": auroc_of(labels, scores.double().numpy())}


def _told(cell: WildCell, values: Values) -> list[Result]:
    return [Result(cell.task, cell.anomaly, name, value) for name, value in values.items() if math.isfinite(value)]
