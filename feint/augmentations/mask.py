"""Mask: single entries set to zero."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor, zeros_like

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Mask(Augmentation):
    """Sets each entry, pixel by pixel and channel by channel, to 0 with the probability given.

    Fails when: images are dark already.
    Cost: O(n c h w), as many random numbers among it.
    References: Vincent et al. (ICML 2008), "Extracting and composing robust features with denoising autoencoders".
    Deviations: each entry has its own chance; the original destroys a fixed number of them.
    """

    category: ClassVar[Category] = "elementwise"
    name: ClassVar[str] = "mask"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (Magnitude(name="probability", unit="share", low=0.0, high=1.0),)
    noise_size: ClassVar[int] = 1
    noise_per_pixel: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        return images.where((noise >= magnitudes).view_as(images), zeros_like(images))
