"""The weights that `feint tune --encoder` starts from: of a pretraining, of timm, or EfficientNet-Lite0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from feint.core.errors import InputError, SettingError
from feint.core.files import sha256_of
from feint.detectors.encoders import TIMM
from feint.networks.architectures import load_encoder
from feint.networks.pretrained import RGB, Lite0, Network
from feint.networks.timm_models import TimmNetwork
from feint.runs.chronicle import ENCODER
from feint.runs.recipes import Setting

LITE0_SIDE = 160
LITE0_SETTINGS: dict[str, Setting] = {"encoder": "lite0", "encoder_size": LITE0_SIDE}


@dataclass(frozen=True, kw_only=True)
class Start:
    """Weights to start from.

    settings: those of an `EncoderDetector`. channels: 1 or 3. size: height and width in pixels of the images it takes.
    multiplications: of one image and pass, forward.
    """

    settings: dict[str, Setting]
    channels: int
    size: tuple[int, int]
    multiplications: float

    @property
    def side(self) -> float:
        """The side of a square of as many pixels."""
        return math.sqrt(self.size[0] * self.size[1])

    def check(self, channels: int) -> None:
        """Raise InputError where images of so many channels are in colour and the encoder knows grey ones only."""
        if channels > self.channels:
            raise InputError(
                "the encoder was pretrained on grey images, and these are in colour: pretrain one on colour images, or "
                "give grey ones."
            )


def start_from(encoder: str) -> Start:
    """Return what the encoder is: a folder of `feint pretrain` or its encoder.safetensors, timm:NAME, or lite0.

    Raises: SettingError where it is none of these, or not installed; IntegrityError for a file of other weights.
    """
    if encoder == "lite0":
        return _start(LITE0_SETTINGS, Lite0(), channels=RGB, size=(LITE0_SIDE, LITE0_SIDE))
    if encoder.startswith(TIMM):
        network = TimmNetwork(encoder.removeprefix(TIMM))
        return _start({"encoder": encoder, "encoder_size": network.size}, network, channels=RGB, size=network.size)
    path = _weights(Path(encoder))
    trained, info = load_encoder(path)
    settings: dict[str, Setting] = {
        "encoder": info.architecture,
        "encoder_size": info.size,
        "encoder_channels": info.channels,
        "weights": str(path.resolve()),
        "sha256": sha256_of(path),
    }
    return _start(settings, trained, channels=info.channels, size=info.size)


def _weights(path: Path) -> Path:
    """Return the file of the weights; raises SettingError where there is none."""
    if path.is_dir():
        if not (path / ENCODER).exists():
            raise SettingError(
                f"{path} is no finished pretraining: it holds no {ENCODER}. Give a folder that feint pretrain has made."
            )
        return path / ENCODER
    if not path.exists():
        raise SettingError(f"there is no {path}. Give a folder that feint pretrain has made, timm:NAME or lite0.")
    return path


@torch.no_grad()
def _start(settings: dict[str, Setting], network: Network, *, channels: int, size: tuple[int, int]) -> Start:
    with FlopCounterMode(display=False) as counter:
        network.maps(torch.zeros(1, channels, *size))
    return Start(settings=settings, channels=channels, size=size, multiplications=counter.get_total_flops() / 2)
