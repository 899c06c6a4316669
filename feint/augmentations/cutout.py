"""CutOut: a hard black box."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor, zeros_like

from feint.augmentations.geometry import box_corner, box_mask, box_sides
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class CutOut(Augmentation):
    """Sets a box of each image to black; not differentiable in its magnitudes, a baseline.

    Area and aspect are given; the place is drawn per image, wholly inside.

    Fails when: images are dark already.
    Cost: O(n h w).
    References: DeVries & Taylor (2017), arXiv:1708.04552; area and aspect ranges as in the CutPaste sampler of
    Li et al. (CVPR 2021), arXiv:2104.04015.
    Deviations: the original squares may hang over the border; these lie inside.
    """

    category: ClassVar[Category] = "local"
    name: ClassVar[str] = "cutout"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="area", unit="share of the image", low=0.02, high=0.15, scale="log", least=0.002, most=0.6),
        Magnitude(name="aspect", unit="width / height", low=0.3, high=3.3, scale="log", least=0.1, most=10.0),
    )
    noise_size: ClassVar[int] = 2
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        sides = box_sides(images, magnitudes[:, 0], magnitudes[:, 1])
        return images.where(~box_mask(images, sides, box_corner(images, sides, noise)), zeros_like(images))
