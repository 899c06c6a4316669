"""Rotation by an angle, differentiable through bilinear sampling."""

from __future__ import annotations

import math
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Rotation(Augmentation):
    """Turns the whole image counter-clockwise (as seen) by `angle` degrees about its centre.

    What comes in at the corners is mirrored from inside: black corners would betray every rotated image.

    Fails when: normal images themselves come at any angle; the augmentation is then the identity to the eye.
    Cost: O(n c h w).
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033; sampling as in Jaderberg et al. (NeurIPS 2015),
    arXiv:1506.02025, equations 1 and 5.
    Deviations: reflected borders (the paper's padding is not known); a true rotation on images that are not square.
    """

    category: ClassVar[Category] = "geometric"
    name: ClassVar[str] = "rotation"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="angle", unit="degrees", low=0.0, high=360.0, scale="periodic"),
    )
    noise_size: ClassVar[int] = 0
    starts: ClassVar[tuple[dict[str, float], ...]] = tuple({"angle": float(angle)} for angle in range(30, 360, 30))

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        height, width = images.shape[-2:]
        t = magnitudes[:, 0] * (math.pi / 180)
        zero = torch.zeros_like(t)
        matrix = torch.stack(
            [
                torch.stack([torch.cos(t), -torch.sin(t) * (height / width), zero], dim=1),
                torch.stack([torch.sin(t) * (width / height), torch.cos(t), zero], dim=1),
            ],
            dim=1,
        )
        grid = affine_grid(matrix, list(images.shape), align_corners=False)
        turned = grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return turned.clamp(0, 1)
