"""The catalogue of augmentations: one file each; the next one is a file and a line here."""

from feint.augmentations.brightness import Brightness
from feint.augmentations.cutdiff import CutDiff
from feint.augmentations.cutout import CutOut
from feint.augmentations.cutpaste import CutPaste
from feint.augmentations.flips import Flips
from feint.augmentations.rotation import Rotation
from feint.core.augmentation import Augmentation

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "cutdiff": CutDiff,
    "rotation": Rotation,
    "cutout": CutOut,
    "cutpaste": CutPaste,
}
"""Augmentations whose output plays an anomaly."""

NUISANCES: dict[str, type[Augmentation]] = {
    "flips": Flips,
    "brightness": Brightness,
}
"""Changes that must not count as anomalies."""

__all__ = ["AUGMENTATIONS", "NUISANCES", "Brightness", "CutDiff", "CutOut", "CutPaste", "Flips", "Rotation"]
