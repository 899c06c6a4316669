"""The LeNets of Deep SVDD, which cannot map every image to one point for want of biases, and their decoder."""

from __future__ import annotations

from itertools import pairwise
from typing import final

from torch import Tensor, nn
from torch.nn.functional import interpolate

from feint.core.errors import InputError

SLOPE = 0.01
EPSILON = 1e-4
SMALLEST_PX = 16
LARGEST_MAP_PX = 8


@final
class LeNet(nn.Module):
    """Blocks of [5x5 convolution, BatchNorm, LeakyReLU, 2x2 maximum], then linear layers; nothing has a bias.

    After a block the sides are halved, rounded down. Between linear layers stand BatchNorm and LeakyReLU. BatchNorm
    has no learnable shift or scale: a network with a bias anywhere could answer with that bias alone.

    Args:
        channels: of the images.
        size: height and width of the images in pixels, at least 16 each.
        blocks: channels of each block. Further blocks as wide as the last follow while a side of the map
            exceeds 8 px, so that the linear layer stays small.
        head: sizes of the linear layers; the last is that of the embedding.

    Raises: InputError where a side is shorter than 16 px.
    """

    def __init__(self, channels: int, size: tuple[int, int], *, blocks: tuple[int, ...], head: tuple[int, ...]) -> None:
        super().__init__()
        if min(size) < SMALLEST_PX:
            raise InputError(
                f"a LeNet needs images of at least {SMALLEST_PX} px a side: got {size[0]} x {size[1]} px (height, "
                f"width). Enlarge them first."
            )
        self.channels, self.sizes = [channels, *blocks], [size]
        for _ in blocks:
            self.sizes.append(_halved(self.sizes[-1]))
        while max(self.sizes[-1]) > LARGEST_MAP_PX and min(self.sizes[-1]) > 1:
            self.channels.append(blocks[-1])
            self.sizes.append(_halved(self.sizes[-1]))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 5, padding=2, bias=False),
                nn.BatchNorm2d(after, eps=EPSILON, affine=False),
                nn.LeakyReLU(SLOPE),
                nn.MaxPool2d(2),
            )
            for before, after in pairwise(self.channels)
        )
        height, width = self.sizes[-1]
        layers: list[nn.Module] = []
        for before, after in pairwise([self.channels[-1] * height * width, *head]):
            layers += [
                nn.Linear(before, after, bias=False),
                nn.BatchNorm1d(after, eps=EPSILON, affine=False),
                nn.LeakyReLU(SLOPE),
            ]
        self.head = nn.Sequential(*layers[:-2])
        self.embedding_size = head[-1]

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every block, (n, c_i, h_i, w_i), for images (n, c, h, w) in [0, 1]."""
        found = []
        x = images
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (n, d)."""
        embeddings: Tensor = self.head(self.maps(images)[-1].flatten(1))
        return embeddings


@final
class LeNetDecoder(nn.Module):
    """The way back from a LeNet's embeddings to images: a linear layer, then [enlarge, 5x5 convolution] per block.

    Each is followed by BatchNorm without shift or scale and LeakyReLU, the last by a sigmoid; nothing has a bias.
    Enlarging goes to the very size that the encoder's block was given, by the nearest pixel.
    """

    def __init__(self, encoder: LeNet) -> None:
        super().__init__()
        self.channels, self.sizes = encoder.channels[::-1], encoder.sizes[::-1]
        height, width = self.sizes[0]
        self.stem = nn.Linear(encoder.embedding_size, self.channels[0] * height * width, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c, eps=EPSILON, affine=False) for c in self.channels[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 5, padding=2, bias=False) for before, after in pairwise(self.channels)
        )
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return images (n, c, h, w) in [0, 1] for embeddings (n, d)."""
        x = self.stem(embeddings).reshape(-1, self.channels[0], *self.sizes[0])
        for norm, convolution, size in zip(self.norms, self.convolutions, self.sizes[1:], strict=True):
            x = convolution(interpolate(self.activation(norm(x)), size=size))
        images: Tensor = x.sigmoid()
        return images


def lenet(channels: int, size: tuple[int, int], *, width: int = 32) -> LeNet:
    """Return the LeNet for images of this kind: three wide blocks for colour, two narrow ones for grey.

    With w = `width`, colour has blocks of w, 2w, 4w channels and an embedding of 4w; grey has blocks of w/2, w and
    linear layers of 4w, 2w.

    Args:
        channels: 1 is grey, more is colour.
        size: height and width in pixels, at least 16 each.
        width: even; 32 is the networks of the literature, 8 a cheap one.

    Raises: InputError where a side is shorter than 16 px.

    Cost: colour at 32 px and width 32: 520,544 parameters, 29 M multiplications per image and pass; grey at 28 px:
    222,096 parameters, 3 M.

    References: Ruff et al. (2018), Deep one-class classification, ICML; Ruff et al. (2020), arXiv:1906.02694, and its
    public code's CIFAR10_LeNet and FashionMNIST_LeNet.

    Deviations: none at 32 px in colour and 28 px in grey; other sizes are Feint's own generalisation, see `LeNet`.

    Example:
        >>> [sum(p.numel() for p in lenet(c, (px, px)).parameters()) for c, px in ((3, 32), (1, 28))]
        [520544, 222096]
    """
    if channels == 1:
        return LeNet(channels, size, blocks=(width // 2, width), head=(4 * width, 2 * width))
    return LeNet(channels, size, blocks=(width, 2 * width, 4 * width), head=(4 * width,))


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // 2, size[1] // 2
