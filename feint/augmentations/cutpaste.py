"""CutPaste: a box of the image is pasted elsewhere in the same image."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from feint.augmentations.colors import JITTER_NOISE, jittered
from feint.augmentations.geometry import box_corner, box_mask, box_sides, taken
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class CutPaste(Augmentation):
    """Copies a box, its colours jittered, to another place of the same image; not differentiable, a baseline.

    Both places are drawn per image, wholly inside. At jitter j the factors of brightness, contrast and saturation are
    U(1 - j, 1 + j), and the hue moves by U(-j, j) turns.

    Fails when: images are alike everywhere, as fine textures are: what is pasted is then hardly seen.
    Cost: O(n c h w), no loop over images.
    References: Li, Sohn, Yoon, Pfister (CVPR 2021), "CutPaste", arXiv:2104.04015, section 2.2.
    Deviations: no rotation of the patch.
    """

    category: ClassVar[Category] = "local"
    name: ClassVar[str] = "cutpaste"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="area", unit="share of the image", low=0.02, high=0.15, scale="log", least=0.002, most=0.6),
        Magnitude(name="aspect", unit="width / height", low=0.3, high=3.3, scale="log", least=0.1, most=10.0),
        Magnitude(name="jitter", unit="of brightness, contrast, saturation and hue", low=0.0, high=0.1, most=0.5),
    )
    noise_size: ClassVar[int] = 4 + JITTER_NOISE
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        sides = box_sides(images, magnitudes[:, 0], magnitudes[:, 1])
        source = box_corner(images, sides, noise[:, :2])
        target = box_corner(images, sides, noise[:, 2:4])
        patches = jittered(
            images, magnitudes[:, 2:].expand(-1, 4), noise[:, 4:], inside=box_mask(images, sides, source)
        )
        y = torch.arange(height, device=images.device)[None, :] + (source[0] - target[0])[:, None]
        x = torch.arange(width, device=images.device)[None, :] + (source[1] - target[1])[:, None]
        return taken(patches, y[:, :, None], x[:, None, :]).where(box_mask(images, sides, target), images)
