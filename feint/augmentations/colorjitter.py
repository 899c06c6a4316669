"""Colour jitter: other brightness, contrast, saturation and hue."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.augmentations.colors import JITTER_NOISE, jittered
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class ColorJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue, in random order.

    At strength s the factors of the first three are U(max(0, 1 - 0.8 s), 1 + 0.8 s), and the hue moves by
    U(-0.2 s, 0.2 s) turns. Grey images have brightness and contrast only.

    Fails when: light or colour vary among the normal images themselves.
    Cost: O(n c h w).
    References: Chen et al. (ICML 2020), "SimCLR", arXiv:2002.05709, appendix A, where s is the same.
    Deviations: none known.
    """

    category: ClassVar[Category] = "color"
    name: ClassVar[str] = "color"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="strength", unit="of SimCLR's", low=0.0, high=1.0, most=2.0),
    )
    noise_size: ClassVar[int] = JITTER_NOISE
    SPREAD: ClassVar[tuple[float, ...]] = (0.8, 0.8, 0.8, 0.2)

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        return jittered(images, magnitudes * images.new_tensor(self.SPREAD), noise)
