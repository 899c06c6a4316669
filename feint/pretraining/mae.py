"""MAE: most patches of an image are hidden, and their pixels are told from the few that are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast, final

import torch
from torch import Tensor, nn

from feint.core.detector import check_settings
from feint.core.distributed import mine, processes
from feint.core.pretraining import Learner, Method
from feint.networks.masked_autoencoder import MaskedAutoencoder
from feint.networks.vit import ViT
from feint.pretraining.heads import drawn, widths


def mae_loss(prediction: Tensor, targets: Tensor, masked: Tensor) -> Tensor:
    r"""Return the mean squared error (), at least 0, over the pixels of masked patches; visible ones do not count.

        L = 1 / (|M| q) sum_{(i, l) in M} ||y_il - x_il||^2

    Args:
        prediction, targets: y and x (n, L, q), the q pixels of each of L patches. masked: M, as (n, L) bool.

    References: He et al. (2021), Masked Autoencoders Are Scalable Vision Learners, arXiv:2111.06377, section 3.
    Deviations: none known.
    """
    return (prediction - targets)[masked].square().mean()


@final
class MAELearner(Learner):
    """A transformer, and the decoder that tells hidden patches from what it makes of the visible ones."""

    views: ClassVar[int] = 1

    def __init__(self, autoencoder: MaskedAutoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    @property
    def encoder(self) -> ViT:  # type: ignore[override] # it is the autoencoder's: a state holds no weight twice
        """The transformer alone."""
        return self.autoencoder.encoder

    def loss(self, views: Sequence[Tensor], *, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss () of this process's images; its mean over processes is that of the whole batch."""
        (images,) = views
        targets = self.autoencoder.targets(images)
        n, patches, _ = targets.shape
        noise = mine(torch.rand(n * processes(), patches, generator=generator)).to(images)
        prediction, masked = self.autoencoder(images, noise)
        return mae_loss(prediction, targets, masked)

    def project(self, images: Tensor) -> Tensor:
        """Return the embeddings (n, e): there is no projector."""
        return self.encoder.embed(images)


@final
@dataclass(frozen=True, kw_only=True)
class MAE(Method):
    r"""A masked autoencoder: see `mae_loss`; each patch of the targets has mean 0 and spread 1.

        x = (pixels - mu) / sqrt(var + norm_eps),   L - int(L (1 - share)) patches of L are hidden, anew in each step

    Args:
        share: of the patches that is hidden, above 0 and below 1.
        norm_eps: added to a patch's variance. With the 1e-6 of the original, the noise in flat patches (black
            borders) counts as much as any structure; from 1e-3 on it does not.
        decoder_width, decoder_depth: of the transformer that decodes; None: 64 and 1 for encoders narrower than
            128, else 192 and 4.

    Its loss does not tell whether it has collapsed: there is no `floor`.

    Fails when: what matters is smaller than a patch, or the training is short: it learns more slowly than methods that
    compare views. Neighbours of its embeddings say less than a linear probe on them does.
    Cost: n passes forward and backward: of the encoder over 1 - `share` of the patches, of the decoder over all.
    References: He et al. (2021), arXiv:2111.06377, sections 3 and 4.1.
    Deviations: norm_eps; small decoders.
    """

    name: ClassVar[str] = "mae"
    transformers_only: ClassVar[bool] = True

    share: float = 0.75
    norm_eps: float = 1e-3
    decoder_width: int | None = None
    decoder_depth: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "share": 0 < self.share < 1,
            "norm_eps": self.norm_eps > 0,
            "decoder_width": self.decoder_width is None or self.decoder_width >= 4,
            "decoder_depth": self.decoder_depth is None or self.decoder_depth >= 1,
        }
        rules = "share lies in (0, 1), norm_eps is above 0, decoder_width at least 4 and decoder_depth at least 1"
        check_settings(self, allowed, rules)

    def _learner(self, encoder: nn.Module, seed: int) -> MAELearner:
        _, width, depth = widths(
            encoder, small=(64, 1), large=(192, 4), chosen=(self.decoder_width, self.decoder_depth)
        )
        with drawn(seed):
            autoencoder = MaskedAutoencoder(
                cast("ViT", encoder),
                decoder_width=width,
                decoder_depth=depth,
                share=self.share,
                norm_eps=self.norm_eps,
            )
        return MAELearner(autoencoder)
