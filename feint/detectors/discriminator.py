"""The detector of self-tuning: normal images against pseudo-anomalies, then the distance from normal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, cast, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from feint.core.augmentation import Policy, PseudoAnomalies
from feint.core.detector import Detector, Log, Scorer, as_unit, check_settings, thinned
from feint.core.streams import seed_of, stream
from feint.detectors.density import GaussianDensity, PositionDensity, upsample
from feint.detectors.training import descend
from feint.networks.conv import GROUPS, Classifier, pooled

ScoreName = Literal["logit", "gaussian", "pooled", "position"]
SCORES: tuple[ScoreName, ...] = ("logit", "gaussian", "pooled", "position")
POSITION_STAGE = 1
CHUNK = 64
MOST_FITTED = 4000


@final
class DiscriminatorScorer(Scorer):
    """Four scores from one encoder; `score` says which one `forward` returns.

    logit: the head's logit of "pseudo-anomaly", of whichever of the `kinds`. gaussian: density of the last embedding.
    pooled: density of mean, maximum and spread of the maps of all stages. position: the largest distance over the
    positions of the second stage's map. The anomaly map is that of the positions, whichever score is chosen.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        width: int,
        depth: int,
        kinds: int = 1,
        score: ScoreName = "pooled",
    ) -> None:
        super().__init__(channels, size)
        self.width, self.depth = width, depth
        self.score: ScoreName = score
        self.classifier = Classifier(channels, width=width, depth=depth, kinds=kinds)
        with torch.no_grad():
            maps = self.classifier.encoder.maps(torch.zeros(1, channels, *size))
        stage = maps[POSITION_STAGE].shape
        self.gaussian = GaussianDensity(self.classifier.encoder.embedding_size)
        self.pooled = GaussianDensity(pooled(maps).shape[1])
        self.position = PositionDensity(stage[1], (stage[2], stage[3]))

    def all_scores(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return every score (n,), higher = more anomalous, for images (n, c, h, w) in [0, 1], from one pass."""
        self._check(images)
        maps = self.classifier.encoder.maps(images)
        return {name: self._score_of(maps, name) for name in SCORES}

    def _scores(self, images: Tensor) -> Tensor:
        return self._score_of(self.classifier.encoder.maps(images), self.score)

    def _score_of(self, maps: list[Tensor], name: ScoreName) -> Tensor:
        """Return one score (n,) from the maps of all stages; the others cost more than it does."""
        if name == "pooled":
            found = self.pooled(pooled(maps))
        elif name == "position":
            found = self.position(maps[POSITION_STAGE]).flatten(1).amax(1)
        else:
            embedding = maps[-1].mean((2, 3))
            found = self.gaussian(embedding) if name == "gaussian" else self.classifier.logit(embedding)
        return cast("Tensor", found)

    def _embeddings(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.classifier.encoder(images)
        return embeddings

    def _maps(self, images: Tensor) -> Tensor:
        return upsample(self.position(self.classifier.encoder.maps(images)[POSITION_STAGE]), self.size)

    @torch.no_grad()
    def fit_densities(self, normals: Tensor) -> None:
        """Fit the three densities on clean normal images (n, c, h, w), uint8; on 4,000 evenly spaced ones of more."""
        embeddings, features, positions = [], [], []
        normals = thinned(normals, MOST_FITTED)
        for chunk in torch.split(normals, CHUNK):
            maps = self.classifier.encoder.maps(as_unit(chunk).to(self.gaussian.centre.device))
            embeddings.append(maps[-1].mean((2, 3)))
            features.append(pooled(maps))
            positions.append(maps[POSITION_STAGE])
        self.gaussian.fit(torch.cat(embeddings))
        self.pooled.fit(torch.cat(features))
        self.position.fit(torch.cat(positions))


@final
@dataclass(frozen=True, kw_only=True)
class Discriminator(Detector[DiscriminatorScorer]):
    r"""Binary cross-entropy on normal (0) against pseudo-anomalous (1), then densities on clean normal images.

        L(theta, a) = - sum_x log(1 - f(x)) - sum_x log f(phi(x; a))

    With several kinds of pseudo-anomalies (`Mixture`) each is a class of its own, which the encoder must tell from the
    others too: cross-entropy over the normal class and the kinds. Without a policy nothing is trained: the same scores
    on the untrained encoder, which every table calls `none`.

    Args:
        width, depth: of the encoder. kinds: of pseudo-anomalies, in an empty scorer; a fit takes them from its policy.
        steps: optimiser steps; batch: normal images a step (as many pseudo-anomalies are added).
        epochs: if given, the steps are epochs * ceil(n / batch) instead.
        rate: peak learning rate of AdamW under a one-cycle schedule; weight_decay likewise.
        nuisances: changes that must not count as anomalies, applied to every normal image in training.
        score: which score the scorer returns.
        device: where the training runs; images stay where they are.

    Fails when: pseudo-anomalies do not resemble the real ones; the scores can then be worse than those of `none`.
    Cost: steps * 2 batch encoder passes forward and backward.
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033; Li et al. (CVPR 2021), arXiv:2104.04015.
    Deviations: small encoder with GroupNorm, one-cycle AdamW; the pooled and position scores are added.
    """

    SCORES: ClassVar[tuple[ScoreName, ...]] = SCORES
    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "optional"

    width: int = 16
    depth: int = 4
    kinds: int = 1
    steps: int = 600
    epochs: int | None = None
    batch: int = 32
    rate: float = 2e-3
    weight_decay: float = 1e-4
    nuisances: tuple[Policy, ...] = field(default=())
    score: ScoreName = "pooled"
    device: str = "cpu"

    def __post_init__(self) -> None:
        allowed = {
            "width": self.width >= GROUPS and self.width % GROUPS == 0,
            "depth": self.depth > POSITION_STAGE,
            "kinds": self.kinds >= 1,
            "steps": self.steps >= 0,
            "epochs": self.epochs is None or self.epochs >= 0,
            "batch": self.batch >= 1,
            "score": self.score in SCORES,
        }
        rules = (
            f"width is a multiple of {GROUPS}, depth at least {POSITION_STAGE + 1}, kinds at least 1, steps and "
            f"epochs at least 0, batch at least 1, score one of {', '.join(SCORES)}"
        )
        check_settings(self, allowed, rules)

    def scorer(self, channels: int, size: tuple[int, int]) -> DiscriminatorScorer:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        return DiscriminatorScorer(
            channels, size, width=self.width, depth=self.depth, kinds=self.kinds, score=self.score
        )

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> DiscriminatorScorer:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "weights"))
            recipe = self if policy is None else replace(self, kinds=policy.kinds)
            scorer = recipe.scorer(normals.shape[1], (normals.shape[2], normals.shape[3]))
        scorer.to(self.device)
        if policy is not None:
            self.tell_apart(scorer.classifier.encoder, scorer.classifier.head, normals, policy, seed=seed, log=log)
        scorer.eval().requires_grad_(requires_grad=False)
        scorer.fit_densities(normals)
        return scorer

    def tell_apart(
        self, encoder: nn.Module, head: nn.Module, normals: Tensor, policy: PseudoAnomalies, *, seed: int, log: Log
    ) -> None:
        """Train `encoder` (to embeddings) and `head` (to a logit for each kind) on `device`, as these settings say.

        Args:
            normals: (n, c, h, w), uint8. policy: makes the pseudo-anomalies. seed: of the batches and of the policy.

        Raises: CollapseError where the loss stops being finite.
        """
        steps = self.steps if self.epochs is None else self.epochs * math.ceil(len(normals) / self.batch)
        order, chance = stream(seed, "order"), stream(seed, "augment")
        clean = torch.zeros(self.batch, dtype=torch.long)

        def loss() -> Tensor:
            chosen = torch.randint(len(normals), (self.batch,), generator=order)
            images = as_unit(normals[chosen])
            for nuisance in self.nuisances:
                images = nuisance(images, generator=chance)
            pseudo, kind = policy.made(images, generator=chance)
            both, target = torch.cat([images, pseudo]).to(self.device), torch.cat([clean, 1 + kind]).to(self.device)
            logits = head(encoder(both))
            return cross_entropy(torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1), target)

        weights = [*encoder.parameters(), *head.parameters()]
        descend(weights, loss, steps=steps, rate=self.rate, weight_decay=self.weight_decay, log=log)
