"""What a learner makes of images: its embeddings and projections, and every label-free metric of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feint.augmentations.policies import MIXED, policy_named
from feint.augmentations.views import Views
from feint.core.augmentation import Mixture, PseudoAnomalies
from feint.core.detector import SCORED_AT_ONCE, as_unit, thinned
from feint.core.pretraining import Learner, TrainableEncoder
from feint.core.streams import stream
from feint.embeddings.pseudo import FEWEST, pseudo_probe
from feint.metrics.representations import Assessed, assess

PSEUDO: dict[str, PseudoAnomalies] = {
    "pseudo_probe": Mixture(policies=tuple(policy_named(name) for name in MIXED)),
    "pseudo_probe_cutpaste": policy_named("cutpaste"),
}
MOST_NUMBERS = 2**24
FEWEST_VIEWED, MOST_VIEWED, VIEWS_EACH = 128, 512, 10

Floats = NDArray[np.float32]
Metrics = dict[str, Assessed]
Ends = dict[str, Metrics]


@final
@dataclass(frozen=True, kw_only=True)
class Shown:
    """The images (n, c, h, w), uint8, and views of some, the same for every learner; `features` are the encoder's."""

    pixels: Tensor
    features: int
    views: tuple[Views, Views]
    seed: int
    tick: Callable[[], None]

    @cached_property
    def viewed(self) -> Tensor:
        """The images of which views are made, evenly spaced: twice as many as features, within [128, 512]."""
        return thinned(self.pixels, min(MOST_VIEWED, max(FEWEST_VIEWED, 2 * self.features)))

    def images(self) -> Iterator[Tensor]:
        """Yield the images, floats in [0, 1]."""
        for each in torch.split(self.pixels, SCORED_AT_ONCE):
            self.tick()
            yield as_unit(each)

    def through(self, views: Views | PseudoAnomalies, name: str) -> Iterator[Tensor]:
        """Yield a view, or a pseudo-anomaly, of each of those images; `name` is that of the stream."""
        for i, each in enumerate(torch.split(self.viewed, SCORED_AT_ONCE)):
            self.tick()
            yield views(as_unit(each), generator=stream(self.seed, "assess", name, i))

    @property
    def batches(self) -> int:
        """How many a learner is shown."""
        each = VIEWS_EACH + 2 + len(PSEUDO)
        return math.ceil(len(self.pixels) / SCORED_AT_ONCE) + each * math.ceil(len(self.viewed) / SCORED_AT_ONCE)


@final
@dataclass(frozen=True)
class Measured:
    """The metrics of one matrix, none where it is not finite, and the embeddings (n, d) they are of."""

    metrics: Metrics
    z: Floats


@torch.no_grad()
def has_projector(learner: Learner, shown: Shown) -> bool:
    """Tell whether a learner has a projector; one without projects to the embeddings."""
    few = as_unit(shown.pixels[:2])
    return not torch.equal(learner.project(few), cast("TrainableEncoder", learner.encoder).embed(few))


def measure(learner: Learner, shown: Shown, *, projector: bool) -> dict[str, Measured]:
    """Return what a learner makes of the images, at the encoder and, where it has one, at the projector."""
    ends = {"encoder": cast("TrainableEncoder", learner.encoder).embed}
    if projector:
        ends["projector"] = learner.project
    functions = list(ends.values())
    one, other = shown.views
    z = _embedded(functions, shown.images())
    repeated = [_embedded(functions, shown.through(one, f"lidar-{k}")) for k in range(VIEWS_EACH)]
    pair = [_embedded(functions, shown.through(views, name)) for views, name in ((one, "first"), (other, "second"))]
    clean = [thinned(torch.from_numpy(each), len(shown.viewed)).numpy() for each in z]
    pseudo = {kind: _embedded(functions, shown.through(policy, kind)) for kind, policy in PSEUDO.items()}
    found = {}
    for i, end in enumerate(ends):
        rows = z[i][evenly(len(z[i]), MOST_NUMBERS // z[i].shape[1])]
        views = np.stack([each[i] for each in repeated], axis=1)
        finite = bool(np.isfinite(rows).all())
        metrics = assess(rows, seed=shown.seed, views=views, pair=(pair[0][i], pair[1][i])) if finite else {}
        if finite:
            metrics |= {kind: _told_apart(clean[i], each[i], seed=shown.seed) for kind, each in pseudo.items()}
        found[end] = Measured(metrics, rows)
    return found


def _told_apart(z: Floats, pseudo: Floats, *, seed: int) -> Assessed:
    why = "" if np.ptp(z, axis=0).any() else "all embeddings are the same"
    if len(z) < FEWEST:
        why = f"needs {FEWEST} images"
    return Assessed(
        value=math.nan if why else pseudo_probe(z, pseudo, seed=seed),
        direction="up",
        n=z.shape[0],
        d=z.shape[1],
        centring="none",
        eps=None,
        dtype=str(z.dtype),
        note=why,
    )


@torch.no_grad()
def _embedded(functions: Sequence[Callable[[Tensor], Tensor]], batches: Iterator[Tensor]) -> list[Floats]:
    """Return what each function gives for all images, (n, d)."""
    found: list[list[Floats]] = [[] for _ in functions]
    for batch in batches:
        for rows, function in zip(found, functions, strict=True):
            rows.append(function(batch).float().numpy())
    return [np.concatenate(each) for each in found]


def evenly(n: int, most: int) -> NDArray[np.intp]:
    """Return at most `most` of the n rows, evenly spaced."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)
