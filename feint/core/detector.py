"""Recipe and result: a `Detector` holds hyperparameters, `fit` returns a `Scorer`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from feint.core.augmentation import Policy
from feint.core.errors import InputError


class Scorer(nn.Module, ABC):
    """From images to anomaly scores; its whole state is its `state_dict`.

    `channels` and `size` say which images it was fitted on.
    """

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


class Detector(ABC):
    """A frozen, keyword-only dataclass of hyperparameters; no unfitted scorer exists."""

    @abstractmethod
    def fit(self, normals: Tensor, *, policy: Policy | None, seed: int) -> Scorer:
        """Fit on normal images (n, c, h, w), uint8, with pseudo-anomalies from `policy` (None: no training).

        All randomness comes from streams named under `seed`; the same seed gives the same scorer, bit for bit.
        """


def check_normals(normals: Tensor) -> None:
    """Raise InputError unless `normals` are what `Detector.fit` takes: (n, c, h, w), uint8, at least one."""
    if normals.ndim != 4 or normals.dtype != torch.uint8 or len(normals) == 0:
        raise InputError(
            f"normal images must be uint8 of shape (n, c, h, w): got {normals.dtype} of shape {tuple(normals.shape)}."
        )


def as_unit(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1]."""
    return images.to(torch.float32) / 255
