"""CutDiff: a smooth patch is subtracted from the image; differentiable in all its magnitudes."""

from __future__ import annotations

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from feint.augmentations.geometry import pixel_centres
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class CutDiff(Augmentation):
    r"""Subtracts a soft elliptic patch at a place drawn per image.

    With area A (share of the image), aspect r, angle t, amplitude b and centre u ~ U(0, 1)^2, and pixels in units
    of sqrt(h w) so that the rotation is a true one:

        (s_h, s_w) = (sqrt(A / r), sqrt(A r));  d = diag(1/s_h, 1/s_w) R(t)^T (x - u)
        g = exp(-||d||^2 / (2 tau)), tau = 0.1;  x' = clamp(x - b g, 0, 1)

    so g is 1 at the centre, e^-1.25 = 0.29 at the patch's nominal edge (||d|| = 1/2).

    Fails when: the image is already black (or white for b < 0) where the patch falls: the clamp removes the
    gradient. At r = 1 the patch is round and the angle gets no gradient.
    Cost: O(n h w).
    References: Yoo, Zhao, Akoglu (KDD 2025), "Self-Tuning Self-Supervised Image Anomaly Detection",
    arXiv:2306.12033; the Gaussian mask follows its ancestor in Yoo et al. (ECML-PKDD 2023), arXiv:2307.06534.
    Deviations: the signed amplitude b is added as a fourth magnitude (b = 1 is the paper's), so that patches can be
    faint or bright; one draw per image; t and t + 180 degrees are the same patch, and r > 1 equals 1/r turned by 90.
    """

    category: ClassVar[Category] = "local"
    name: ClassVar[str] = "cutdiff"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="area", unit="share of the image", low=0.003, high=0.4, scale="log", least=0.0005, most=1.0),
        Magnitude(name="aspect", unit="width / height", low=0.15, high=1.0, scale="log", least=0.05),
        Magnitude(name="angle", unit="degrees", low=0.0, high=180.0, scale="periodic"),
        Magnitude(name="amplitude", unit="intensity subtracted", low=-1.0, high=1.0),
    )
    noise_size: ClassVar[int] = 2
    starts: ClassVar[tuple[dict[str, float], ...]] = tuple(
        {"area": area, "aspect": 0.6, "angle": 45.0, "amplitude": amplitude}
        for area in (0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256)
        for amplitude in (0.1, 0.3, 0.8, -0.1, -0.3, -0.8)
    )
    TAU: ClassVar[float] = 0.1

    def mask(self, noise: Tensor, magnitudes: Tensor, *, size: tuple[int, int]) -> Tensor:
        """Return g (n, h, w) in [0, 1] for noise (n, 2) and magnitudes (n, 4)."""
        height, width = size
        y, x = pixel_centres(height, width, magnitudes)
        unit = (height * width) ** 0.5
        dy = y - (noise[:, 0] * height / unit)[:, None, None]
        dx = x - (noise[:, 1] * width / unit)[:, None, None]
        area, aspect, angle = (magnitudes[:, i, None, None] for i in range(3))
        t = angle * (math.pi / 180)
        along = (torch.cos(t) * dy + torch.sin(t) * dx) / (area / aspect).sqrt()
        across = (-torch.sin(t) * dy + torch.cos(t) * dx) / (area * aspect).sqrt()
        return torch.exp(-(along**2 + across**2) / (2 * self.TAU))

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        g = self.mask(noise, magnitudes, size=(height, width))
        return (images - (magnitudes[:, 3, None, None] * g)[:, None]).clamp(0, 1)
