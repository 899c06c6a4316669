"""Learning from unlabelled images end to end: a small encoder that tells them from normal ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import softplus

from feint.core.augmentation import Policy
from feint.core.detector import Log, PoolDetector, Scorer, as_unit, check_settings, thinned
from feint.core.streams import seed_of, stream
from feint.detectors.density import PositionDensity, upsample
from feint.detectors.training import descend
from feint.networks.conv import GROUPS, Classifier

MAP_STAGE = 1
MOST_MAPPED = 500
CHUNK = 64


@final
class PoolClassifierScorer(Scorer):
    """The logit of "unlabelled, not normal"; maps are those of one Gaussian per position of the second stage's map.

    The map says where an image differs from the normal ones in the features learned, not what makes its logit: the
    head at single positions pointed away from planted defects, since GroupNorm carries the evidence to all of them.
    """

    def __init__(self, channels: int, size: tuple[int, int], *, width: int, depth: int) -> None:
        super().__init__(channels, size)
        self.classifier = Classifier(channels, width=width, depth=depth)
        with torch.no_grad():
            stage = self._stage(torch.zeros(1, channels, *size)).shape
        self.position = PositionDensity(stage[1], (stage[2], stage[3]))

    @torch.no_grad()
    def fit_maps(self, normals: Tensor) -> None:
        """Fit the density behind the maps on normal images (n, c, h, w), uint8; on 500 evenly spaced ones of more."""
        device = self.position.centre.device
        chunks = torch.split(thinned(normals, MOST_MAPPED), CHUNK)
        self.position.fit(torch.cat([self._stage(as_unit(chunk).to(device)) for chunk in chunks]))

    def _scores(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(images)[1]
        return logits

    def _embeddings(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.classifier.encoder(images)
        return embeddings

    def _stage(self, images: Tensor) -> Tensor:
        return self.classifier.encoder.maps(images)[MAP_STAGE]

    def _maps(self, images: Tensor) -> Tensor:
        return upsample(self.position(self._stage(images)), self.size)


@final
@dataclass(frozen=True, kw_only=True)
class PoolClassifier(PoolDetector[PoolClassifierScorer]):
    r"""A small encoder learns to tell unlabelled images from normal ones; few steps, lest it learn them by heart.

        R(g) = pi E_N[l(-g)] + max(0, E_U[l(g)] - pi E_N[l(g)]),   l(t) = ln(1 + exp(-t)),   score(x) = g(x)

    N are the normal images and U the unlabelled, a mixture of normal and anomalous ones of which the share pi is taken
    for normal: see `non_negative_risk`. It need not be the true one. With prior = None, all unlabelled images are taken
    for anomalous, R(g) = E_N[l(-g)] + E_U[l(g)]; the best g orders images alike.

    Args:
        width, depth: of the encoder.
        steps: optimiser steps; batch: normal images a step, and as many unlabelled ones.
        rate: peak learning rate of AdamW under a one-cycle schedule; weight_decay likewise.
        prior: pi. 0.9 and None did alike on average (`benchmarks/rival.py`).
        shift: how far each image is moved at random in training, as a share of its sides.
        nuisances: changes that must not count as anomalies, applied to every image in training.
        device: where the training runs; images stay where they are.

    Fails when: anomalies are few: it then finds whatever else tells the pool from the normal images, chance included.
    It has no idea of an anomaly that the pool does not hold, and takes a shift of the normal ones for one.
    Cost: steps * 2 batch encoder passes forward and backward.
    References: Kiryo, Niu, du Plessis, Sugiyama (NeurIPS 2017), arXiv:1703.00593; without a prior, Menon, van Rooyen,
    Ong, Williamson (ICML 2015): the AUROC between normal and unlabelled images grows with the true one.
    Deviations: the labelled class is the normal one; the prior is a fixed default, where theirs is known.
    """

    width: int = 16
    depth: int = 4
    steps: int = 100
    batch: int = 16
    rate: float = 2e-3
    weight_decay: float = 1e-2
    prior: float | None = 0.9
    shift: float = 0.05
    nuisances: tuple[Policy, ...] = field(default=())
    device: str = "cpu"

    def __post_init__(self) -> None:
        allowed = {
            "width": self.width >= GROUPS and self.width % GROUPS == 0,
            "depth": self.depth > MAP_STAGE,
            "steps": self.steps >= 0,
            "batch": self.batch >= 1,
            "prior": self.prior is None or 0 < self.prior < 1,
            "shift": 0 <= self.shift <= 1,
        }
        rules = (
            f"width is a multiple of {GROUPS}, depth at least {MAP_STAGE + 1}, steps at least 0, batch at least 1, "
            f"prior between 0 and 1 or None, shift from 0 to 1"
        )
        check_settings(self, allowed, rules)

    def scorer(self, channels: int, size: tuple[int, int]) -> PoolClassifierScorer:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        return PoolClassifierScorer(channels, size, width=self.width, depth=self.depth)

    def _fit(self, normals: Tensor, unlabelled: Tensor, seed: int, log: Log) -> PoolClassifierScorer:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "weights"))
            scorer = self.scorer(normals.shape[1], (normals.shape[2], normals.shape[3]))
        scorer.to(self.device)
        order, chance = stream(seed, "order"), stream(seed, "augment")

        def loss() -> Tensor:
            both = [
                as_unit(each[torch.randint(len(each), (self.batch,), generator=order)])
                for each in (normals, unlabelled)
            ]
            images = shifted(torch.cat(both), self.shift, generator=chance)
            for nuisance in self.nuisances:
                images = nuisance(images, generator=chance)
            logits = scorer.classifier(images.to(self.device))[1]
            return self._risk(logits[: self.batch], logits[self.batch :])

        weights = scorer.parameters()
        descend(weights, loss, steps=self.steps, rate=self.rate, weight_decay=self.weight_decay, log=log)
        scorer.eval().requires_grad_(requires_grad=False)
        scorer.fit_maps(normals)
        return scorer

    def _risk(self, normal: Tensor, unlabelled: Tensor) -> Tensor:
        if self.prior is None:
            return softplus(normal).mean() + softplus(-unlabelled).mean()
        return non_negative_risk(normal, unlabelled, prior=self.prior)


def non_negative_risk(normal: Tensor, unlabelled: Tensor, *, prior: float) -> Tensor:
    r"""Return the non-negative risk of logits g of normal (n,) and of unlabelled images (m,), as a loss to descend.

        R(g) = pi E_N[l(-g)] + max(0, A),   A = E_U[l(g)] - pi E_N[l(g)],   l(t) = ln(1 + exp(-t))

    A estimates (1 - pi) E[l(g)] over anomalous images, which cannot be negative: where it is, it is overfitted, and
    -A is returned in place of R, so that a descent undoes that.

    Args:
        normal, unlabelled: g > 0 says anomalous. prior: pi, the share of normal images among the unlabelled ones.

    References: Kiryo et al. (NeurIPS 2017), arXiv:1703.00593, equation 6 and algorithm 1 with beta = 0, gamma = 1.
    Deviations: their labelled class is the positive one; here it is the normal one.
    """
    anomalous = softplus(-unlabelled).mean() - prior * softplus(-normal).mean()
    if float(anomalous.detach()) < 0:
        return -anomalous
    return prior * softplus(normal).mean() + anomalous


def shifted(images: Tensor, most: float, *, generator: torch.Generator) -> Tensor:
    """Return images (n, c, h, w), each moved by up to `most` of its sides; the border is repeated."""
    n, _, h, w = images.shape
    places = []
    for side in (h, w):
        reach = round(most * side)
        moved = torch.randint(-reach, reach + 1, (n, 1), generator=generator)
        places.append((torch.arange(side) + moved).clamp(0, side - 1))
    rows, columns = places
    return images[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
