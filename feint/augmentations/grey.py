"""Grey: colours taken away."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.augmentations.colors import grey
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class Grey(Augmentation):
    """Gives all three channels of an RGB image its luma, 0.299 R + 0.587 G + 0.114 B; leaves other images as they are.

    Fails when: a defect is known by its colour alone.
    Cost: O(n c h w); nothing where there are no colours.
    References: Chen et al. (ICML 2020), "SimCLR", arXiv:2002.05709, appendix A.
    Deviations: none known.
    """

    category: ClassVar[Category] = "color"
    name: ClassVar[str] = "grey"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = ()
    noise_size: ClassVar[int] = 0
    differentiable: ClassVar[bool] = False

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:  # noqa: ARG002
        return grey(images).expand_as(images) if images.shape[1] == 3 else images
