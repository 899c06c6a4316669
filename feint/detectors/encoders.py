"""Which encoder a detector reads its features from: a name, and what belongs to it."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Detector, Log, S_co, as_unit, no_log
from feint.core.errors import SettingError
from feint.detectors.discriminator import Discriminator
from feint.networks.conv import ConvEncoder
from feint.networks.pretrained import RGB, Encoder, Lite0, Network, saved, untrained
from feint.networks.timm_models import TimmNetwork

TIMM = "timm:"
CHUNK = 32


@dataclass(frozen=True, kw_only=True)
class EncoderDetector(Detector[S_co], ABC):
    """The settings of every detector that reads the features of an encoder.

    Args:
        encoder: "untrained" (the small encoder with random weights), "trained" (the same, trained as a `Discriminator`
            on normal images against the pseudo-anomalies of the policy, which is then required, and otherwise
            refused), "lite0" (EfficientNet-Lite0, ImageNet; extra `lite0`), "timm:NAME" (extra `timm`), or the path of
            a .safetensors file with the state_dict of a `ConvEncoder`.
        encoder_size: side in pixels to which images are resized for the encoder; None: as they come.
        weights, sha256, offline: of a timm network, see `TimmNetwork`.
        width, depth: of the small encoder; steps: of its training.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "optional"

    ENCODERS: ClassVar[tuple[str, ...]] = ("untrained", "trained", "lite0")

    encoder: str = "untrained"
    encoder_size: int | None = None
    weights: str | None = None
    sha256: str | None = None
    offline: bool = True
    width: int = 16
    depth: int = 4
    steps: int = 600

    def __post_init__(self) -> None:
        owner = type(self).__name__
        known = self.encoder in self.ENCODERS or self.encoder.endswith(".safetensors")
        if not known and not (self.encoder.startswith(TIMM) and len(self.encoder) > len(TIMM)):
            raise SettingError(
                f"{owner}.encoder must be {', '.join(self.ENCODERS)}, timm:NAME or the path of a .safetensors file: "
                f"got {self.encoder!r}."
            )
        if self.encoder_size is not None and self.encoder_size < 1:
            raise SettingError(f"{owner}.encoder_size must be a number of pixels: got {self.encoder_size}.")
        if self.weights is not None and not self.encoder.startswith(TIMM):
            raise SettingError(f"{owner}.weights belong to an encoder timm:NAME: got {self.encoder!r}.")
        Discriminator(width=self.width, depth=self.depth, steps=self.steps)
        object.__setattr__(self, "pseudo_anomalies", "required" if self.encoder == "trained" else "refused")

    def scorer(self, channels: int, size: tuple[int, int]) -> S_co:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        blank = torch.zeros(1, channels, *size, dtype=torch.uint8)
        network = untrained(channels, width=self.width, depth=self.depth, seed=0)
        encoder = (
            Encoder(network, channels=channels, size=self.encoder_size)
            if self.encoder == "trained"
            else self._encoder(blank, None, 0, no_log)
        )
        return self._around(encoder, channels, size)

    def _around(self, encoder: Encoder, channels: int, size: tuple[int, int]) -> S_co:  # noqa: ARG002
        """Return an empty scorer around `encoder`; raises SettingError where scorers cannot be saved."""
        raise SettingError(f"the scorers of {type(self).__name__} cannot be saved.")

    def _encoder(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> Encoder:
        """Return the encoder, trained on `normals` (n, c, h, w), uint8, where it is trained here."""
        network, takes = self._network(normals, policy, seed, log)
        if takes < normals.shape[1]:
            raise SettingError(f"the encoder {self.encoder} takes grey images: got {normals.shape[1]} channels.")
        return Encoder(network, channels=takes, size=self.encoder_size)

    def _network(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> tuple[Network, int]:
        channels = normals.shape[1]
        if self.encoder == "untrained":
            return untrained(channels, width=self.width, depth=self.depth, seed=seed), channels
        if self.encoder == "trained":
            return self._trained(normals, policy, seed, log), channels
        if self.encoder == "lite0":
            return Lite0(), RGB
        if self.encoder.startswith(TIMM):
            weights = None if self.weights is None else Path(self.weights)
            name = self.encoder.removeprefix(TIMM)
            return TimmNetwork(name, weights=weights, sha256=self.sha256, offline=self.offline), RGB
        return saved(Path(self.encoder))

    def _trained(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> ConvEncoder:
        recipe = Discriminator(width=self.width, depth=self.depth, steps=self.steps)
        return recipe.fit(normals, policy=policy, seed=seed, log=log).classifier.encoder


def middle(maps: list[Tensor]) -> list[Tensor]:
    """Return the two middle maps, the second and third of four: neither edges nor classes; of one map, that one."""
    first = max(0, len(maps) // 2 - 1)
    return maps[first : first + 2]


def in_chunks(images: Tensor) -> list[Tensor]:
    """Return uint8 images (n, c, h, w) as chunks in [0, 1], few enough for an encoder's maps to fit in memory."""
    return [as_unit(chunk) for chunk in torch.split(images, CHUNK)]
