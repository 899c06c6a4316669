"""Recipe and result: a `Detector` holds hyperparameters, `fit` returns a `Scorer`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import chain
from typing import ClassVar, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from feint.core.augmentation import PseudoAnomalies
from feint.core.errors import CollapseError, InputError, SettingError

Log = Callable[[int, float], None]

SCORED_AT_ONCE = 64


def no_log(step: int, loss: float) -> None:
    """Log nothing."""


class Scorer(nn.Module, ABC):
    """From images to anomaly scores; its whole state is its `state_dict`.

    `channels` and `size` say which images it was fitted on; `score` is the name of the score that `forward` returns,
    where a scorer can give several.
    """

    score: str = "score"

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.channels = channels
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return anomaly scores (n,), higher = more anomalous, for images (n, c, h, w) in [0, 1]."""
        self._check(images)
        return self._scores(images)

    def map(self, images: Tensor) -> Tensor:
        """Return anomaly maps (n, h, w), higher = more anomalous, at the size of `images`."""
        self._check(images)
        return self._maps(images)

    def all_scores(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return every score (n,) this scorer can give, by name, the one of `forward` among them, from one pass."""
        return {self.score: self(images)}

    def embed(self, images: Tensor) -> Tensor:
        """Return embeddings (n, d) of images (n, c, h, w) in [0, 1]; the pixels, where there is no encoder."""
        self._check(images)
        return self._embeddings(images)

    def _embeddings(self, images: Tensor) -> Tensor:
        """Embed checked images."""
        return images.flatten(1)

    def _check(self, images: Tensor) -> None:
        if not images.is_floating_point():
            raise InputError(f"images must be floating point in [0, 1]: got {images.dtype}. Use as_unit on bytes.")
        if images.ndim != 4:
            raise InputError(
                f"images must have shape (n, c, h, w): got {tuple(images.shape)}. One image? Pass image[None]."
            )
        if tuple(images.shape[1:]) != (self.channels, *self.size):
            raise InputError(
                f"this scorer was fitted on images of shape {(self.channels, *self.size)} (channels, height, width): "
                f"got {tuple(images.shape[1:])}. Resize them first, as its preprocessing says."
            )

    @abstractmethod
    def _scores(self, images: Tensor) -> Tensor:
        """Score checked images."""

    @abstractmethod
    def _maps(self, images: Tensor) -> Tensor:
        """Map checked images."""


S_co = TypeVar("S_co", bound=Scorer, covariant=True)


class Detector(ABC, Generic[S_co]):
    """A frozen, keyword-only dataclass of hyperparameters; no unfitted scorer exists.

    `pseudo_anomalies` says whether a fit needs them, refuses them (a vanilla detector) or can do without.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "required"

    def fit(self, normals: Tensor, *, policy: PseudoAnomalies | None, seed: int, log: Log = no_log) -> S_co:
        """Fit on normal images (n, c, h, w), uint8, with pseudo-anomalies from `policy`.

        All randomness comes from streams named under `seed`; the same seed gives the same scorer, bit for bit.
        `log(step, loss)` is called now and then.

        Raises: InputError for images of another kind; SettingError where `policy` is missing or out of place;
        CollapseError where the loss stops being finite or all embeddings come out the same.
        """
        check_pixels(normals, "normal")
        name = type(self).__name__
        if policy is None and self.pseudo_anomalies == "required":
            raise SettingError(f"{name} learns from pseudo-anomalies: give a policy that makes them.")
        if policy is not None and self.pseudo_anomalies == "refused":
            raise SettingError(f"{name} is fitted on normal images alone: give policy=None.")
        return self._fit(normals, policy, seed, log)

    @abstractmethod
    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> S_co:
        """Fit on checked images."""


class PoolDetector(ABC, Generic[S_co]):
    """A frozen, keyword-only dataclass of hyperparameters, fitted on normal images and on unlabelled ones.

    What its scorer says of the unlabelled images it was fitted on is too good: judge it on others (`cross_fitted`).
    """

    def fit(self, normals: Tensor, unlabelled: Tensor, *, seed: int, log: Log = no_log) -> S_co:
        """Fit on normal (n, c, h, w) and unlabelled images (m, c, h, w), uint8, of the same shape.

        All randomness comes from streams named under `seed`; the same seed gives the same scorer, bit for bit.
        `log(step, loss)` is called now and then.

        Raises: InputError for images of another kind; CollapseError where the loss stops being finite or all
        embeddings come out the same.
        """
        check_pixels(normals, "normal")
        check_pixels(unlabelled, "unlabelled")
        if normals.shape[1:] != unlabelled.shape[1:]:
            raise InputError(
                f"normal images of shape {tuple(normals.shape[1:])} cannot stand beside unlabelled ones of shape "
                f"{tuple(unlabelled.shape[1:])} (channels, height, width)."
            )
        return self._fit(normals, unlabelled, seed, log)

    @abstractmethod
    def _fit(self, normals: Tensor, unlabelled: Tensor, seed: int, log: Log) -> S_co:
        """Fit on checked images."""


def check_pixels(images: Tensor, kind: str) -> None:
    """Raise InputError unless `images` are uint8 of shape (n, c, h, w), at least one; `kind` names them."""
    if images.ndim != 4 or images.dtype != torch.uint8 or len(images) == 0:
        raise InputError(
            f"{kind} images must be uint8 of shape (n, c, h, w): got {images.dtype} of shape {tuple(images.shape)}."
        )


def check_settings(recipe: object, allowed: Mapping[str, bool], rules: str) -> None:
    """Raise SettingError with every setting of `recipe` that is not `allowed`, and the `rules` it breaks."""
    wrong = [f"{name} = {getattr(recipe, name)!r}" for name, fine in allowed.items() if not fine]
    if wrong:
        raise SettingError(f"{type(recipe).__name__}: {', '.join(wrong)} is impossible: {rules}.")


def finite(loss: Tensor, step: int) -> float:
    """Return the loss as a number; raises CollapseError where it is not finite."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise CollapseError(f"the training diverged at step {step}: the loss is {value}. Lower the learning rate.")
    return value


def device_of(scorer: Scorer) -> torch.device:
    """Return where a scorer computes: where its first parameter or buffer lies, the CPU if it has none."""
    first = next(chain(scorer.parameters(), scorer.buffers()), None)
    return torch.device("cpu") if first is None else first.device


@torch.no_grad()
def score_images(scorer: Scorer, images: Tensor) -> Tensor:
    """Return the scores (n,), on the CPU, of images (n, c, h, w), uint8, wherever the scorer lies; none of none."""
    device = device_of(scorer)
    chunks = [scorer(as_unit(chunk).to(device)).float().cpu() for chunk in torch.split(images, SCORED_AT_ONCE)]
    return torch.cat([torch.empty(0), *chunks])


def thinned(images: Tensor, most: int) -> Tensor:
    """Return at most `most` of the images (n, c, h, w), evenly spaced."""
    return images if len(images) <= most else images[torch.linspace(0, len(images) - 1, most).long()]


def as_unit(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1]."""
    return images.to(torch.float32) / 255
