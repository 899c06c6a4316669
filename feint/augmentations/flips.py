"""Flips: a nuisance, for parts that may lie either way."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Flips(Augmentation):
    """Mirrors each image left-right, up-down, both or not at all, with equal chance.

    Fails when: a part that lies the wrong way round is an anomaly: it then counts as normal.
    Cost: O(n c h w).
    References: none needed. Deviations: none known.
    """

    category: ClassVar[Category] = "geometric"
    name: ClassVar[str] = "flips"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = ()
    noise_size: ClassVar[int] = 2
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        leftright, updown = (noise[:, i, None, None, None] < 0.5 for i in range(2))
        mirrored = images.flip(3).where(leftright, images)
        return mirrored.flip(2).where(updown, mirrored)
