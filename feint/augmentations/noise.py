"""Noise: Gaussian, added to every entry."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Noise(Augmentation):
    """Adds normal noise of a given standard deviation to each pixel and channel; what leaves [0, 1] stays outside.

    x' = x + std sqrt(2) erfinv(2 u - 1) with u ~ U(0, 1), kept off 0 by half a step of single precision.

    Fails when: the camera's own noise is as strong.
    Cost: O(n c h w), as many random numbers among it.
    References: Vincent et al. (JMLR 2010), "Stacked denoising autoencoders".
    Deviations: none known.
    """

    category: ClassVar[Category] = "elementwise"
    name: ClassVar[str] = "noise"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="std", unit="intensity", low=0.0, high=0.5, most=1.0),
    )
    noise_size: ClassVar[int] = 1
    noise_per_pixel: ClassVar[bool] = True
    bounded: ClassVar[bool] = False
    LEAST: ClassVar[float] = 2.0**-25

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        normal = 2**0.5 * torch.erfinv(2 * noise.clamp(min=self.LEAST) - 1)
        return images + magnitudes[:, 0, None, None, None] * normal.view_as(images)
