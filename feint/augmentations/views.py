"""Views: augmented copies of an image that a self-supervised method takes for the same thing."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from feint.augmentations.blur import Blur
from feint.augmentations.brightness import Brightness
from feint.augmentations.colorjitter import ColorJitter
from feint.augmentations.crop import Crop
from feint.augmentations.flips import Flips
from feint.augmentations.grey import Grey
from feint.augmentations.mirror import Mirror
from feint.augmentations.policies import POLICIES, VARIANTS, policy_named, whole_range
from feint.augmentations.solarise import Solarise
from feint.core.augmentation import Augmentation, Policy
from feint.core.errors import SettingError


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """A policy, and the probability with which an image undergoes it."""

    policy: Policy
    probability: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise SettingError(
                f"{self.policy.augmentation.name}: a probability lies between 0 and 1: got {self.probability}."
            )

    def columns(self, images: Tensor) -> int:
        """Return how many random numbers each of the `images` (n, c, h, w) needs, whose shape alone counts."""
        return 1 + self._noise_columns(images) + len(self.policy.low)

    def apply(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return images (n, c, h, w), those changed that `noise` (n, columns), uniform on [0, 1), chooses."""
        rows = (noise[:, 0] < self.probability).nonzero()[:, 0]
        if len(rows) == 0:
            return images
        if len(rows) == len(images):
            return self._changed(images, noise)
        there = rows.to(images.device)
        return images.index_copy(0, there, self._changed(images[there], noise[rows]))

    def _changed(self, images: Tensor, noise: Tensor) -> Tensor:
        first = 1 + self._noise_columns(images)
        found = self.policy.augmentation.apply(images, noise[:, 1:first], self.policy.at(noise[:, first:]))
        return found if self.policy.augmentation.bounded else found.clamp(0, 1)

    def _noise_columns(self, images: Tensor) -> int:
        augmentation = self.policy.augmentation
        return augmentation.noise_size * (images.shape[1:].numel() if augmentation.noise_per_pixel else 1)


@final
@dataclass(frozen=True, kw_only=True)
class Views:
    """What makes one view of each image: steps, one after the other, each drawn for each image on its own.

    Processes that share a batch all draw for the whole of it, and each applies its own rows of the noise to its own
    images: they get the views that a single process would make.

    Cost: the sum of the steps; one with probability p costs p of it and a copy.
    """

    steps: tuple[Step, ...]

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a view of each of the `images` (n, c, h, w), floats in [0, 1]; `generator` is on the CPU.

        Raises: SettingError for images of another kind.
        """
        return self.apply(images, self.draw(images, generator=generator))

    def draw(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return all the randomness of `images` (n, c, h, w), whose shape alone counts: (n, k), uniform on [0, 1)."""
        return torch.rand(len(images), sum(step.columns(images) for step in self.steps), generator=generator)

    def apply(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return a view of each of the `images` (n, c, h, w), in [0, 1], made with `noise` (n, k).

        Raises: SettingError for images of another kind, and for noise that is not theirs.
        """
        columns = [step.columns(images) for step in self.steps]
        if noise.shape != (len(images), sum(columns)):
            raise SettingError(f"noise must have shape ({len(images)}, {sum(columns)}): got {tuple(noise.shape)}.")
        for step, each in zip(self.steps, torch.split(noise.cpu(), columns, dim=1), strict=True):
            images = step.apply(images, each)
        return images


def _fixed(augmentation: Augmentation, *magnitudes: float) -> Policy:
    return Policy(augmentation=augmentation, low=magnitudes, high=magnitudes)


def _crop(least: float) -> Step:
    return Step(policy=Policy(augmentation=Crop(), low=(least, 3 / 4), high=(1.0, 4 / 3)))


def _jitter(strength: float) -> Step:
    return Step(policy=_fixed(ColorJitter(), strength), probability=0.8)


PARTS: dict[str, Policy] = {
    "mirror": _fixed(Mirror()),
    "grey": _fixed(Grey()),
    "solarise": _fixed(Solarise(), 0.5),
    "flips": _fixed(Flips()),
    "brightness": whole_range(Brightness()),
}
"""What a composition may name besides the augmentations that play anomalies."""

PROBABILITIES: dict[str, float] = {"mirror": 0.5, "color": 0.8, "grey": 0.2, "blur": 0.5, "solarise": 0.2}
"""How often a part of a composition is applied; what is not here changes every image."""

_MIRROR = Step(policy=PARTS["mirror"], probability=0.5)
_GREY = Step(policy=PARTS["grey"], probability=0.2)
_BLUR = Step(policy=whole_range(Blur()), probability=0.5)
_SOLARISE = Step(policy=PARTS["solarise"], probability=0.2)


def _pair(*steps: Step, second: tuple[Step, ...] = ()) -> tuple[Views, Views]:
    return Views(steps=steps), Views(steps=steps + second)


PRESETS: dict[str, tuple[Views, Views]] = {
    "imagenet": _pair(_crop(0.08), _MIRROR, _jitter(1.0), _GREY, _BLUR, second=(_SOLARISE,)),
    "small": _pair(_crop(0.08), _MIRROR, _jitter(0.5), _GREY, second=(_SOLARISE,)),
    "defect": _pair(_crop(0.4), _MIRROR, _jitter(0.5)),
    "mae": _pair(_crop(0.2), _MIRROR),
}
"""The first and the second view, by name.

`imagenet` is for images of 96 pixels and more; `small` for 64 and fewer, with the jitter halved and no blur; `defect`
keeps small defects in the picture and their colours, sharpness and sign as they are, and turns nothing, for parts have
an orientation; `mae` is for a masked autoencoder.

References: Chen et al. (ICML 2020), "SimCLR", arXiv:2002.05709, appendix A, and Grill et al. (NeurIPS 2020), "BYOL",
arXiv:2006.07733, appendix B, for solarising the second view; He et al. (CVPR 2022), "MAE", arXiv:2111.06377.
Deviations: `defect` is Feint's own.
"""


def views_named(name: str) -> tuple[Views, Views]:
    """Return the first and the second view called `name`: one of `PRESETS`, or a composition as `crop+color+blur`.

    A composition makes both views alike, of its parts in the order given: each is a name that `policy_named` knows,
    or one of `PARTS`, and is applied as often as `PROBABILITIES` says.

    Raises: SettingError for another name, with the closest there is, and for a number out of range.

    Example:
        >>> first, second = views_named("crop+mirror+cutout-0.1")
        >>> first == second, [step.probability for step in first.steps]
        (True, [1.0, 0.5, 1.0])
    """
    if name in PRESETS:
        return PRESETS[name]
    policies = [_part(part, name) for part in name.split("+")]
    steps = [Step(policy=each, probability=PROBABILITIES.get(each.augmentation.name, 1.0)) for each in policies]
    return _pair(*steps)


def _part(part: str, name: str) -> Policy:
    if part in PARTS:
        return PARTS[part]
    if part in POLICIES or part.rpartition("-")[0] in VARIANTS:
        return policy_named(part)
    known = [*PARTS, *POLICIES, *(PRESETS if part == name else ())]
    close = difflib.get_close_matches(part, known, n=1)
    which = "" if part == name else f"{part!r} cannot be part of a composition; "
    hint = f"did you mean {close[0]!r}? Choose" if close else "choose"
    raise SettingError(
        f"there are no views called {name!r}: {which}{hint} of {', '.join(PRESETS)}, or compose "
        f"{', '.join([*PARTS, *POLICIES])}, as in 'crop+color+blur'."
    )
