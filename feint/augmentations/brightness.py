"""Brightness: a nuisance, for lamps that age."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Brightness(Augmentation):
    """Multiplies each image by a factor; above 1.0 what exceeds white is clipped.

    Fails when: anomalies are too bright or too dark as a whole: they then count as normal.
    Cost: O(n c h w).
    References: none needed. Deviations: none known.
    """

    category: ClassVar[Category] = "color"
    name: ClassVar[str] = "brightness"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (
        Magnitude(name="factor", unit="times", low=0.8, high=1.25, scale="log"),
    )
    noise_size: ClassVar[int] = 0

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        return (images * magnitudes[:, 0, None, None, None]).clamp(0, 1)
