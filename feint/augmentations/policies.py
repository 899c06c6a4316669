"""The augmentations by the names of the literature, with its parameters, and with one of them set by number."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace

import torch

from feint.augmentations.blur import Blur
from feint.augmentations.colorjitter import ColorJitter
from feint.augmentations.crop import Crop
from feint.augmentations.cutdiff import CutDiff
from feint.augmentations.cutout import CutOut
from feint.augmentations.cutpaste import CutPaste
from feint.augmentations.geom import Geom
from feint.augmentations.invert import Invert
from feint.augmentations.mask import Mask
from feint.augmentations.noise import Noise
from feint.augmentations.rightangles import RightAngles
from feint.augmentations.rotation import Rotation
from feint.augmentations.scar import Scar
from feint.augmentations.simclr import SimCLR
from feint.augmentations.verticalflip import VerticalFlip
from feint.core.augmentation import Augmentation, Category, Policy
from feint.core.errors import SettingError


def whole_range(augmentation: Augmentation) -> Policy:
    """Return the policy that draws every magnitude from its whole range."""
    return Policy(
        augmentation=augmentation,
        low=tuple(each.low for each in augmentation.magnitudes),
        high=tuple(each.high for each in augmentation.magnitudes),
    )


def _fixed(augmentation: Augmentation, value: float) -> Policy:
    return Policy(augmentation=augmentation, low=(value,), high=(value,))


POLICIES: dict[str, Policy] = {
    "crop": whole_range(Crop()),
    "rotate": whole_range(RightAngles()),
    "flip": _fixed(VerticalFlip(), 0.5),
    "geom": whole_range(Geom()),
    "cutout": Policy(augmentation=CutOut(), low=(0.02, 0.3), high=(0.33, 3.3), scales=("linear", "log")),
    "cutpaste": Policy(
        augmentation=CutPaste(), low=(0.02, 0.3, 0.1), high=(0.15, 3.3, 0.1), scales=("linear", "ratio", "linear")
    ),
    "cp-scar": Policy(augmentation=Scar(), low=(10, 2, -45, 0.1), high=(25, 16, 45, 0.1)),
    "mask": _fixed(Mask(), 0.1),
    "noise": _fixed(Noise(), 0.1),
    "blur": whole_range(Blur()),
    "color": _fixed(ColorJitter(), 1.0),
    "invert": _fixed(Invert(), 0.5),
    "simclr": Policy(augmentation=SimCLR(), low=(0.08, 3 / 4, 1.0, 0.1), high=(1.0, 4 / 3, 1.0, 2.0)),
    "cutdiff": whole_range(CutDiff()),
    "rotation": whole_range(Rotation()),
}
"""The 13 functions of Yoo, Zhao, Akoglu (TMLR 2023), arXiv:2208.07734, as in its public code, and Feint's own two."""

MIXED = ("cutdiff", "cutpaste", "rotation")
"""The kinds of pseudo-anomalies that Feint mixes where nothing is known of the anomalies."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Which magnitude the number in a name like `cutout-0.1` sets, from `low` to `high`, and what else it fixes."""

    magnitude: str
    low: float
    high: float
    also: dict[str, float] = field(default_factory=dict)


VARIANTS: dict[str, Variant] = {
    "flip": Variant(magnitude="probability", low=0, high=1),
    "cutout": Variant(magnitude="area", low=0.001, high=0.9, also={"aspect": 1.0}),
    "cutpaste": Variant(magnitude="area", low=0.001, high=0.9),
    "mask": Variant(magnitude="probability", low=0, high=1),
    "noise": Variant(magnitude="std", low=0, high=1),
    "blur": Variant(magnitude="sigma", low=0.01, high=100),
    "color": Variant(magnitude="strength", low=0, high=2.5),
    "invert": Variant(magnitude="probability", low=0, high=1),
    "rotation": Variant(magnitude="angle", low=0, high=360),
}


RANDOM_STATIC = "rs-"
RANDOM_DYNAMIC = "rd-"


def policy_named(name: str) -> Policy:
    """Return the policy called `name`: one of `POLICIES`, or one of `VARIANTS` and a number, as in `cutout-0.1`.

    `rd-NAME` (random dynamic) and `rs-NAME` (random static) are NAME itself: the second says that a training draws its
    magnitudes once, which `policy_for_training` does.

    Raises: SettingError for another name, with the closest there is, and for a number out of range.

    Example:
        >>> policy_named("cutout-0.1").low
        (0.1, 1.0)
    """
    if name.startswith((RANDOM_STATIC, RANDOM_DYNAMIC)):
        name = name[len(RANDOM_STATIC) :]
    if name in POLICIES:
        return POLICIES[name]
    base, _, text = name.rpartition("-")
    value = _number(text)
    if base not in VARIANTS or value is None:
        raise SettingError(_unknown(name))
    variant, policy = VARIANTS[base], POLICIES[base]
    if not variant.low <= value <= variant.high:
        raise SettingError(
            f"augmentation {name!r}: the {variant.magnitude} must be between {variant.low:g} and {variant.high:g}: "
            f"got {text}."
        )
    given = variant.also | {variant.magnitude: value}
    names = [each.name for each in policy.augmentation.magnitudes]
    return replace(
        policy,
        low=tuple(given.get(each, low) for each, low in zip(names, policy.low, strict=True)),
        high=tuple(given.get(each, high) for each, high in zip(names, policy.high, strict=True)),
    )


def policy_for_training(name: str, *, generator: torch.Generator) -> Policy:
    """Return the policy called `name` as one training uses it: of `rs-NAME` each magnitude is drawn here, for good.

    References: the baselines random static and random dynamic of Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033.

    Example:
        >>> policy = policy_for_training("rs-cutout", generator=torch.Generator().manual_seed(0))
        >>> policy.low == policy.high
        True
    """
    policy = policy_named(name)
    if not name.startswith(RANDOM_STATIC):
        return policy
    _, magnitudes = policy.draw(torch.zeros(1, 1, 1, 1), generator=generator)
    drawn = tuple(magnitudes[0].tolist())
    return replace(policy, low=drawn, high=drawn)


def category_of(name: str) -> Category:
    """Return the category of the augmentation called `name`; raises SettingError as `policy_named` does."""
    return policy_named(name).augmentation.category


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _unknown(name: str) -> str:
    text = name.rpartition("-")[2]
    numbered = [] if _number(text) is None else [f"{each}-{text}" for each in VARIANTS]
    close = difflib.get_close_matches(name, [*POLICIES, *numbered], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"choose of {', '.join(POLICIES)}."
    return (
        f"there is no augmentation called {name!r}: {hint} Some take a number: "
        f"{', '.join(f'{each}-{variant.magnitude.upper()}' for each, variant in VARIANTS.items())}."
    )
