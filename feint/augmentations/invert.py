"""Invert: the negative of the image."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Invert(Augmentation):
    """Turns an image x into its negative 1 - x, with the probability given.

    Fails when: images are about as dark as bright everywhere, or normal ones come as negatives too.
    Cost: O(n c h w).
    References: none needed. Deviations: none known.
    """

    category: ClassVar[Category] = "color"
    name: ClassVar[str] = "invert"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (Magnitude(name="probability", unit="share", low=0.0, high=1.0),)
    noise_size: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False
    outcomes: ClassVar[int | None] = 2

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        return self._outcome(images, noise[:, 0] < magnitudes[:, 0])

    def _outcome(self, images: Tensor, which: Tensor) -> Tensor:
        return (1 - images).where(which.bool()[:, None, None, None], images)
