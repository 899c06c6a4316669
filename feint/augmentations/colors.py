"""Changes of colour, one strength per image, as they are composed by the augmentations of this room."""

from __future__ import annotations

import torch
from torch import Tensor

from feint.augmentations.grouping import by_group

LUMA = (0.299, 0.587, 0.114)
JITTER_NOISE = 8


def grey(images: Tensor) -> Tensor:
    """Return the luma (n, 1, h, w) of RGB images; the mean of the channels of others."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def hue_turned(images: Tensor, turns: Tensor) -> Tensor:
    """Return RGB images (n, 3, h, w) with their hue moved by `turns` (n,) of the colour circle.

    With V = max(R, G, B), C = V - min(R, G, B) and the hue H in sixths of a turn, the channels are
    V - C clamp(min(k, 4 - k), 0, 1), with k = (5, 3, 1) + H mod 6 for red, green and blue.
    """
    red, green, blue = images.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    divisor = chroma.where(chroma > 0, 1.0)
    hue = torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor)
    hue = torch.where(value == red, (green - blue) / divisor, hue) + 6 * turns[:, None, None]
    k = torch.stack([5 + hue, 3 + hue, 1 + hue], dim=1) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def jittered(images: Tensor, spread: Tensor, noise: Tensor, inside: Tensor | None = None) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image, in an order drawn for it.

    With `spread` (b, c, s, h) of each image (n, 4), factors are uniform on [max(0, 1 - b), 1 + b], likewise for c
    and s, and the hue moves by U(-h, h) turns; `noise` (n, 8) holds the four numbers and the order. Contrast is about
    the mean grey of each image, of its part `inside` (n, 1, h, w) where given. Only RGB images have saturation and
    hue.

    References: the conventions are those of torchvision's ColorJitter.
    """
    kinds = 4 if images.shape[1] == 3 else 2
    low = (1 - spread[:, :3]).clamp(min=0)
    factors = (low + (1 + spread[:, :3] - low) * noise[:, :3])[:, :, None, None, None]
    turns = spread[:, 3] * (2 * noise[:, 3] - 1)
    weights = kinds ** torch.arange(kinds, device=noise.device)
    orders = (noise[:, 4 : 4 + kinds].argsort(dim=1) * weights).sum(1)

    def jitter(rows: Tensor, order: int) -> Tensor:
        changed = images[rows]
        for kind in [order // kinds**place % kinds for place in range(kinds)]:
            if kind == 3:
                changed = hue_turned(changed, turns[rows])
            else:
                changed = _blended(changed, factors[rows, kind], kind, None if inside is None else inside[rows])
        return changed

    return by_group(orders, jitter)


def _blended(images: Tensor, factor: Tensor, kind: int, inside: Tensor | None) -> Tensor:
    """Return images mixed with black (kind 0), their mean grey (1) or their own grey (2)."""
    if kind == 0:
        return (factor * images).clamp(0, 1)
    other = grey(images)
    if kind == 1:
        every = (1, 2, 3)
        other = (
            other.mean(every, keepdim=True)
            if inside is None
            else (other * inside).sum(every, keepdim=True) / inside.sum(every, keepdim=True)
        )
    return (factor * images + (1 - factor) * other).clamp(0, 1)
