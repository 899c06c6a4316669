"""A wide residual network for images of about 32 px."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

GROUPS = 8


@final
class WideResNet(nn.Module):
    """3x3 convolution, three stages of pre-activated residual blocks (h, h/2, h/4); the mean of the last map embeds.

    GroupNorm takes the place of batch normalisation: an image's score must not depend on its batch, and a batch that
    mixes originals and augmented images has other statistics than the originals alone, which are scored later.

    Args:
        channels: of the images.
        width: channels of the first convolution, a multiple of 8; stage i has width * widen * 2^i.
        depth: number of layers, 6 b + 4 for b blocks a stage. widen: the "4" of WRN-10-4.

    Cost: WRN-10-4 has 1.2 M parameters; 0.17 G multiplications per image of 32 px and pass.
    References: Zagoruyko, Komodakis (2016), Wide residual networks, arXiv:1605.07146, table 1; the predictor of Golan,
    El-Yaniv (2018), arXiv:1805.10917, is a WRN-10-4. Deviations: GroupNorm of 8 groups; no classifier.
    """

    def __init__(self, channels: int, *, width: int = 16, depth: int = 10, widen: int = 4) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        stages, before = [], width
        for i in range(3):
            after = width * widen * 2**i
            first = _Block(before, after, stride=1 if i == 0 else 2)
            stages.append(nn.Sequential(first, *(_Block(after, after, stride=1) for _ in range(blocks - 1))))
            before = after
        self.stages = nn.ModuleList(stages)
        self.norm = nn.GroupNorm(GROUPS, before)
        self.embedding_size = before
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every stage, (n, c_i, h_i, w_i), for images (n, c, h, w) in [0, 1]."""
        found = []
        x = self.conv((images - 0.5) / 0.25)
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return [*found[:-1], torch.relu(self.norm(x))]

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (n, d)."""
        return self.maps(images)[-1].mean((2, 3))


@final
class _Block(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))); where the shape changes, relu(norm(x)) passes a 1x1 convolution."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(GROUPS, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut = None if before == after else nn.Conv2d(before, after, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = torch.relu(self.norm1(x))
        change: Tensor = self.conv2(torch.relu(self.norm2(self.conv1(active))))
        return change + (x if self.shortcut is None else self.shortcut(active))
