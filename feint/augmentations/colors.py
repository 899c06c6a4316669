"""Changes of colour, one strength per image, as they are composed by the augmentations of this room."""

from __future__ import annotations

import torch
from torch import Tensor

from feint.augmentations.grouping import by_group

LUMA = (0.299, 0.587, 0.114)
JITTER_NOISE = 8
TINY = 1e-12


def grey(images: Tensor) -> Tensor:
    """Return the luma (n, 1, h, w) of RGB images; the mean of the channels of others."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def hue_turned(images: Tensor, turns: Tensor) -> Tensor:
    """Return RGB images (n, 3, h, w) with their hue moved by `turns` (n,) of the colour circle.

    With m = min(R, G, B) and C = max(R, G, B) - m, the hue is H = +-(1 + (G + B - R - m) / C) / 6 turns, negative where
    B > G. The channels are m + C clamp(2 - 6 d, 0, 1), where d is the distance on the circle, in turns, of H from 0,
    1/3 and 2/3 for red, green and blue. No pixel is treated apart, which is what makes it quick.
    """
    red, green, blue = images.unbind(1)
    least = images.amin(1)
    chroma = images.amax(1) - least
    hue = torch.copysign(1 + (green + blue - red - least) / chroma.clamp(min=TINY), green - blue) / 6
    apart = (hue + turns[:, None, None])[:, None] - hue.new_tensor([0, 1 / 3, 2 / 3])[:, None, None]
    distance = (apart - apart.round()).abs()
    return torch.addcmul(least[:, None], chroma[:, None], (2 - 6 * distance).clamp(0, 1))


def jittered(images: Tensor, spread: Tensor, noise: Tensor, inside: Tensor | None = None) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image, in an order drawn for it.

    With `spread` (b, c, s, h) of each image (n, 4), factors are uniform on [max(0, 1 - b), 1 + b], likewise for c
    and s, and the hue moves by U(-h, h) turns; `noise` (n, 8) holds the four numbers and the order. Contrast is about
    the mean grey of each image, of its part `inside` (n, 1, h, w) where given. Only RGB images have saturation and
    hue.

    Cost: O(n c h w), in one group of images for each of the four places that the hue can have among the others.
    References: the conventions are those of torchvision's ColorJitter.
    """
    channels = images.shape[1]
    blends = 3 if channels == 3 else 2
    low = (1 - spread[:, :3]).clamp(min=0)
    factors = low + (1 + spread[:, :3] - low) * noise[:, :3]
    kinds = noise[:, 4 : 4 + blends].argsort(dim=1)
    kept = factors.gather(1, kinds)
    to_mean = (1 - kept).where(kinds == 1, 0)
    to_own = (1 - kept).where(kinds == 2, 0)
    luma = images.new_tensor(LUMA if channels == 3 else [1 / channels] * channels)
    identity = torch.eye(channels, dtype=images.dtype, device=images.device)
    matrices = kept[..., None, None] * identity + to_own[..., None, None] * luma

    def jitter(rows: Tensor | slice, hue_after: int | None) -> Tensor:
        changed = images[rows]
        for k in range(blends):
            if k == hue_after:
                changed = hue_turned(changed, turns[rows])
            planes = changed.flatten(2)
            mean = planes.mean(2) if inside is None else _mean(planes, inside[rows].flatten(2))
            added = (mean @ luma) * to_mean[rows, k]
            changed = torch.baddbmm(added[:, None, None], matrices[rows, k], planes).clamp_(0, 1).view_as(changed)
        return hue_turned(changed, turns[rows]) if hue_after == blends else changed

    if blends == 2:
        return jitter(slice(None), None)
    turns = spread[:, 3] * (2 * noise[:, 3] - 1)
    return by_group((noise[:, 4:7] < noise[:, 7:]).sum(1), jitter)


def _mean(planes: Tensor, inside: Tensor) -> Tensor:
    return (planes * inside).sum(2) / inside.sum(2)
