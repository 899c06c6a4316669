"""Vision transformers without dropout, with fixed positions: images become patches, and patches tokens."""

from __future__ import annotations

import math
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from feint.core.errors import SettingError

MAPS = 4
LONGEST_PERIOD = 10_000.0

Readout = Literal["both", "mean"]


@final
class ViT(nn.Module):
    """A vision transformer: L = (h / p)(w / p) patches and a CLS token pass pre-normalised blocks and a last LayerNorm.

        token_i = W patch_i + b + position_i,   x <- x + attention(norm(x)),   x <- x + MLP(norm(x))

    Images are first shifted and scaled, (x - 1/2) / (1/4). Positions are fixed sines and cosines, see `positions`, so
    that the weights are of no image size.

    Args:
        channels: c, of the images. patch: p, side of a patch in pixels.
        width: d, of the tokens, a multiple of 4 and of `heads`. depth: number of blocks; their MLPs are 4 d wide.
        readout: "both", embeddings are the CLS token and the mean of the patch tokens side by side (n, 2 d), or "mean",
            the latter only (n, d).

    Raises: SettingError for sides that are no multiple of p.
    Cost: 12 d^2 weights a block; 12 L d^2 + 2 L^2 d multiplications a block, image and pass. At 32 px with patches of
    4 px, vit_tiny has 5.3 M parameters and 0.35 G multiplications, vit_micro 0.2 M and 13 M.
    References: Dosovitskiy et al. (ICLR 2021), An image is worth 16x16 words, arXiv:2010.11929, equations 1 to 4.
    Deviations: positions and first weights as in He et al. (CVPR 2022), arXiv:2111.06377, appendix A; no dropout.

    Example:
        >>> network = ViT(3, patch=4, width=192, depth=12, heads=3)
        >>> sum(p.numel() for p in network.parameters()), network.embedding_size
        (5348352, 384)
        >>> [tuple(m.shape) for m in ViT(1, patch=8, width=16, depth=4, heads=2).maps(torch.zeros(2, 1, 32, 48))]
        [(2, 16, 4, 6), (2, 16, 4, 6), (2, 16, 4, 6), (2, 16, 4, 6)]
    """

    def __init__(
        self, channels: int, *, patch: int, width: int, depth: int, heads: int, readout: Readout = "both"
    ) -> None:
        super().__init__()
        self.channels, self.patch, self.width = channels, patch, width
        self.readout: Readout = readout
        self.embedding_size = 2 * width if readout == "both" else width
        self.patches = nn.Linear(patch * patch * channels, width)
        self.cls = nn.Parameter(torch.empty(1, 1, width))
        self.blocks = nn.ModuleList(Block(width, heads=heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        nn.init.normal_(self.cls, std=0.02)
        initialise(self)

    def tokens(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return the tokens (n, 1 + k, d), that of CLS first, for images (n, c, h, w) in [0, 1].

        Args:
            kept: (n, k), which patches are encoded, row by row from 0; the others are not looked at. None: all.
        """
        x = self._embedded(images, kept)
        for block in self.blocks:
            x = block(x)
        found: Tensor = self.norm(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return the CLS token (n, d)."""
        return self.tokens(images)[:, 0]

    def embed(self, images: Tensor) -> Tensor:
        """Return embeddings (n, e), as `readout` says."""
        tokens = self.tokens(images)
        mean = tokens[:, 1:].mean(1)
        return torch.cat([tokens[:, 0], mean], dim=1) if self.readout == "both" else mean

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the patch tokens at 1/4, 1/2, 3/4 and all of the depth, normalised: (n, d, h/p, w/p) each."""
        rows, columns = grid(images, self.patch)
        read = [math.ceil(len(self.blocks) * i / MAPS) for i in range(1, MAPS + 1)]
        x, found = self._embedded(images, None), []
        for done, block in enumerate(self.blocks, start=1):
            x = block(x)
            if done in read:
                found += [self.norm(x[:, 1:]).transpose(1, 2).unflatten(2, (rows, columns))] * read.count(done)
        return found

    def _embedded(self, images: Tensor, kept: Tensor | None) -> Tensor:
        patches = patchify((images - 0.5) / 0.25, self.patch)
        where = positions(*grid(images, self.patch), self.width).to(images).expand(images.shape[0], -1, -1)
        if kept is not None:
            patches, where = chosen(patches, kept), chosen(where, kept)
        x = self.patches(patches) + where
        return torch.cat([self.cls.to(x.dtype).expand(x.shape[0], -1, -1), x], dim=1)


@final
class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)), on tokens (n, k, d)."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise SettingError(f"the width of a transformer must be a multiple of its heads: got {width} and {heads}.")
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.queries_keys_values(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.mixed(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        changed: Tensor = x + self.mlp(self.norm2(x))
        return changed


def initialise(module: nn.Module) -> None:
    """Draw the weights of every linear layer of `module` from Xavier's uniform distribution; biases become zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def grid(images: Tensor, patch: int) -> tuple[int, int]:
    """Return how many patches `images` (n, c, h, w) have from top to bottom and from left to right."""
    height, width = images.shape[-2:]
    if height % patch or width % patch:
        raise SettingError(
            f"the sides of the images must be multiples of the patch, {patch} px: got {height} x {width}. Resize them, "
            "or choose another patch."
        )
    return height // patch, width // patch


def patchify(images: Tensor, patch: int) -> Tensor:
    """Return the patches (n, L, p p c) of images (n, c, h, w), row by row; inside one the channel varies fastest."""
    rows, columns = grid(images, patch)
    cut = images.reshape(images.shape[0], -1, rows, patch, columns, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def unpatchify(patches: Tensor, patch: int, size: tuple[int, int]) -> Tensor:
    """Return the images (n, c, h, w) of height and width `size` whose patches are `patches` (n, L, p p c)."""
    rows, columns = size[0] // patch, size[1] // patch
    cut = patches.reshape(patches.shape[0], rows, columns, patch, patch, -1)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(patches.shape[0], -1, *size)


def chosen(patches: Tensor, which: Tensor) -> Tensor:
    """Return of `patches` (n, L, d) those that `which` (n, k) counts: (n, k, d)."""
    return patches.gather(1, which[:, :, None].expand(-1, -1, patches.shape[2]))


def positions(rows: int, columns: int, width: int) -> Tensor:
    """Return fixed positions (rows * columns, width): sines and cosines of the row, then those of the column.

        sin(y w_i), cos(y w_i), sin(x w_i), cos(x w_i),   w_i = 10000^(-4 i / d),   i = 0, ..., d / 4 - 1

    Raises: SettingError for a width that is no multiple of 4.
    References: Vaswani et al. (2017), arXiv:1706.03762, section 3.5; in two dimensions He et al., arXiv:2111.06377.
    """
    if width % 4:
        raise SettingError(f"the width of a transformer must be a multiple of 4: got {width}.")
    frequencies = LONGEST_PERIOD ** (-torch.arange(width // 4) / (width // 4))
    y, x = (torch.arange(side)[:, None] * frequencies for side in (rows, columns))
    down = torch.cat([y.sin(), y.cos()], dim=1)[:, None].expand(-1, columns, -1)
    across = torch.cat([x.sin(), x.cos()], dim=1)[None].expand(rows, -1, -1)
    return torch.cat([down, across], dim=2).flatten(0, 1)
