"""SimCLR: crop, mirror, colour jitter, grey, blur, one after the other."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from feint.augmentations.blur import Blur
from feint.augmentations.colorjitter import ColorJitter
from feint.augmentations.colors import grey
from feint.augmentations.crop import Crop
from feint.core.augmentation import Augmentation, Category, Magnitude


@final
class SimCLR(Augmentation):
    """Crops, mirrors left-right (p = 0.5), jitters colours (p = 0.8), takes colours away (p = 0.2) and blurs.

    Only RGB images have colours to take away.

    Fails when: the anomalies resemble one of its parts alone: the others are learned with it.
    Cost: O(n c h w), the sum of its parts.
    References: Chen et al. (ICML 2020), "SimCLR", arXiv:2002.05709, appendix A.
    Deviations: every image is blurred, as in the comparison of Yoo, Zhao, Akoglu (TMLR 2023), arXiv:2208.07734; those
    of the parts.
    """

    category: ClassVar[Category] = "mixed"
    name: ClassVar[str] = "simclr"
    magnitudes: ClassVar[tuple[Magnitude, ...]] = (*Crop.magnitudes, *ColorJitter.magnitudes, *Blur.magnitudes)
    noise_size: ClassVar[int] = 3 + Crop.noise_size + ColorJitter.noise_size

    def _transform(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        mirrored, recolored, faded = (noise[:, :3] < noise.new_tensor([0.5, 0.8, 0.2])).unbind(1)
        seen = Crop().apply(images, noise[:, 3:5], magnitudes[:, :2])
        seen = seen.flip(3).where(mirrored[:, None, None, None], seen)
        seen = ColorJitter().apply(seen, noise[:, 5:], magnitudes[:, 2:3] * recolored[:, None])
        if images.shape[1] == 3:
            seen = grey(seen).where(faded[:, None, None, None], seen)
        return Blur().apply(seen, noise[:, :0], magnitudes[:, 3:])
