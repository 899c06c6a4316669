"""Autoencoders that score by what they fail to give back: the vanilla one, and the one that undoes an augmentation."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import torch
from torch import Tensor

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Detector, Log, Scorer, as_unit, check_settings, finite
from feint.core.errors import InputError
from feint.core.streams import seed_of, stream
from feint.networks.autoencoder import ConvAE, DenseAE, LinearAE

Net = Literal["conv", "dense", "linear"]


@final
class AutoencoderScorer(Scorer):
    """The mean squared residual (x - f(x))^2 of an image; the map is its mean over the channels."""

    def __init__(self, channels: int, size: tuple[int, int], *, net: Net, features: int, hidden: int) -> None:
        super().__init__(channels, size)
        self.network: ConvAE | DenseAE | LinearAE
        if net == "conv":
            self.network = ConvAE(channels, size, features=features, hidden=hidden)
        else:
            self.network = (DenseAE if net == "dense" else LinearAE)(channels, size, hidden=hidden)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return f(x), (n, c, h, w) in [0, 1], for images x (n, c, h, w) in [0, 1]."""
        self._check(images)
        reconstruction: Tensor = self.network(images)[1]
        return reconstruction

    def _embeddings(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.network.encoder(images)
        return embeddings

    def _scores(self, images: Tensor) -> Tensor:
        return self._maps(images).mean((1, 2))

    def _maps(self, images: Tensor) -> Tensor:
        residual: Tensor = images - self.network(images)[1]
        return residual.square().mean(1)


@dataclass(frozen=True, kw_only=True)
class Autoencoder(Detector[AutoencoderScorer], ABC):
    """The settings and the training that `AE` and `DAE` share.

    Args:
        net: "conv" (`ConvAE`), "dense" or "linear". features: channels of its first convolution ("conv" alone).
        hidden: size of the embedding.
        epochs: passes over the images that update the weights; one before them moves batch statistics alone.
        batch: images a step, at least 2. rate: first learning rate of Adam, which falls to 0 along half a cosine.
        device: where the training runs; images stay where they are.
    """

    net: Net = "conv"
    features: int = 64
    hidden: int = 256
    epochs: int = 256
    batch: int = 1024
    rate: float = 1e-3
    device: str = "cpu"

    def __post_init__(self) -> None:
        allowed = {
            "net": self.net in get_args(Net),
            "features": self.features >= 1,
            "hidden": self.hidden >= 1,
            "epochs": self.epochs >= 1,
            "batch": self.batch >= 2,
            "rate": self.rate > 0,
        }
        rules = (
            f"net is one of {', '.join(get_args(Net))}, features, hidden and epochs are at least 1, batch at least 2, "
            "rate above 0"
        )
        check_settings(self, allowed, rules)

    def scorer(self, channels: int, size: tuple[int, int]) -> AutoencoderScorer:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        return AutoencoderScorer(channels, size, net=self.net, features=self.features, hidden=self.hidden)

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> AutoencoderScorer:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "weights"))
            scorer = self.scorer(normals.shape[1], (normals.shape[2], normals.shape[3])).to(self.device)
        for epoch, loss in enumerate(training_epochs(self, scorer, normals, policy=policy, seed=seed)):
            log(epoch, loss)
        return scorer.requires_grad_(requires_grad=False)


@final
@dataclass(frozen=True, kw_only=True)
class AE(Autoencoder):
    r"""An autoencoder fitted on normal images: what it has not seen, it gives back badly.

        L = mean over batch, channels and pixels of (f(x) - x)^2
        score(x) = mean over channels and pixels of (x - f(x))^2

    Args: see `Autoencoder`.

    Fails when: the bottleneck is so wide, or the anomalies so smooth, that these are given back just as well.
    Cost: (epochs + 1) n passes forward and epochs * n backward.
    References: the vanilla counterpart in Yoo, Zhao, Akoglu (TMLR 2023), arXiv:2208.07734, and their public code.
    Deviations: a last batch of a single image joins the one before it, since it has no batch statistics.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "refused"


@final
@dataclass(frozen=True, kw_only=True)
class DAE(Autoencoder):
    r"""A denoising autoencoder: fitted to undo an augmentation, it gives back badly what the augmentation resembles.

        L = mean over batch, channels and pixels of (f(phi(x)) - x)^2
        score(x) = mean over channels and pixels of (x - f(x))^2

    Each image is augmented anew in each epoch, and never when it is scored. Settings and training are those of `AE`,
    its vanilla counterpart.

    Fails when: anomalies do not resemble the augmentation; it can then be worse than `AE`.
    Cost: that of `AE` and (epochs + 1) n augmentations.
    References: Yoo, Zhao, Akoglu (TMLR 2023), arXiv:2208.07734, and their public code.
    Deviations: those of `AE`.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "required"


def training_epochs(
    recipe: Autoencoder, scorer: AutoencoderScorer, normals: Tensor, *, policy: PseudoAnomalies | None, seed: int
) -> Iterator[float]:
    """Yield the mean loss of each of the epochs 0 to `recipe.epochs`, with `scorer` trained so far and ready to score.

    Epoch 0 moves the statistics of batch normalisation and no weight.

    Raises: InputError for a single image, which has no batch statistics; CollapseError where the loss is not finite.
    """
    if len(normals) < 2:
        raise InputError(f"{type(recipe).__name__} needs at least 2 normal images: got {len(normals)}.")
    optimiser = torch.optim.Adam(scorer.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
    order, chance = stream(seed, "order"), stream(seed, "augment")
    step = 0
    for epoch in range(recipe.epochs + 1):
        scorer.train()
        total = 0.0
        for chosen in _batches(torch.randperm(len(normals), generator=order), recipe.batch):
            clean = as_unit(normals[chosen])
            given = clean if policy is None else policy(clean, generator=chance)
            with torch.set_grad_enabled(epoch > 0):
                loss = (scorer.network(given.to(recipe.device))[1] - clean.to(recipe.device)).square().mean()
            total += finite(loss, step) * len(chosen)
            if epoch > 0:
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
            step += 1
        if epoch > 0:
            schedule.step()
        scorer.eval()
        yield total / len(normals)


def _batches(order: Tensor, batch: int) -> list[Tensor]:
    parts = list(torch.split(order, batch))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
