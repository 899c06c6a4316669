"""Right angles: quarter turns of square images."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from feint.augmentations.geometry import refuse_oblong
from feint.augmentations.grouping import by_group, choice
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class RightAngles(Augmentation):
    """Turns each image by 0, 90, 180 or 270 degrees counter-clockwise, all equally likely; outcome k is k turns.

    Raises: SettingError for images that are not square.
    Fails when: normal images look the same from each side.
    Cost: O(n c h w).
    References: Gidaris, Singh, Komodakis (ICLR 2018), arXiv:1803.07728.
    Deviations: none known.
    """

    category: ClassVar[Category] = "geometric"
    name: ClassVar[str] = "rotate"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = ()
    noise_size: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False
    outcomes: ClassVar[int | None] = 4

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        return self._outcome(images, choice(noise[:, 0], 4))

    def _outcome(self, images: Tensor, which: Tensor) -> Tensor:
        refuse_oblong(images, self.name)
        return by_group(which, lambda rows, turns: torch.rot90(images[rows], turns, (2, 3)))
