"""The abstract augmentation: first draw (randomness, no gradient), then apply (gradient, no randomness)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from feint.core.errors import SettingError

RHO_LIMIT = 6.0


@dataclass(frozen=True, kw_only=True)
class Magnitude:
    """One learnable strength of an augmentation, and the map from an unconstrained number to it.

    With t = sigmoid(rho): linear, low + (high - low) t; log, low (high / low)^t; periodic, rho itself in
    units of a period (no bound, `low` and `high` span one period).

    References: self-tuning follows Yoo, Zhao, Akoglu, arXiv 2306.12033; the reparametrisation is Feint's own.
    """

    name: str
    unit: str
    low: float
    high: float
    scale: Literal["linear", "log", "periodic"] = "linear"

    def natural(self, rho: Tensor) -> Tensor:
        """Map the unconstrained `rho` (any shape) to the magnitude in its natural unit."""
        if self.scale == "periodic":
            return self.low + (self.high - self.low) * rho
        t = torch.sigmoid(rho)
        if self.scale == "log":
            return self.low * (self.high / self.low) ** t
        return self.low + (self.high - self.low) * t

    def free(self, value: float) -> float:
        """Map a magnitude in its natural unit to the unconstrained rho, kept within +-6."""
        if self.scale == "periodic":
            return (value - self.low) / (self.high - self.low)
        if self.scale == "log":
            t = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            t = (value - self.low) / (self.high - self.low)
        t = min(max(t, 1e-9), 1 - 1e-9)
        return min(max(math.log(t / (1 - t)), -RHO_LIMIT), RHO_LIMIT)

    def at(self, t: Tensor) -> Tensor:
        """Return the magnitude at the share `t` in [0, 1] of its range: uniform `t` samples the range."""
        if self.scale == "log":
            return self.low * (self.high / self.low) ** t
        return self.low + (self.high - self.low) * t


class Augmentation(ABC):
    """A transform of images with one draw per image; its magnitudes are arguments, not state.

    Subclasses declare `name`, `magnitudes`, `noise_size`, `differentiable` and write `_transform`. `starts` are the
    magnitudes from which tuning begins, if it can be tuned; `regimes` narrow the whole range, one entry for each way
    of drawing the magnitudes at random that is worth a candidate of its own.
    """

    name: ClassVar[str]
    magnitudes: ClassVar[tuple[Magnitude, ...]]
    noise_size: ClassVar[int]
    differentiable: ClassVar[bool] = True
    starts: ClassVar[tuple[dict[str, float], ...]] = ()
    regimes: ClassVar[tuple[dict[str, tuple[float, float]], ...]] = ({},)

    def draw(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return all the randomness of `n` images: (n, noise_size), uniform on [0, 1)."""
        return torch.rand(n, self.noise_size, generator=generator)

    def apply(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        """Transform `images` (n, c, h, w) in [0, 1] with `noise` (n, noise_size) at `magnitudes` (m,) or (n, m).

        Returns images (n, c, h, w) in [0, 1]. Gradient flows to `images` and, where `differentiable`, to
        `magnitudes`. Raises SettingError on a wrong shape.
        """
        if images.ndim != 4:
            raise SettingError(
                f"images must have shape (n, c, h, w): got {tuple(images.shape)}. One image? Pass image[None]."
            )
        if not images.is_floating_point():
            raise SettingError(f"images must be floating point in [0, 1]: got {images.dtype}. Divide bytes by 255.")
        n, m = len(images), len(self.magnitudes)
        if noise.shape != (n, self.noise_size):
            raise SettingError(
                f"{self.name}: noise must have shape ({n}, {self.noise_size}): got {tuple(noise.shape)}."
            )
        if magnitudes.shape not in {(m,), (n, m)}:
            raise SettingError(
                f"{self.name} has {m} magnitudes ({', '.join(x.name for x in self.magnitudes)}): "
                f"give a tensor ({m},) or ({n}, {m}), got {tuple(magnitudes.shape)}."
            )
        return self._transform(images, noise.to(images), magnitudes.to(images).expand(n, m))

    @abstractmethod
    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        """Transform with checked shapes: images (n, c, h, w), noise (n, k), magnitudes (n, m)."""

    def natural(self, rho: Tensor) -> Tensor:
        """Map unconstrained rho (m,) to natural magnitudes (m,), differentiably."""
        return torch.stack([each.natural(rho[i]) for i, each in enumerate(self.magnitudes)])

    def free(self, magnitudes: dict[str, float]) -> Tensor:
        """Map natural magnitudes by name to unconstrained rho (m,)."""
        return torch.tensor([each.free(magnitudes[each.name]) for each in self.magnitudes])


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How pseudo-anomalies are made: an augmentation with the range from which each image draws its magnitudes.

    `low` == `high` is a static augmentation (the tuned one, or RS of the literature); the augmentation's
    whole range is the dynamic one (RD, current practice). Draws are uniform on the magnitude's own scale.
    """

    augmentation: Augmentation
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        for each, low, high in zip(self.augmentation.magnitudes, self.low, self.high, strict=True):
            if low > high:
                raise SettingError(
                    f"{self.augmentation.name}: {each.name} must go from low to high: got {low} to {high}."
                )

    def draw(self, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return noise (n, k) and magnitudes (n, m)."""
        noise = self.augmentation.draw(n, generator=generator)
        share = torch.rand(n, len(self.low), generator=generator)
        columns = [
            Magnitude(name=each.name, unit=each.unit, low=low, high=high, scale=each.scale).at(share[:, i])
            if high > low
            else torch.full((n,), low)
            for i, (each, low, high) in enumerate(zip(self.augmentation.magnitudes, self.low, self.high, strict=True))
        ]
        return noise, torch.stack(columns, dim=1) if columns else torch.zeros(n, 0)

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a pseudo-anomaly of each image, (n, c, h, w) in [0, 1]."""
        noise, magnitudes = self.draw(len(images), generator=generator)
        return self.augmentation.apply(images, noise, magnitudes)
