"""CutPaste: a box of the image is pasted elsewhere in the same image."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from feint.augmentations.geometry import box_corner, box_mask, box_sides
from feint.core.augmentation import Augmentation, Magnitude


@final
class CutPaste(Augmentation):
    """Copies a box to another place of the same image; not differentiable in its magnitudes, a baseline.

    Both places are drawn per image, wholly inside.

    Cost: O(n c h w), no loop over images.
    References: Li, Sohn, Yoon, Pfister (CVPR 2021), "CutPaste", arXiv:2104.04015, section 2.2.
    Deviations: no colour jitter and no rotation of the patch.
    """

    name: ClassVar[str] = "cutpaste"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="area", unit="share of the image", low=0.02, high=0.15, scale="log"),
        Magnitude(name="aspect", unit="width / height", low=0.3, high=3.3, scale="log"),
    )
    noise_size: ClassVar[int] = 4
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        n, channels, height, width = images.shape
        sides = box_sides(images, magnitudes[:, 0], magnitudes[:, 1])
        source = box_corner(images, sides, noise[:, :2])
        target = box_corner(images, sides, noise[:, 2:])
        y = torch.arange(height, device=images.device)[None, :] + (source[0] - target[0])[:, None]
        x = torch.arange(width, device=images.device)[None, :] + (source[1] - target[1])[:, None]
        index = y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]
        flat = index.reshape(n, 1, -1).expand(-1, channels, -1)
        shifted = images.flatten(2).gather(2, flat).view_as(images)
        return shifted.where(box_mask(images, sides, target), images)
