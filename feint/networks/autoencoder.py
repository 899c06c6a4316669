"""Autoencoders: from images to an embedding and the image that it gives back."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import final

from torch import Tensor, nn

SMALL = 64


@final
class ConvAE(nn.Module):
    """Strided convolutions to a tanh bottleneck, transposed convolutions back to the image.

    The larger side of the image chooses the column:

                              up to 64 px                       larger
        layers, kernel        4, 3 (stride 2, padding 1)        3, 5 (stride 4, padding 2)
        channels              f, 2f, 4f, 8f                     f, 2f, 4f
        encoder block         Conv2d, BatchNorm2d, ReLU         same
        bottleneck            Linear, Tanh                      same
        decoder stem          Linear, BatchNorm1d, ReLU         same
        decoder block         ConvTranspose2d, BatchNorm2d, ReLU; the last one ConvTranspose2d, Sigmoid

    Args:
        channels: of the images. size: their height and width. features: f. hidden: size of the embedding.

    Cost: with f = 64 and hidden = 256: 4,159,235 parameters for 3 x 32 x 32, 4,156,929 for one channel, 4,169,219 for
    3 x 256 x 256; 30 M multiplications per image of 3 x 32 x 32 and pass.

    References: Yoo, Zhao, Akoglu (TMLR 2023), arXiv:2208.07734, and the authors' public code.
    Deviations: any size; `output_padding` follows from it (1 and 3 at 32 and 256 px, as there). Layers are made in the
    order of that code, so that the same generator gives the same weights.
    """

    def __init__(self, channels: int, size: tuple[int, int], *, features: int = 64, hidden: int = 256) -> None:
        super().__init__()
        layers, kernel, stride, padding = (4, 3, 2, 1) if max(size) <= SMALL else (3, 5, 4, 2)
        widths = [channels, *(features * 2**i for i in range(layers))]
        sizes = [size]
        for _ in range(layers):
            height, width = sizes[-1]
            sizes.append((math.ceil(height / stride), math.ceil(width / stride)))
        flat = widths[-1] * math.prod(sizes[-1])
        encoder: list[nn.Module] = []
        for before, after in pairwise(widths):
            encoder += [nn.Conv2d(before, after, kernel, stride, padding), nn.BatchNorm2d(after), nn.ReLU()]
        self.encoder = nn.Sequential(*encoder, nn.Flatten(), nn.Linear(flat, hidden), nn.Tanh())
        blocks: list[nn.Module] = []
        for i in range(layers, 0, -1):
            missing = [
                wide - stride * (narrow - 1) - kernel + 2 * padding
                for narrow, wide in zip(sizes[i], sizes[i - 1], strict=True)
            ]
            blocks.append(
                nn.ConvTranspose2d(widths[i], widths[i - 1], kernel, stride, padding, (missing[0], missing[1]))
            )
            blocks += [nn.BatchNorm2d(widths[i - 1]), nn.ReLU()] if i > 1 else [nn.Sigmoid()]
        stem = [nn.Linear(hidden, flat), nn.BatchNorm1d(flat), nn.ReLU(), nn.Unflatten(1, (widths[-1], *sizes[-1]))]
        self.decoder = nn.Sequential(*stem, *blocks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (n, hidden) in (-1, 1) and reconstructions (n, c, h, w) in [0, 1]."""
        embeddings = self.encoder(images)
        return embeddings, self.decoder(embeddings)


@final
class DenseAE(nn.Module):
    """D, 2 hidden, LeakyReLU, hidden, Tanh, 2 hidden, LeakyReLU, D, Sigmoid on the D pixels of an image."""

    def __init__(self, channels: int, size: tuple[int, int], *, hidden: int = 256) -> None:
        super().__init__()
        pixels = channels * math.prod(size)
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, 2 * hidden), nn.LeakyReLU(), nn.Linear(2 * hidden, hidden), nn.Tanh()
        )
        self.decoder = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.LeakyReLU(), nn.Linear(2 * hidden, pixels), nn.Sigmoid(),
            nn.Unflatten(1, (channels, *size)),
        )  # fmt: skip

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (n, hidden) in (-1, 1) and reconstructions (n, c, h, w) in [0, 1]."""
        embeddings = self.encoder(images)
        return embeddings, self.decoder(embeddings)


@final
class LinearAE(nn.Module):
    """D, hidden, D, Sigmoid on the D pixels of an image."""

    def __init__(self, channels: int, size: tuple[int, int], *, hidden: int = 256) -> None:
        super().__init__()
        pixels = channels * math.prod(size)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden))
        self.decoder = nn.Sequential(nn.Linear(hidden, pixels), nn.Sigmoid(), nn.Unflatten(1, (channels, *size)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (n, hidden) and reconstructions (n, c, h, w) in [0, 1]."""
        embeddings = self.encoder(images)
        return embeddings, self.decoder(embeddings)
