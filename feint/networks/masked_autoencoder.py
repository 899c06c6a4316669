"""The masked autoencoder: a transformer that sees a quarter of the patches, and a decoder that guesses the others."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from feint.core.errors import SettingError
from feint.networks.vit import Block, ViT, grid, initialise, patchify, positions

HEAD_WIDTH = 32


@final
class MaskedAutoencoder(nn.Module):
    """Predicts the normalised pixels of the patches that the encoder does not see.

    The encoder sees k = int(L (1 - share)) patches of L, and CLS. The decoder, `decoder_depth` blocks of
    `decoder_width`, sees their tokens at their places, one learned mask token at all the other places, and fixed
    positions; a linear layer makes each of its tokens a patch. What it has to predict is

        (x - mu) / sqrt(var + norm_eps),   mu and var over the values of a patch, var unbiased.

    Args:
        share: of patches that are masked, in (0, 1); the paper's .75.
        norm_eps: the paper's code has 1e-6, with which the noise of a flat patch is blown up to variance 1; 1e-3 and
            more leaves flat patches flat.

    Raises: SettingError where no patch would be left to see or to guess.
    Fails when: the images have few patches, so that what is seen says little of the rest.
    Cost: an encoder pass of 1 + k tokens, a decoder pass of 1 + L.
    References: He et al. (CVPR 2022), Masked autoencoders are scalable vision learners, arXiv:2111.06377, section 3.
    Deviations: decoder heads are about 32 wide at any `decoder_width`, as in the paper's decoder of 512.
    """

    def __init__(self, encoder: ViT, *, decoder_width: int, decoder_depth: int, share: float, norm_eps: float) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise SettingError(f"the share of masked patches must be between 0 and 1: got {share}.")
        if norm_eps <= 0:
            raise SettingError(f"norm_eps must be positive: got {norm_eps}.")
        values = encoder.patch**2 * encoder.channels
        if values < 2:
            raise SettingError("a patch of one value has no variance to normalise it by: take larger patches.")
        self.encoder, self.share, self.norm_eps = encoder, share, norm_eps
        self.embedded = nn.Linear(encoder.width, decoder_width)
        self.mask = nn.Parameter(torch.empty(1, 1, decoder_width))
        heads = max(1, decoder_width // HEAD_WIDTH)
        self.decoder = nn.Sequential(
            *(Block(decoder_width, heads=heads) for _ in range(decoder_depth)), nn.LayerNorm(decoder_width, eps=1e-6)
        )
        self.pixels = nn.Linear(decoder_width, values)
        nn.init.normal_(self.mask, std=0.02)
        for part in (self.embedded, self.decoder, self.pixels):
            initialise(part)

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return predictions (n, L, p p c) of `targets`, and which patches were masked (n, L), bool.

        Args:
            images: (n, c, h, w) in [0, 1]. noise: (n, L), uniform; the patches with the smallest are seen.
        """
        kept = noise.argsort(stable=True, dim=1)[:, : self._kept(noise.shape[1])]
        masked = torch.ones_like(noise, dtype=torch.bool).scatter(1, kept, value=False)
        tokens = self.embedded(self.encoder.tokens(images, kept))
        n, width = len(images), tokens.shape[2]
        places = self.mask.to(tokens.dtype).expand(n, noise.shape[1], -1)
        places = places.scatter(1, kept[:, :, None].expand(-1, -1, width), tokens[:, 1:])
        places = places + positions(*grid(images, self.encoder.patch), width).to(images)
        return self.pixels(self.decoder(torch.cat([tokens[:, :1], places], dim=1))[:, 1:]), masked

    def targets(self, images: Tensor) -> Tensor:
        """Return the normalised patches (n, L, p p c) of images (n, c, h, w)."""
        patches = patchify(images, self.encoder.patch)
        var, mu = torch.var_mean(patches, dim=2, keepdim=True)
        return (patches - mu) / (var + self.norm_eps).sqrt()

    def errors(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return the mean squared error (n, L) of each masked patch; nan where the patch was seen."""
        prediction, masked = self(images, noise)
        squared: Tensor = (prediction - self.targets(images)).square().mean(2)
        return squared.where(masked, torch.nan)

    def _kept(self, patches: int) -> int:
        kept = int(patches * (1 - self.share) + 1e-9)
        if not 0 < kept < patches:
            raise SettingError(
                f"of {patches} patches, {kept} would be seen with a share of {self.share} masked: at least one must be "
                "seen and one masked. Take larger images or smaller patches."
            )
        return kept


@torch.no_grad()
def reconstruction_errors(
    autoencoder: MaskedAutoencoder, images: Tensor, *, times: int, generator: torch.Generator
) -> Tensor:
    """Return the anomaly score (n,) of images (n, c, h, w) in [0, 1]: the masked error, the mean over random maskings.

    All images are masked alike, so that a score does not depend on the others. Cost: `times` passes an image.
    """
    autoencoder.eval()
    height, width = grid(images, autoencoder.encoder.patch)
    errors = []
    for noise in torch.rand(times, 1, height * width, generator=generator):
        chunks = [autoencoder.errors(each, noise.expand(len(each), -1)) for each in torch.split(images, 64)]
        errors.append(torch.cat(chunks))
    return torch.stack(errors).nanmean((0, 2))
