"""Crop: a part of the image, enlarged to its size."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Crop(Augmentation):
    """Enlarges a box of the image, at a place drawn per image, to the whole, bilinearly.

    The box has sqrt(A h w / r) by sqrt(A h w r) pixels for area A and aspect r, or as much of it as the image has,
    and lies inside. It need not begin or end with a whole pixel, so that area and aspect have a gradient.

    Fails when: parts of a normal image look like the whole, as in textures.
    Cost: O(n c h w).
    References: Szegedy et al. (CVPR 2015), arXiv:1409.4842, section 6; sampling as in Jaderberg et al. (NeurIPS
    2015), arXiv:1506.02025.
    Deviations: boxes are not rounded to whole pixels; one that is too long is cut, where others draw again.
    """

    category: ClassVar[Category] = "geometric"
    name: ClassVar[str] = "crop"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="area", unit="share of the image", low=0.08, high=1.0),
        Magnitude(name="aspect", unit="width / height", low=3 / 4, high=4 / 3, scale="log"),
    )
    noise_size: ClassVar[int] = 2

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        area, aspect = magnitudes.unbind(1)
        tall = (area / aspect * width / height).sqrt().clamp(max=1)
        wide = (area * aspect * height / width).sqrt().clamp(max=1)
        y = _places(height, tall, noise[:, 0])
        x = _places(width, wide, noise[:, 1])
        grid = torch.stack(
            [x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)],
            dim=3,
        )
        return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False).clamp(0, 1)


def _places(side: int, share: Tensor, noise: Tensor) -> Tensor:
    """Return where `side` pixels (n, side) lie in a part of `share` (n,) of the image, from -1 to 1 across it."""
    centres = (torch.arange(side, dtype=share.dtype, device=share.device) + 0.5) / side
    return 2 * ((1 - share) * noise)[:, None] + 2 * share[:, None] * centres - 1
