"""Scar: a thin strip of the image, turned and pasted elsewhere in the same image."""

from __future__ import annotations

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from feint.augmentations.colors import JITTER_NOISE, jittered
from feint.augmentations.geometry import box_corner, box_mask, taken
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Scar(Augmentation):
    """Copies a box to another place of the same image, its colours jittered, turned by an angle.

    Height and width are in whole pixels, rounded down, at most the image's; only pixels of the box itself are pasted.
    Where it comes from and goes to is drawn per image; turned, it lies wholly inside, or about the middle of an image
    that is smaller. The angle is counter-clockwise as seen; pixels are taken from the nearest.

    Fails when: as `CutPaste`; on small images a scar of so many pixels is a large defect.
    Cost: O(n c h w), no loop over images.
    References: Li, Sohn, Yoon, Pfister (CVPR 2021), "CutPaste", arXiv:2104.04015, section 2.2, "CutPaste-Scar".
    Deviations: sides of 10 to 24 and 2 to 15 pixels on images of any size, as in the comparison of Yoo, Zhao, Akoglu
    (TMLR 2023), arXiv:2208.07734.
    """

    category: ClassVar[Category] = "local"
    name: ClassVar[str] = "cp-scar"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="height", unit="pixels", low=10.0, high=25.0),
        Magnitude(name="width", unit="pixels", low=2.0, high=16.0),
        Magnitude(name="angle", unit="degrees", low=-45.0, high=45.0),
        Magnitude(name="jitter", unit="of brightness, contrast, saturation and hue", low=0.0, high=0.1),
    )
    noise_size: ClassVar[int] = 4 + JITTER_NOISE
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        sides = magnitudes[:, 0].long().clamp(1, height), magnitudes[:, 1].long().clamp(1, width)
        corner = box_corner(images, sides, noise[:, :2])
        source = box_mask(images, sides, corner)
        patches = jittered(images, magnitudes[:, 3:].expand(-1, 4), noise[:, 4:], inside=source)
        t = magnitudes[:, 2] * (math.pi / 180)
        cos, sin = torch.cos(t), torch.sin(t)
        tall = (sides[0] * cos.abs() + sides[1] * sin.abs()).ceil()
        wide = (sides[1] * cos.abs() + sides[0] * sin.abs()).ceil()
        y = _from_middle(height, tall, noise[:, 2])[:, :, None]
        x = _from_middle(width, wide, noise[:, 3])[:, None, :]
        cos, sin = cos[:, None, None], sin[:, None, None]
        box_height, box_width, top, left = (each[:, None, None] for each in (*sides, *corner))
        down = (cos * y + sin * x + box_height / 2).floor().long()
        right = (cos * x - sin * y + box_width / 2).floor().long()
        inside = (down >= 0) & (down < box_height) & (right >= 0) & (right < box_width)
        return taken(patches, top + down, left + right).where(inside[:, None], images)


def _from_middle(side: int, length: Tensor, share: Tensor) -> Tensor:
    """Return how far `side` pixels (n, side) lie from the middle of a span of `length` (n,) placed among them."""
    room = side - length
    start = (share * (room.clamp(min=0) + 1)).floor() + room.clamp(max=0) / 2
    centres = torch.arange(side, dtype=share.dtype, device=share.device) + 0.5
    return centres - (start + length / 2)[:, None]
