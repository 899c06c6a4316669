"""A scorer that looks at its images shrunk, or tile by tile."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from feint.core.detector import Scorer
from feint.detectors.density import upsample


@final
class Viewed(Scorer):
    """The score of `inner` for the images shrunk by `shrink`, or the highest one of their `tiles` x `tiles` tiles.

    A defect that is lost when a large image is shrunk may fill a good part of a tile.

    Args:
        inner: fitted on what `seen` returns. size: height and width of the whole images.

    Fails when: tiles differ much from each other, as on a part that fills the image: what is normal in one tile is then
    compared with all of them. Cost: that of `inner` for each tile.
    """

    def __init__(self, inner: Scorer, size: tuple[int, int], *, shrink: int = 1, tiles: int = 1) -> None:
        super().__init__(inner.channels, size)
        self.inner, self.shrink, self.tiles = inner, shrink, tiles
        self.score = inner.score

    def _scores(self, images: Tensor) -> Tensor:
        scores: Tensor = self.inner(seen(images, shrink=self.shrink, tiles=self.tiles))
        return scores.reshape(images.shape[0], -1).amax(1)

    def _embeddings(self, images: Tensor) -> Tensor:
        found = self.inner.embed(seen(images, shrink=self.shrink, tiles=self.tiles))
        return found.reshape(images.shape[0], self.tiles**2, -1).mean(1)

    def _maps(self, images: Tensor) -> Tensor:
        maps = self.inner.map(seen(images, shrink=self.shrink, tiles=self.tiles))
        k, (h, w) = self.tiles, maps.shape[1:]
        whole = maps.reshape(images.shape[0], k, k, h, w).transpose(2, 3).reshape(images.shape[0], k * h, k * w)
        return upsample(whole, self.size)


def seen(images: Tensor, *, shrink: int = 1, tiles: int = 1) -> Tensor:
    """Return images (n, c, h, w) shrunk by an integer, then each cut into `tiles` x `tiles`, row by row.

    Bytes stay bytes. What is left over at the right and at the bottom is dropped.

    Example:
        >>> seen(torch.arange(16.0).reshape(1, 1, 4, 4), tiles=2)[1, 0].tolist()
        [[2.0, 3.0], [6.0, 7.0]]
    """
    if shrink > 1:
        small = avg_pool2d(images.float(), shrink)
        images = small.round().to(torch.uint8) if images.dtype == torch.uint8 else small
    if tiles == 1:
        return images
    n, c, h, w = images.shape
    height, width = h // tiles, w // tiles
    parts = images[:, :, : tiles * height, : tiles * width].reshape(n, c, tiles, height, tiles, width)
    return parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, c, height, width)


def size_seen(size: tuple[int, int], *, shrink: int, tiles: int) -> tuple[int, int]:
    """Return height and width of what `seen` returns for images of this size."""
    return size[0] // shrink // tiles, size[1] // shrink // tiles
