"""Blur: Gaussian, of a width per image."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Blur(Augmentation):
    """Blurs each image with a Gaussian of `sigma` pixels, mirrored at the border.

    The kernel has 2 floor(floor(0.1 s) / 2) + 1 taps for the shorter side s (3 for 32 pixels, 25 for 256), at
    least 3, and sums to one.

    Fails when: images are smooth already.
    Cost: O(n c h w) times twice the taps.
    References: Chen et al. (ICML 2020), "SimCLR", arXiv:2002.05709, appendix A.
    Deviations: none known.
    """

    category: ClassVar[Category] = "elementwise"
    name: ClassVar[str] = "blur"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (Magnitude(name="sigma", unit="pixels", low=0.1, high=2.0, most=4.0),)
    noise_size: ClassVar[int] = 0

    @staticmethod
    def taps(height: int, width: int) -> int:
        """Return how many taps the kernel has for images of this size."""
        return max(3, 2 * (int(0.1 * min(height, width)) // 2) + 1)

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        n, channels, height, width = images.shape
        radius = self.taps(height, width) // 2
        steps = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
        kernels = torch.softmax(-((steps / magnitudes) ** 2) / 2, dim=1).repeat_interleave(channels, 0)[:, None]
        planes = pad(images, (radius, radius, radius, radius), mode="reflect").flatten(0, 1)[None]
        planes = conv2d(planes, kernels[:, :, :, None], groups=n * channels)
        return conv2d(planes, kernels[:, :, None, :], groups=n * channels).view_as(images).clamp(0, 1)
