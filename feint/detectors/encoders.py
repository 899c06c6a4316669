"""Which encoder a detector reads its features from: a name, and what belongs to it."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from feint.core.augmentation import Policy, PseudoAnomalies
from feint.core.detector import Detector, Log, S_co, as_unit, no_log
from feint.core.errors import SettingError
from feint.core.streams import seed_of
from feint.detectors.discriminator import Discriminator
from feint.networks.architectures import ARCHITECTURES, Architecture, build, load_into, patch_of
from feint.networks.conv import ConvEncoder, head
from feint.networks.pretrained import RGB, Encoder, Lite0, Network, saved, sides, untrained
from feint.networks.timm_models import TimmNetwork
from feint.networks.weights import read_weights

TIMM = "timm:"
CHUNK = 32
FINE_TUNING_RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class EncoderDetector(Detector[S_co], ABC):
    """The settings of every detector that reads the features of an encoder.

    Args:
        encoder: "untrained" (the small encoder with random weights), "trained" (the same, trained as a `Discriminator`
            on normal images against the pseudo-anomalies of the policy, which is then required, and otherwise
            refused), "lite0" (EfficientNet-Lite0, ImageNet; extra `lite0`), "timm:NAME" (extra `timm`), an architecture
            that `feint pretrain` trains ("resnet8", "vit_micro/8"; see `feint.networks.architectures`), or the path of
            a .safetensors file with the state_dict of a `ConvEncoder`.
        encoder_size: height and width in pixels, or the side of a square, to which images are resized for the encoder;
            None: as they come. encoder_channels: what an architecture takes, 1 or 3; None: what the images have. With
            weights from `feint pretrain` both are those of its images.
        weights, sha256: of an architecture, the encoder.safetensors of a pretraining and what its sha256 must be; None:
            random weights. They are read in a fit alone: the scorer's state holds them. With `offline`, of a timm
            network, see `TimmNetwork`.
        width, depth: of the small encoder; steps: of its training, and of fine-tuning.
        fine_tuned: whether the encoder is first trained further, to tell normal images from the pseudo-anomalies of the
            policy, which is then required. Its batch normalisations stay in evaluation mode.
        nuisances: changes that must not count as anomalies, applied to every normal image in fine-tuning.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "optional"

    ENCODERS: ClassVar[tuple[str, ...]] = ("untrained", "trained", "lite0")

    encoder: str = "untrained"
    encoder_size: int | tuple[int, int] | None = None
    encoder_channels: int | None = None
    weights: str | None = None
    sha256: str | None = None
    offline: bool = True
    width: int = 16
    depth: int = 4
    steps: int = 600
    fine_tuned: bool = False
    nuisances: tuple[Policy, ...] = field(default=())

    def __post_init__(self) -> None:
        owner = type(self).__name__
        known = self.encoder in self.ENCODERS or self.encoder.endswith(".safetensors") or self._is_architecture
        if not known and not (self.encoder.startswith(TIMM) and len(self.encoder) > len(TIMM)):
            raise SettingError(
                f"{owner}.encoder must be {', '.join(self.ENCODERS)}, timm:NAME or one of {', '.join(ARCHITECTURES)}, "
                f"or the path of a .safetensors file: got {self.encoder!r}."
            )
        if self._is_architecture:
            patch_of(self.encoder, (0, 0))
        if min(sides(self.encoder_size) or (1, 1)) < 1:
            raise SettingError(f"{owner}.encoder_size must be a number of pixels: got {self.encoder_size}.")
        if self.weights is not None and not (self._is_architecture or self.encoder.startswith(TIMM)):
            raise SettingError(
                f"{owner}.weights belong to an encoder timm:NAME or one of {', '.join(ARCHITECTURES)}: got "
                f"{self.encoder!r}."
            )
        if self.encoder_channels is not None and not self._is_architecture:
            raise SettingError(
                f"{owner}.encoder_channels belong to one of {', '.join(ARCHITECTURES)}: got {self.encoder!r}."
            )
        if self.fine_tuned and self.encoder == "trained":
            raise SettingError(f"{owner}: the encoder 'trained' is trained anyway; fine_tuned is for the others.")
        Discriminator(width=self.width, depth=self.depth, steps=self.steps)
        needed = self.fine_tuned or self.encoder == "trained"
        object.__setattr__(self, "pseudo_anomalies", "required" if needed else "refused")

    def scorer(self, channels: int, size: tuple[int, int]) -> S_co:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        blank = torch.zeros(1, channels, *size, dtype=torch.uint8)
        network, takes = (
            (untrained(channels, width=self.width, depth=self.depth, seed=0), channels)
            if self.encoder == "trained"
            else self._network(blank, None, 0, no_log)
        )
        return self._around(Encoder(network, channels=takes, size=self.encoder_size), channels, size)

    def _around(self, encoder: Encoder, channels: int, size: tuple[int, int]) -> S_co:  # noqa: ARG002
        """Return an empty scorer around `encoder`; raises SettingError where scorers cannot be saved."""
        raise SettingError(f"the scorers of {type(self).__name__} cannot be saved.")

    def _encoder(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> Encoder:
        """Return the encoder with its weights, trained on `normals` (n, c, h, w), uint8, where it is trained here."""
        network, takes = self._network(normals, policy, seed, log)
        if takes < normals.shape[1]:
            raise SettingError(f"the encoder {self.encoder} takes grey images: got {normals.shape[1]} channels.")
        if self._is_architecture and self.weights is not None:
            if self.sha256 is not None:
                read_weights(Path(self.weights), sha256=self.sha256)
            load_into(cast("Architecture", network), Path(self.weights))
        encoder = Encoder(network, channels=takes, size=self.encoder_size)
        if self.fine_tuned and policy is not None:
            self._fine_tune(encoder, normals, policy, seed, log)
        return encoder

    @property
    def _is_architecture(self) -> bool:
        return self.encoder.partition("/")[0] in ARCHITECTURES and not self.encoder.endswith(".safetensors")

    def _network(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> tuple[Network, int]:
        """Return the network and what channels it takes; an architecture with random weights."""
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
        if self._is_architecture:
            takes = self.encoder_channels or channels
            size = sides(self.encoder_size) or (normals.shape[2], normals.shape[3])
            return build(self.encoder, channels=takes, size=size, seed=seed), takes
        return saved(Path(self.encoder))

    def _trained(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> ConvEncoder:
        recipe = Discriminator(width=self.width, depth=self.depth, steps=self.steps)
        return recipe.fit(normals, policy=policy, seed=seed, log=log).classifier.encoder

    def _fine_tune(self, encoder: Encoder, normals: Tensor, policy: PseudoAnomalies, seed: int, log: Log) -> None:
        """Train `encoder` further, with a head that is thrown away."""
        recipe = Discriminator(steps=self.steps, rate=FINE_TUNING_RATE, nuisances=self.nuisances)
        with torch.no_grad():
            embedding_size = encoder(as_unit(normals[:1])).shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "head"))
            top = head(embedding_size, kinds=policy.kinds)
        encoder.requires_grad_(requires_grad=True)
        recipe.tell_apart(encoder, top, normals, policy, seed=seed, log=log)
        encoder.requires_grad_(requires_grad=False)


def middle(maps: list[Tensor]) -> list[Tensor]:
    """Return the two middle maps, the second and third of four: neither edges nor classes; of one map, that one."""
    first = max(0, len(maps) // 2 - 1)
    return maps[first : first + 2]


def in_chunks(images: Tensor) -> list[Tensor]:
    """Return uint8 images (n, c, h, w) as chunks in [0, 1], few enough for an encoder's maps to fit in memory."""
    return [as_unit(chunk) for chunk in torch.split(images, CHUNK)]
