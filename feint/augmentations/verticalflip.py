"""Vertical flip: the image upside down, mirrored."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class VerticalFlip(Augmentation):
    """Exchanges top and bottom of an image, with the probability given.

    Fails when: normal images are as likely one way up as the other.
    Cost: O(n c h w).
    References: none needed. Deviations: none known.
    """

    category: ClassVar[Category] = "geometric"
    name: ClassVar[str] = "flip"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (Magnitude(name="probability", unit="share", low=0.0, high=1.0),)
    noise_size: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False
    outcomes: ClassVar[int | None] = 2

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        return self._outcome(images, noise[:, 0] < magnitudes[:, 0])

    def _outcome(self, images: Tensor, which: Tensor) -> Tensor:
        return images.flip(2).where(which.bool()[:, None, None, None], images)
