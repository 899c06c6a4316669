"""Mirror: left and right exchanged."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Mirror(Augmentation):
    """Exchanges left and right of every image.

    Fails when: parts have a left and a right, and an exchanged one is a defect.
    Cost: O(n c h w).
    References: none needed. Deviations: none known.
    """

    category: ClassVar[Category] = "geometric"
    name: ClassVar[str] = "mirror"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = ()
    noise_size: ClassVar[int] = 0
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        return images.flip(3)
