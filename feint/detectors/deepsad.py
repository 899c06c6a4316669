"""Deep SVDD, a small hypersphere around the normal images, and Deep SAD, which pushes pseudo-anomalies out of it.

Both are one training: the same network, pretraining, centre, order of images and hyperparameters, under the same named
streams. What their scores differ by is the second sum of the loss, and nothing else.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, mse_loss

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Detector, Log, Scorer, as_unit, check_settings, finite, thinned
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import seed_of, stream
from feint.detectors.density import PositionDensity, upsample
from feint.networks.lenet import LeNetDecoder, lenet

EPSILON = 1e-6
LEAST_COMPONENT = 0.1
MAP_BLOCK = 1
MOST_POSITIONS = 16
MOST_FITTED = 4000
CHUNK = 256
FLAT = 1e-6
SMALLEST_BATCH = 3


@final
class HypersphereScorer(Scorer):
    """The squared distance of an image's embedding from the centre of the normal ones.

        s(x) = ||f(x) - c||^2

    The embedding has no places, so the anomaly map comes from elsewhere: it is the distance of each position of the
    second block's map from the normal images there (`PositionDensity`), on at most 16 x 16 positions, enlarged.
    """

    centre: Tensor

    def __init__(self, channels: int, size: tuple[int, int], *, width: int) -> None:
        super().__init__(channels, size)
        self.encoder = lenet(channels, size, width=width)
        height, width_px = self.encoder.sizes[MAP_BLOCK + 1]
        self.positions = (min(height, MOST_POSITIONS), min(width_px, MOST_POSITIONS))
        self.register_buffer("centre", torch.zeros(self.encoder.embedding_size))
        self.position = PositionDensity(self.encoder.channels[MAP_BLOCK + 1], self.positions)

    def distances(self, images: Tensor) -> Tensor:
        """Return ||f(x) - c||^2 (n,) of images (n, c, h, w)."""
        distances: Tensor = (self.encoder(images) - self.centre).square().sum(1)
        return distances

    def features(self, images: Tensor) -> Tensor:
        """Return the map (n, c', h', w') that anomaly maps are made from, of images (n, c, h, w)."""
        return adaptive_avg_pool2d(self.encoder.maps(images)[MAP_BLOCK], self.positions)

    def _scores(self, images: Tensor) -> Tensor:
        return self.distances(images)

    def _embeddings(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.encoder(images)
        return embeddings

    def _maps(self, images: Tensor) -> Tensor:
        return upsample(self.position(self.features(images)), self.size)


@dataclass(frozen=True, kw_only=True)
class Hypersphere(Detector[HypersphereScorer], ABC):
    """The settings that `DeepSVDD` and `DeepSAD` share.

    Args:
        epochs: of the loss; 0 scores with the pretrained encoder.
        pretrain_epochs: of reconstructing the normal images from f(x), mean squared error; 0 skips it.
        batch: normal images a step, at least 3.
        rate, weight_decay: of Adam, in both phases.
        width: of `lenet`, even; 32 is the literature's.
        device: where the training runs; images stay where they are.
    """

    epochs: int = 50
    pretrain_epochs: int = 100
    batch: int = 128
    rate: float = 1e-3
    weight_decay: float = 1e-6
    width: int = 32
    device: str = "cpu"

    def __post_init__(self) -> None:
        allowed = {
            "epochs": self.epochs >= 0,
            "pretrain_epochs": self.pretrain_epochs >= 0,
            "batch": self.batch >= SMALLEST_BATCH,
            "rate": self.rate > 0,
            "weight_decay": self.weight_decay >= 0,
            "width": self.width >= 2 and self.width % 2 == 0,
        }
        rules = (
            f"epochs and weight_decay are at least 0, batch at least {SMALLEST_BATCH}, rate above 0, width even and at "
            "least 2"
        )
        check_settings(self, allowed, rules)


@final
@dataclass(frozen=True, kw_only=True)
class DeepSVDD(Hypersphere):
    r"""Draws the embeddings of n normal images to a fixed point, the mean embedding c of a pretrained encoder.

        L(theta) = (1/n) sum_x ||f(x) - c||^2

    Args: see `Hypersphere`.

    Raises: CollapseError where the scores of all normal images come out the same.

    Fails when: the normal images are of several kinds, since there is one centre; the pretrained features do not tell
    the anomaly from the normal, since the loss only ever forgets.

    Cost: pretrain_epochs * n passes through encoder and decoder, epochs * n through the encoder. At width 32, images a
    second and core: in colour at 32 px, 280 pretraining and 1,000 training; in grey at 28 px, 1,000 and 2,300.

    References: Ruff et al. (2018), Deep one-class classification, ICML, equation 4 (one class). Hyperparameters:
    the defaults of the public code of Ruff et al. (2020), arXiv:1906.02694.

    Deviations: an epoch's batches differ in size by at most one image, so that none is left with a single one, which
    BatchNorm could not take; the decoder starts with a linear layer; no step in the learning rate.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "refused"

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> HypersphereScorer:
        return _Training(self, normals, seed, log).scorer(policy, eta=0.0)


@final
@dataclass(frozen=True, kw_only=True)
class DeepSAD(Hypersphere):
    r"""Draws n normal images to the centre c of Deep SVDD, and pushes m pseudo-anomalies x~ away from it.

        L(theta) = (1/(n+m)) sum_x ||f(x) - c||^2 + (eta/(n+m)) sum_x~ (||f(x~) - c||^2 + 1e-6)^-1

    Each step makes one pseudo-anomaly of each normal image in it (m = n), and both pass the encoder together, so that
    BatchNorm does not tell them apart. With `Exposure` the same class learns from a few real, labelled anomalies.

    Args:
        eta: weight of the second sum; at 0 there is no second sum, m = 0, and this is Deep SVDD.
        For the others see `Hypersphere`.

    Raises: CollapseError where the scores of all normal images come out the same.

    Fails when: pseudo-anomalies do not resemble the real ones; the augmentation often leaves an image as it was, so
    that one and the same image is drawn and pushed; labelled anomalies are also among those it is tested on.

    Cost: that of `DeepSVDD`, with twice the passes in `epochs`, plus the augmentation.

    References: Ruff et al. (2020), Deep semi-supervised anomaly detection, arXiv:1906.02694, equation 7, with its
    unlabelled images as the normal ones.

    Deviations: as of `DeepSVDD`; pseudo-anomalies stand for the labelled ones.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "required"

    eta: float = 1.0

    def __post_init__(self) -> None:
        Hypersphere.__post_init__(self)
        if not self.eta >= 0:
            raise SettingError(f"DeepSAD.eta must be at least 0: got {self.eta!r}.")

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> HypersphereScorer:
        return _Training(self, normals, seed, log).scorer(policy if self.eta > 0 else None, eta=self.eta)


def hypersphere_loss(distances: Tensor, pseudo: Tensor, *, eta: float) -> Tensor:
    """Return (1/(n+m)) sum d + (eta/(n+m)) sum (d~ + 1e-6)^-1 of squared distances d (n,) and d~ (m,); m may be 0.

    At d~ = 0 the second sum is large, but finite, and so is its gradient.

    Example:
        >>> float(hypersphere_loss(torch.tensor([1.0, 3.0]), torch.tensor([0.5, 0.5]), eta=1.0))
        1.9999979734420776
    """
    total = distances.sum() + eta * (pseudo + EPSILON).reciprocal().sum()
    return total / (len(distances) + len(pseudo))


def centre_of(embeddings: Tensor) -> Tensor:
    """Return c (d,), the mean of embeddings (n, d), with components in (-0.1, 0.1) pushed to +-0.1, the sign kept.

    A component near 0 could be met by weights of 0 alone, for every image.
    """
    mean = embeddings.mean(0)
    least = torch.where(mean < 0, -LEAST_COMPONENT, LEAST_COMPONENT)
    return torch.where(mean.abs() < LEAST_COMPONENT, least, mean)


def refuse_collapse(scores: Tensor, centre: Tensor) -> None:
    """Raise CollapseError where the scores (n,) of normal images are not finite, all alike, or all 0 beside ||c||^2.

    Alike means apart by at most 1e-6 of the highest, or by what rounding an embedding at c (d,) does to its score.
    """
    low, high = float(scores.min()), float(scores.max())
    if not high - low > FLAT * high + FLAT**2 * float(centre.square().sum()):
        raise CollapseError(
            f"the scores of all {len(scores)} normal images are {high:.3g} or nearly so: the images are identical, or "
            f"the training collapsed. Take fewer epochs or a lower rate."
        )


@final
@dataclass(frozen=True)
class _Training:
    """One training of either recipe on normal images (n, c, h, w), uint8, from weights to scorer."""

    recipe: Hypersphere
    normals: Tensor
    seed: int
    log: Log

    def scorer(self, policy: PseudoAnomalies | None, *, eta: float) -> HypersphereScorer:
        if len(self.normals) < 2:
            raise InputError(f"{type(self.recipe).__name__} needs at least 2 normal images: got 1.")
        channels, height, width = self.normals.shape[1:]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(self.seed, "weights"))
            scorer = HypersphereScorer(channels, (height, width), width=self.recipe.width)
            decoder = LeNetDecoder(scorer.encoder)
        scorer.to(self.recipe.device)
        self._pretrain(scorer.encoder, decoder.to(self.recipe.device))
        self._train(scorer, policy, eta)
        scorer.eval().requires_grad_(requires_grad=False)
        refuse_collapse(self._through(scorer, self.normals), scorer.centre)
        scorer.position.fit(self._through(scorer.features, thinned(self.normals, MOST_FITTED)))
        return scorer

    def _pretrain(self, encoder: nn.Module, decoder: nn.Module) -> None:
        both = nn.Sequential(encoder, decoder)

        def loss(images: Tensor, _: torch.Generator) -> Tensor:
            x = images.to(self.recipe.device)
            return mse_loss(both(x), x)

        self._descend(both, loss, phase="pretrain", epochs=range(self.recipe.pretrain_epochs))

    def _train(self, scorer: HypersphereScorer, policy: PseudoAnomalies | None, eta: float) -> None:
        scorer.eval()
        scorer.centre.copy_(centre_of(self._through(scorer.encoder, self.normals)))

        def loss(images: Tensor, chance: torch.Generator) -> Tensor:
            both = images if policy is None else torch.cat([images, policy(images, generator=chance)])
            distances = scorer.distances(both.to(self.recipe.device))
            return hypersphere_loss(distances[: len(images)], distances[len(images) :], eta=eta)

        first = self.recipe.pretrain_epochs
        self._descend(scorer, loss, phase="train", epochs=range(first, first + self.recipe.epochs))

    def _descend(
        self, module: nn.Module, loss: Callable[[Tensor, torch.Generator], Tensor], *, phase: str, epochs: range
    ) -> None:
        """Minimise `loss(images, generator)` by Adam; each epoch logs its mean over the images."""
        module.train()
        optimiser = torch.optim.Adam(module.parameters(), lr=self.recipe.rate, weight_decay=self.recipe.weight_decay)
        for epoch in epochs:
            total, chance = 0.0, stream(self.seed, phase, "augment", epoch)
            batches = self._batches(phase, epoch)
            for i, chosen in enumerate(batches):
                value = loss(as_unit(self.normals[chosen]), chance)
                total += finite(value, epoch * len(batches) + i) * len(chosen)
                optimiser.zero_grad()
                torch.autograd.backward(value)
                optimiser.step()
            self.log(epoch, total / len(self.normals))

    def _batches(self, phase: str, epoch: int) -> tuple[Tensor, ...]:
        n = len(self.normals)
        order = torch.randperm(n, generator=stream(self.seed, phase, "order", epoch))
        return torch.tensor_split(order, -(-n // self.recipe.batch))

    @torch.no_grad()
    def _through(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        return torch.cat([function(as_unit(chunk).to(self.recipe.device)) for chunk in torch.split(images, CHUNK)])
