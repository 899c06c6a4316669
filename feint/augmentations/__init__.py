"""The catalogue of augmentations: one file each; the next one is a file and a line here."""

from feint.augmentations.blur import Blur
from feint.augmentations.brightness import Brightness
from feint.augmentations.colorjitter import ColorJitter
from feint.augmentations.crop import Crop
from feint.augmentations.cutdiff import CutDiff
from feint.augmentations.cutout import CutOut
from feint.augmentations.cutpaste import CutPaste
from feint.augmentations.flips import Flips
from feint.augmentations.geom import Geom
from feint.augmentations.grey import Grey
from feint.augmentations.invert import Invert
from feint.augmentations.mask import Mask
from feint.augmentations.mirror import Mirror
from feint.augmentations.noise import Noise
from feint.augmentations.rightangles import RightAngles
from feint.augmentations.rotation import Rotation
from feint.augmentations.scar import Scar
from feint.augmentations.simclr import SimCLR
from feint.augmentations.solarise import Solarise
from feint.augmentations.verticalflip import VerticalFlip
from feint.core.augmentation import Augmentation

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "cutdiff": CutDiff,
    "rotation": Rotation,
    "cutout": CutOut,
    "cutpaste": CutPaste,
    "cp-scar": Scar,
    "crop": Crop,
    "rotate": RightAngles,
    "flip": VerticalFlip,
    "geom": Geom,
    "mask": Mask,
    "noise": Noise,
    "blur": Blur,
    "color": ColorJitter,
    "invert": Invert,
    "simclr": SimCLR,
}
"""Augmentations whose output plays an anomaly."""

NUISANCES: dict[str, type[Augmentation]] = {
    "flips": Flips,
    "brightness": Brightness,
}
"""Changes that must not count as anomalies."""

VIEW_PARTS: dict[str, type[Augmentation]] = {
    "mirror": Mirror,
    "grey": Grey,
    "solarise": Solarise,
}
"""What only the views of self-supervised methods are made of."""

__all__ = [
    "AUGMENTATIONS",
    "NUISANCES",
    "VIEW_PARTS",
    "Blur",
    "Brightness",
    "ColorJitter",
    "Crop",
    "CutDiff",
    "CutOut",
    "CutPaste",
    "Flips",
    "Geom",
    "Grey",
    "Invert",
    "Mask",
    "Mirror",
    "Noise",
    "RightAngles",
    "Rotation",
    "Scar",
    "SimCLR",
    "Solarise",
    "VerticalFlip",
]
