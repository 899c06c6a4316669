"""Residual networks under torchvision's names, usable inside second-order differentiation: ResNet-18 and ResNet-8."""

from __future__ import annotations

from typing import ClassVar, Literal, Self, final

import torch
from torch import Tensor, nn

from feint.networks.batch_norm import GlobalBatchNorm

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHANNELS_PER_GROUP = 16

Norm = Literal["batch", "group", "global"]
Stem = Literal["imagenet", "small"]


class _ResidualNetwork(nn.Module):
    """A stem and stages of residual blocks; each stage but the first halves the sides and doubles the channels."""

    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, *, stem: Stem, norm: Norm, width: int, blocks: tuple[int, ...]) -> None:
        super().__init__()
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
        self._stages = [f"layer{i}" for i in range(1, len(blocks) + 1)]
        before = width
        for i, (stage, count) in enumerate(zip(self._stages, blocks, strict=True)):
            after = width * 2**i
            first = _Block(before, after, stride=1 if i == 0 else 2, norm=norm)
            self.add_module(
                stage, nn.Sequential(first, *(_Block(after, after, stride=1, norm=norm) for _ in range(count - 1)))
            )
            before = after
        self.width = self.embedding_size = before
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.train()

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every stage, (n, c_i, h_i, w_i), for images (n, c, h, w) in [0, 1]."""
        x = (images - self.mean) / self.std
        x = self.conv1(x).contiguous(memory_format=self.memory_format)
        x = self.maxpool(torch.relu(self.bn1(x)))
        found = []
        for stage in self._stages:
            x = self.get_submodule(stage)(x)
            found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (n, d)."""
        return self.maps(images)[-1].mean((2, 3))

    def embed(self, images: Tensor) -> Tensor:
        """Return what `forward` does: embeddings (n, d)."""
        return self.forward(images)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; the statistics of norm="batch" stay frozen."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@final
class ResNet18(_ResidualNetwork):
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
            frozen: they stay those of the weight file even after `train()`, for the same reasons. "global" normalises
            by the batch of all processes (`GlobalBatchNorm`) and is trained: for learning without labels, whose losses
            compare the images of a batch anyway.
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

    def __init__(self, channels: int, *, stem: Stem = "imagenet", norm: Norm = "group", width: int = 64) -> None:
        super().__init__(channels, stem=stem, norm=norm, width=width, blocks=(2, 2, 2, 2))


@final
class ResNet8(_ResidualNetwork):
    """Three stages of a residual block each, with width, 2 width and 4 width channels; the mean of the last map embeds.

    A ResNet for a CPU. Arguments, scaling of images and names in the `state_dict` are those of `ResNet18`.

    Cost: 77,104 parameters for grey images with the small stem; multiplications per image and pass: 12 M at 32 px and
    49 M at 64 px with the small stem, 15 M at 128 px with ImageNet's.

    References: He, Zhang, Ren, Sun (2016), Deep residual learning for image recognition, arXiv 1512.03385, section 4.2:
    its networks for CIFAR-10 have 6 n + 2 layers, and this one n = 1. Deviations: where the shape changes, x passes a
    1x1 convolution (their option B); no classifier.
    """

    # Narrow maps train a third faster so on a CPU; those of ResNet-18 do not.
    memory_format: ClassVar[torch.memory_format] = torch.channels_last

    def __init__(self, channels: int, *, stem: Stem = "small", norm: Norm = "global", width: int = 16) -> None:
        super().__init__(channels, stem=stem, norm=norm, width=width, blocks=(1, 1, 1))


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


def _norm(norm: Norm, channels: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "global":
        return GlobalBatchNorm(channels)
    return nn.GroupNorm(max(1, channels // CHANNELS_PER_GROUP), channels)
