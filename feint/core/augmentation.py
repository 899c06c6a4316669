"""The abstract augmentation: first draw (randomness, no gradient), then apply (gradient, no randomness)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from feint.core.errors import SettingError

RHO_LIMIT = 6.0

Category = Literal["geometric", "elementwise", "color", "local", "mixed"]
Scale = Literal["linear", "log", "ratio", "periodic"]


@dataclass(frozen=True, kw_only=True)
class Magnitude:
    """One learnable strength of an augmentation, and the map from an unconstrained number to it.

    With t = sigmoid(rho): linear, low + (high - low) t; log, low (high / low)^t; ratio, linear from low to 1 in the
    first half of t and from 1 to high in the second (linear throughout where 1 is not inside); periodic, rho itself
    in units of a period (no bound, `low` and `high` span one period).

    `least` and `most` say how far `low` and `high` could be moved, where what lies beyond them still makes sense.

    References: self-tuning follows Yoo, Zhao, Akoglu, arXiv 2306.12033; the reparametrisation is Feint's own.
    """

    name: str
    unit: str
    low: float
    high: float
    scale: Scale = "linear"
    least: float | None = None
    most: float | None = None

    def natural(self, rho: Tensor) -> Tensor:
        """Map the unconstrained `rho` (any shape) to the magnitude in its natural unit."""
        if self.scale == "periodic":
            return self.low + (self.high - self.low) * rho
        return self.at(torch.sigmoid(rho))

    def free(self, value: float) -> float:
        """Map a magnitude in its natural unit to the unconstrained rho, kept within +-6."""
        if self.scale == "periodic":
            return (value - self.low) / (self.high - self.low)
        if self.scale == "log":
            t = math.log(value / self.low) / math.log(self.high / self.low)
        elif self._bends:
            t = (value - self.low) / (1 - self.low) / 2 if value < 1 else 0.5 + (value - 1) / (self.high - 1) / 2
        else:
            t = (value - self.low) / (self.high - self.low)
        t = min(max(t, 1e-9), 1 - 1e-9)
        return min(max(math.log(t / (1 - t)), -RHO_LIMIT), RHO_LIMIT)

    def at(self, t: Tensor) -> Tensor:
        """Return the magnitude at the share `t` in [0, 1] of its range: uniform `t` samples the range."""
        if self.scale == "log":
            return self.low * (self.high / self.low) ** t
        if self._bends:
            return torch.where(t < 0.5, self.low + (1 - self.low) * 2 * t, 1 + (self.high - 1) * (2 * t - 1))
        return self.low + (self.high - self.low) * t

    def share(self, value: Tensor) -> Tensor:
        """Return the share t of the range at which a magnitude `value` (any shape) lies: the inverse of `at`."""
        if self.scale == "log":
            return torch.log(value / self.low) / math.log(self.high / self.low)
        if self._bends:
            below, above = (value - self.low) / (1 - self.low) / 2, 0.5 + (value - 1) / (self.high - 1) / 2
            return torch.where(value < 1, below, above)
        return (value - self.low) / (self.high - self.low)

    def beyond(self, end: float) -> Magnitude:
        """Return the magnitude over a range longer by half at one `end`, 0 or 1, but not past `least` or `most`."""
        value = float(self.at(torch.tensor(1.5 * end - 0.5 * (1 - end), dtype=torch.float64)))
        if end:
            return self if self.most is None else replace(self, high=max(self.high, min(value, self.most)))
        return self if self.least is None else replace(self, low=min(self.low, max(value, self.least)))

    @property
    def _bends(self) -> bool:
        return self.scale == "ratio" and self.low < 1 < self.high


class Augmentation(ABC):
    """A transform of images with one draw per image; its magnitudes are arguments, not state.

    Subclasses declare `name`, `category`, `magnitudes`, `noise_size`, `differentiable` and write `_transform`.
    `noise_size` counts random numbers per image or, with `noise_per_pixel`, per channel and pixel. What has finitely
    many `outcomes` writes `_outcome` too; outcome 0 is the identity. `bounded` says that output stays in [0, 1].
    `starts` are the magnitudes from which tuning by gradient begins, if it can be tuned so.
    """

    name: ClassVar[str]
    category: ClassVar[Category]
    magnitudes: ClassVar[tuple[Magnitude, ...]]
    noise_size: ClassVar[int]
    noise_per_pixel: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    bounded: ClassVar[bool] = True
    outcomes: ClassVar[int | None] = None
    starts: ClassVar[tuple[dict[str, float], ...]] = ()

    def draw(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return all the randomness of `images` (n, c, h, w), whose shape alone counts: (n, k), uniform on [0, 1)."""
        return torch.rand(len(images), self._noise_columns(images), generator=generator)

    def apply(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        """Transform `images` (n, c, h, w) in [0, 1] with `noise` (n, k) at `magnitudes` (m,) or (n, m).

        Returns images (n, c, h, w), in [0, 1] where `bounded`. Gradient flows to `images` and, where
        `differentiable`, to `magnitudes`. Raises SettingError on a wrong shape.
        """
        _check_images(images)
        n, m, k = len(images), len(self.magnitudes), self._noise_columns(images)
        if noise.shape != (n, k):
            raise SettingError(f"{self.name}: noise must have shape ({n}, {k}): got {tuple(noise.shape)}.")
        if magnitudes.shape not in {(m,), (n, m)}:
            raise SettingError(
                f"{self.name} has {m} magnitudes ({', '.join(x.name for x in self.magnitudes)}): "
                f"give a tensor ({m},) or ({n}, {m}), got {tuple(magnitudes.shape)}."
            )
        return self._transform(images, noise.to(images), magnitudes.to(images).expand(n, m))

    def outcome(self, images: Tensor, which: Tensor) -> Tensor:
        """Return outcome `which` (n,), integers from 0 (the identity) to `outcomes` - 1, of each image (n, c, h, w).

        Raises SettingError where there are not finitely many, on a number out of range and on a wrong shape.
        """
        _check_images(images)
        if self.outcomes is None:
            raise SettingError(f"{self.name} has no finite set of outcomes: apply it with noise.")
        if which.shape != images.shape[:1] or not bool(((which >= 0) & (which < self.outcomes)).all()):
            raise SettingError(
                f"{self.name}: outcomes must be {len(images)} integers from 0 to {self.outcomes - 1}: got {which}."
            )
        return self._outcome(images, which.to(images.device))

    def _noise_columns(self, images: Tensor) -> int:
        return self.noise_size * (images[0].numel() if self.noise_per_pixel else 1)

    def _outcome(self, images: Tensor, which: Tensor) -> Tensor:
        """Return checked outcomes (n,) of images (n, c, h, w)."""
        raise NotImplementedError(f"{self.name} declares {self.outcomes} outcomes and must write _outcome.")

    @abstractmethod
    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        """Transform with checked shapes: images (n, c, h, w), noise (n, k), magnitudes (n, m)."""

    def natural(self, rho: Tensor) -> Tensor:
        """Map unconstrained rho (m,) to natural magnitudes (m,), differentiably."""
        return torch.stack([each.natural(rho[i]) for i, each in enumerate(self.magnitudes)])

    def free(self, magnitudes: dict[str, float]) -> Tensor:
        """Map natural magnitudes by name to unconstrained rho (m,)."""
        return torch.tensor([each.free(magnitudes[each.name]) for each in self.magnitudes])


class PseudoAnomalies(ABC):
    """Where a detector's pseudo-anomalies come from: an augmentation of the normal images, or other images."""

    @property
    def outcomes(self) -> int | None:
        """How many outcomes an image can have, the identity among them; None: not finitely many."""
        return None

    @property
    def kinds(self) -> int:
        """How many kinds there are that a detector may tell from each other."""
        return 1

    @abstractmethod
    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a pseudo-anomaly for each image, (n, c, h, w)."""

    def made(self, images: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a pseudo-anomaly for each image, (n, c, h, w), and its kind (n,), integers from 0."""
        return self(images, generator=generator), torch.zeros(len(images), dtype=torch.long)

    def outcome(self, images: Tensor, which: Tensor) -> Tensor:
        """Return outcome `which` (n,) of each image (n, c, h, w); raises SettingError where `outcomes` is None."""
        raise SettingError(f"{type(self).__name__} has no finite set of outcomes: {which} of {len(images)} images.")


@final
@dataclass(frozen=True, kw_only=True)
class Policy(PseudoAnomalies):
    """How an augmentation is used: the range from which each image draws its magnitudes.

    `low` == `high` is a static augmentation (the tuned one, or RS of the literature); the augmentation's
    whole range is the dynamic one (RD, current practice). Draws are uniform on the magnitude's own scale, or on
    that in `scales`, one for each magnitude.
    """

    augmentation: Augmentation
    low: tuple[float, ...]
    high: tuple[float, ...]
    scales: tuple[Scale, ...] = ()

    def __post_init__(self) -> None:
        for each, low, high in zip(self.augmentation.magnitudes, self.low, self.high, strict=True):
            if low > high:
                raise SettingError(
                    f"{self.augmentation.name}: {each.name} must go from low to high: got {low} to {high}."
                )
        if self.scales and len(self.scales) != len(self.low):
            raise SettingError(f"{self.augmentation.name}: give a scale for each of {len(self.low)} magnitudes.")

    @property
    def outcomes(self) -> int | None:
        """How many outcomes the augmentation has."""
        return self.augmentation.outcomes

    def draw(self, images: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return noise (n, k) and magnitudes (n, m) for images (n, c, h, w), whose shape alone counts."""
        noise = self.augmentation.draw(images, generator=generator)
        return noise, self.at(torch.rand(len(images), len(self.low), generator=generator))

    @property
    def ranges(self) -> tuple[Magnitude, ...]:
        """The augmentation's magnitudes, each over the range and on the scale of this policy.

        Part of a period has two ends: it is linear.
        """
        magnitudes = self.augmentation.magnitudes
        scales = self.scales or tuple(
            "linear" if each.scale == "periodic" and high - low < each.high - each.low else each.scale
            for each, low, high in zip(magnitudes, self.low, self.high, strict=True)
        )
        return tuple(
            replace(each, low=low, high=high, scale=scale)
            for each, low, high, scale in zip(magnitudes, self.low, self.high, scales, strict=True)
        )

    def at(self, share: Tensor) -> Tensor:
        """Return the magnitudes (n, m) at the shares (n, m) in [0, 1] of their ranges: uniform shares sample them."""
        columns = [
            each.at(share[:, i]) if each.high > each.low else torch.full((len(share),), each.low)
            for i, each in enumerate(self.ranges)
        ]
        return torch.stack(columns, dim=1) if columns else torch.zeros(len(share), 0)

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a pseudo-anomaly of each image, (n, c, h, w)."""
        noise, magnitudes = self.draw(images, generator=generator)
        return self.augmentation.apply(images, noise, magnitudes)

    def outcome(self, images: Tensor, which: Tensor) -> Tensor:
        """Return outcome `which` (n,) of each image (n, c, h, w)."""
        return self.augmentation.outcome(images, which)


@final
@dataclass(frozen=True, kw_only=True)
class Mixture(PseudoAnomalies):
    """Several kinds of pseudo-anomalies: each image gets one of them, drawn at random, all equally likely."""

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        if not self.policies:
            raise SettingError("a mixture needs at least one policy.")

    @property
    def kinds(self) -> int:
        """How many policies there are."""
        return len(self.policies)

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a pseudo-anomaly for each image, (n, c, h, w)."""
        return self.made(images, generator=generator)[0]

    def made(self, images: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a pseudo-anomaly for each image, (n, c, h, w), and the number of its policy (n,)."""
        kind = torch.randint(self.kinds, (len(images),), generator=generator)
        pseudo = torch.empty_like(images)
        for k, policy in enumerate(self.policies):
            chosen = kind == k
            if bool(chosen.any()):
                pseudo[chosen] = policy(images[chosen], generator=generator)
        return pseudo, kind


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure(PseudoAnomalies):
    """Outlier exposure: a random one of other `images` (k, c, h, w), uint8, takes the place of each pseudo-anomaly.

    The others may be of another class, or a few real anomalies that somebody marked.

    References: Hendrycks, Mazeika, Dietterich (ICLR 2019), arXiv:1812.04606; Ruff et al. (ICLR 2020),
    arXiv:1906.02694, for a few marked anomalies.
    """

    images: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != torch.uint8 or len(self.images) == 0:
            raise SettingError(
                f"outliers must be uint8 of shape (k, c, h, w), at least one: got {self.images.dtype} of shape "
                f"{tuple(self.images.shape)}."
            )

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a random outlier for each image, (n, c, h, w) in [0, 1]."""
        if images.shape[1:] != self.images.shape[1:]:
            raise SettingError(
                f"outliers of shape {tuple(self.images.shape[1:])} cannot stand beside images of shape "
                f"{tuple(images.shape[1:])} (channels, height, width)."
            )
        chosen = torch.randint(len(self.images), (len(images),), generator=generator)
        return self.images[chosen].to(images) / 255


@final
class Unchanged(PseudoAnomalies):
    """Each image itself: what outlier exposure comes to where the outliers are the normal class."""

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the images."""
        return images


def _check_images(images: Tensor) -> None:
    if images.ndim != 4:
        raise SettingError(
            f"images must have shape (n, c, h, w): got {tuple(images.shape)}. One image? Pass image[None]."
        )
    if not images.is_floating_point():
        raise SettingError(f"images must be floating point in [0, 1]: got {images.dtype}. Divide bytes by 255.")
