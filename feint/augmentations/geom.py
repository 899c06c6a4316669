"""GEOM: a mirror image, moved by a quarter of its size, turned by right angles."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import pad

from feint.augmentations.geometry import refuse_oblong
from feint.augmentations.grouping import by_group, choice
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Geom(Augmentation):
    """One of 72 geometric transforms, all equally likely: 2 mirrors x 3 x 3 translations x 4 quarter turns.

    Outcome k = ((f 3 + i) 3 + j) 4 + r: the image is mirrored left-right if f = 1, moved by (0, -d, d)[i] pixels to
    the right and by (0, -d, d)[j] down, d = a quarter of the side, black coming in, and turned r times by 90 degrees
    counter-clockwise, in this order.

    Raises: SettingError for images that are not square.
    Fails when: normal images look the same from each side.
    Cost: O(n c h w), in one group of images for each outcome.
    References: Golan, El-Yaniv (NeurIPS 2018), arXiv:1805.10917.
    Deviations: black comes in at the border (theirs is reflected), as in the comparison of Yoo, Zhao, Akoglu (TMLR
    2023), arXiv:2208.07734.
    """

    category: ClassVar[Category] = "geometric"
    name: ClassVar[str] = "geom"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = ()
    noise_size: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False
    outcomes: ClassVar[int | None] = 72

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        return self._outcome(images, choice(noise[:, 0], 72))

    def _outcome(self, images: Tensor, which: Tensor) -> Tensor:
        refuse_oblong(images, self.name)
        return by_group(which, lambda rows, k: _moved(images[rows], k))


def _moved(images: Tensor, k: int) -> Tensor:
    """Return outcome `k` of every image."""
    quarter = round(0.25 * images.shape[-1])
    steps = (0, -quarter, quarter)
    right, down, turns = steps[k // 12 % 3], steps[k // 4 % 3], k % 4
    mirrored = images.flip(3) if k >= 36 else images
    return torch.rot90(pad(mirrored, (right, -right, down, -down)), turns, (2, 3))
