"""ResNet-18 under torchvision's names, usable inside second-order differentiation."""

from __future__ import annotations

from typing import Literal, Self, final

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHANNELS_PER_GROUP = 16

Norm = Literal["batch", "group"]


@final
class ResNet18(nn.Module):
    """The 18-layer residual network without its classifier: the mean of the last map embeds.

    The names in its `state_dict` are torchvision's (`conv1.weight`, `bn1.weight`, `layer1.0.conv1.weight`, ...,
    `layer2.0.downsample.0.weight`), so that `load_weights` takes torchvision's files. Images are first shifted and
    scaled by ImageNet's mean and standard deviation (their averages over RGB for images that are not RGB); the two
    are constants, not part of the `state_dict`.

    Args:
        channels: 1 or 3.
        stem: "imagenet", a 7x7 convolution with stride 2 and a maximum over 3x3 with stride 2 (the first stage's map is
            h/4 x w/4), or "small", a 3x3 convolution with stride 1 (h x w), for images of 28 to 64 px.
        norm: "group" is the one to train. An image's score must not depend on the batch it comes in; GroupNorm has no
            running statistics, which would have to be threaded through the functional call when the network is
            differentiated through its own update; and its second derivative is exact. Groups have 16 channels,
            as in Wu and He's table 3. "batch" is the one that takes torchvision's weights. Its statistics are
            frozen: they stay those of the weight file even after `train()`, for the same reasons.
        width: channels of the first stage; stage i has width * 2^i. 64 is ResNet-18; a multiple of 16, or less than 16.

    Fails when: norm is "batch" and no weights are loaded: frozen statistics of mean 0 and variance 1 normalise nothing.

    Cost: 11.2 M parameters at width 64 (11,176,512 for RGB with the ImageNet stem); multiplications per image and pass:
    0.15 G at 64 px with the ImageNet stem, 2.2 G with the small one.

    References: He, Zhang, Ren, Sun (2016), Deep residual learning for image recognition, arXiv 1512.03385, table 1;
    Wu, He (2018), Group normalization, arXiv 1803.08494, equation 7 and table 3.

    Deviations: no classifier (`fc`); norm="batch" is never updated.

    Example:
        >>> network = ResNet18(3)
        >>> sum(p.numel() for p in network.parameters()), network.embedding_size
        (11176512, 512)
        >>> [tuple(m.shape) for m in ResNet18(1, stem="small", width=8).maps(torch.zeros(2, 1, 28, 28))]
        [(2, 8, 28, 28), (2, 16, 14, 14), (2, 32, 7, 7), (2, 64, 4, 4)]
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, channels: int, *, stem: Literal["imagenet", "small"] = "imagenet", norm: Norm = "group", width: int = 64
    ) -> None:
        super().__init__()
        self.embedding_size = 8 * width
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        if channels != len(IMAGENET_MEAN):
            mean, std = mean.mean().expand(channels), std.mean().expand(channels)
        self.register_buffer("mean", mean.reshape(-1, 1, 1).clone(), persistent=False)
        self.register_buffer("std", std.reshape(-1, 1, 1).clone(), persistent=False)
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
            self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = _norm(norm, width)
        self.layer1 = _stage(width, width, stride=1, norm=norm)
        self.layer2 = _stage(width, 2 * width, stride=2, norm=norm)
        self.layer3 = _stage(2 * width, 4 * width, stride=2, norm=norm)
        self.layer4 = _stage(4 * width, 8 * width, stride=2, norm=norm)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.train()

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every stage, (n, c_i, h_i, w_i), for images (n, c, h, w) in [0, 1]."""
        x = (images - self.mean) / self.std
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        found = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (n, d)."""
        return self.maps(images)[-1].mean((2, 3))

    def train(self, mode: bool = True) -> Self:
        """Set training mode; the statistics of norm="batch" stay frozen."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@final
class _Block(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))); where the shape changes, x passes a 1x1 convolution."""

    def __init__(self, before: int, after: int, *, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = _norm(norm, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = _norm(norm, after)
        self.downsample = (
            nn.Identity()
            if before == after
            else nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), _norm(norm, after))
        )

    def forward(self, x: Tensor) -> Tensor:
        change = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(change + self.downsample(x))


def _stage(before: int, after: int, *, stride: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(_Block(before, after, stride=stride, norm=norm), _Block(after, after, stride=1, norm=norm))


def _norm(norm: Norm, channels: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(max(1, channels // CHANNELS_PER_GROUP), channels)
