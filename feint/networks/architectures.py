"""The catalogue of trainable encoders: from a name to a network, and from a network to a file that knows its name."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import cast, final, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from feint.core.errors import InputError, IntegrityError, SettingError
from feint.core.files import atomic
from feint.core.streams import seed_of
from feint.networks.resnet import ResNet8, ResNet18, Stem
from feint.networks.vit import Readout, ViT
from feint.networks.weights import load_weights

Architecture = ResNet18 | ResNet8 | ViT

CONVOLUTIONAL: dict[str, type[ResNet18 | ResNet8]] = {"resnet18": ResNet18, "resnet8": ResNet8}
TRANSFORMERS = {"vit_tiny": {"width": 192, "depth": 12, "heads": 3}, "vit_micro": {"width": 64, "depth": 4, "heads": 4}}
ARCHITECTURES = (*CONVOLUTIONAL, *TRANSFORMERS)
READOUTS: tuple[Readout, ...] = get_args(Readout)

SMALL_STEM_UP_TO = 64
PATCHES = {128: 16, 64: 8, 0: 4}
LARGEST_PATCH = 64


@final
@dataclass(frozen=True, kw_only=True)
class EncoderInfo:
    """What a file of weights says of its encoder: everything `build` needs to make it again.

    architecture: the full name, "vit_micro/4". channels, size: of the images, height and width in pixels.
    readout: which tokens of a transformer embed; of no meaning for the others.
    """

    architecture: str
    channels: int
    size: tuple[int, int]
    readout: Readout

    def __str__(self) -> str:
        """Return it in words: "resnet8 for 1 channel and 32 x 32 px"."""
        channels = f"{self.channels} channel{'s' if self.channels > 1 else ''}"
        return f"{self.architecture} for {channels} and {self.size[0]} x {self.size[1]} px"


def patch_of(name: str, size: tuple[int, int]) -> int:
    """Return the side in px of the patches of the encoder `name`, by which image sides must divide; 1 if it has none.

    Where the name says none, it follows from the larger side of `size`: 4 px below 64 px, 8 px from 64, 16 px from 128.

    Raises: SettingError for an unknown name, and for a patch that does not belong to the name.
    """
    family, slash, patch = name.partition("/")
    if family not in ARCHITECTURES or (slash and family not in TRANSFORMERS):
        near = get_close_matches(family, ARCHITECTURES, n=1)
        raise SettingError(
            f"there is no encoder {name!r}: choose from {', '.join(ARCHITECTURES)}, or {' or '.join(TRANSFORMERS)} "
            f"with the side of their patches, vit_micro/8.{f' Did you mean {near[0]}?' if near else ''}"
        )
    if family in CONVOLUTIONAL:
        return 1
    if not slash:
        return next(side for least, side in PATCHES.items() if max(size) >= least)
    if not re.fullmatch(r"[1-9]\d?", patch) or int(patch) > LARGEST_PATCH:
        raise SettingError(f"the patch of {family} must be 1 to {LARGEST_PATCH} px: got {patch!r}.")
    return int(patch)


def full_name(name: str, size: tuple[int, int]) -> str:
    """Return the name with the patch of a transformer, see `patch_of`.

    Raises: SettingError as `patch_of` does, and for sides that are no multiples of the patch.

    Example:
        >>> full_name("vit_tiny", (64, 64)), full_name("vit_tiny/4", (64, 64)), full_name("resnet8", (64, 64))
        ('vit_tiny/8', 'vit_tiny/4', 'resnet8')
    """
    patch, family = patch_of(name, size), name.partition("/")[0]
    if family in CONVOLUTIONAL:
        return name
    if size[0] % patch or size[1] % patch:
        fitting = " x ".join(str(max(1, round(side / patch)) * patch) for side in size)
        raise SettingError(
            f"{family}/{patch} needs sides that are multiples of {patch} px: got {size[0]} x {size[1]}. Resize the "
            f"images to {fitting}, or name another patch, {family}/4."
        )
    return f"{family}/{patch}"


def fitting_size(name: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size nearest to `size` whose sides the patches of the encoder `name` divide evenly.

    Example:
        >>> fitting_size("vit_tiny", (72, 60)), fitting_size("vit_tiny", (28, 30)), fitting_size("resnet8", (29, 31))
        ((72, 64), (28, 32), (29, 31))
    """
    return whole_multiples(size, patch_of(name, size))


