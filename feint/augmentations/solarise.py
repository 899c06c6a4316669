"""Solarise: the bright parts of an image inverted."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Solarise(Augmentation):
    """Turns every value x >= threshold into 1 - x.

    Fails when: a defect differs from its surroundings by being brighter or darker.
    Cost: O(n c h w).
    References: Grill et al. (NeurIPS 2020), "BYOL", arXiv:2006.07733, appendix B, with the threshold 0.5.
    Deviations: none known.
    """

    category: ClassVar[Category] = "color"
    name: ClassVar[str] = "solarise"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (Magnitude(name="threshold", unit="intensity", low=0.0, high=1.0),)
    noise_size: ClassVar[int] = 0
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        return images.where(images < magnitudes[:, 0, None, None, None], 1 - images)