def whole_multiples(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the height and width nearest to `size` that are multiples of `side`, at least one of it."""
    height, width = (max(1, math.floor(each / side + 0.5)) * side for each in size)
    return height, width


def build(name: str, *, channels: int, size: tuple[int, int], readout: Readout = "both", seed: int) -> Architecture:
    """Return the encoder `name` in training mode, its weights drawn under `seed`.

    resnet18, resnet8: normalised by the batch of all processes; up to 64 px with the small stem, above with ImageNet's.
    vit_tiny: 12 blocks of width 192 with 3 heads. vit_micro: 4 blocks of width 64 with 4 heads.

    Args:
        name: as `full_name` takes it. channels: of the images, 1 or 3. size: their height and width in pixels.
        readout: which tokens of a transformer embed, see `ViT`; the others have but one way.

    Raises: SettingError for an unknown name or readout, and sides that do not fit the patch.
    """
    family, _, patch = full_name(name, size).partition("/")
    if readout not in READOUTS:
        raise SettingError(f"the readout must be {' or '.join(READOUTS)}: got {readout!r}.")
    if channels not in {1, 3}:
        raise SettingError(f"an encoder takes images of 1 or 3 channels: got {channels}.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(seed, "weights"))
        if family in CONVOLUTIONAL:
            stem: Stem = "small" if max(size) <= SMALL_STEM_UP_TO else "imagenet"
            return CONVOLUTIONAL[family](channels, stem=stem, norm="global")
        return ViT(channels, patch=int(patch), readout=readout, **TRANSFORMERS[family])


def save_encoder(
    module: Architecture, path: Path, *, name: str, channels: int, size: tuple[int, int], readout: Readout
) -> None:
    """Write the weights of `module` and what `load_encoder` needs to the .safetensors file `path`, whole or not at all.

    Raises: SettingError where `name` is unknown or does not fit; OutputError where the file cannot be written.
    """
    metadata = {
        "architecture": full_name(name, size),
        "channels": str(channels),
        "size": f"{size[0]}x{size[1]}",
        "readout": readout,
    }
    with atomic(path) as temporary:
        tensors = {key: value.contiguous() for key, value in module.state_dict().items()}
        temporary.write_bytes(save(tensors, metadata))


def load_encoder(path: Path) -> tuple[Architecture, EncoderInfo]:
    """Return the encoder in the .safetensors file `path`, in evaluation mode, and what it is.

    Raises: InputError where the file cannot be read; IntegrityError where it is none of `save_encoder`.
    """
    info = read_info(path)
    module = build(info.architecture, channels=info.channels, size=info.size, readout=info.readout, seed=0)
    load_weights(module, path)
    module.eval()
    return module, info


def load_into(module: Architecture, path: Path) -> None:
    """Copy the weights in the file `path` into `module`; where they are of another encoder, the error says of which.

    Raises: as `load_weights` does; IntegrityError where the weights do not fit.
    """
    try:
        load_weights(module, path)
    except IntegrityError as error:
        try:
            info = read_info(path)
        except IntegrityError:
            raise error from None
        raise IntegrityError(f"{path} holds the weights of {info}, which do not fit here. {error}") from error


def read_info(path: Path) -> EncoderInfo:
    """Return what the .safetensors file `path` says of its encoder; the weights are not read.

    Raises: InputError where the file cannot be read; IntegrityError where it does not say, or says nonsense.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}.") from error
    except SafetensorError as error:
        raise IntegrityError(f"{path} was cut short, or is no .safetensors file: {error}.") from error
    try:
        return _info(said)
    except (KeyError, ValueError) as error:
        raise IntegrityError(
            f"{path} does not say which encoder its weights are of ({error}). Take the encoder.safetensors that feint "
            "pretrain writes."
        ) from error


def _info(said: dict[str, str]) -> EncoderInfo:
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", said["size"]):
        raise ValueError(f"size is {said['size']!r}")
    height, width = said["size"].split("x")
    info = EncoderInfo(
        architecture=said["architecture"],
        channels=int(said["channels"]),
        size=(int(height), int(width)),
        readout=cast("Readout", said["readout"]),
    )
    if full_name(info.architecture, info.size) != info.architecture:
        raise ValueError(f"architecture is {info.architecture!r}, without its patch")
    if info.readout not in READOUTS:
        raise ValueError(f"readout is {info.readout!r}")
    if info.channels not in {1, 3}:
        raise ValueError(f"channels are {info.channels}")
    return info
