"""Where patches lie: boxes and pixel coordinates shared by the augmentations of this room."""

from __future__ import annotations

import torch
from torch import Tensor

from feint.core.errors import SettingError


def pixel_centres(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return y (h, 1) and x (1, w) of the pixel centres, in units of sqrt(h w), so that angles are true ones."""
    unit = (height * width) ** 0.5
    y = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / unit
    x = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / unit
    return y[:, None], x[None, :]


def box_mask(images: Tensor, sides: tuple[Tensor, Tensor], corner: tuple[Tensor, Tensor]) -> Tensor:
    """Return (n, 1, h, w) booleans that hold inside a box per image: sides and top-left corner in whole pixels (n,)."""
    height, width = images.shape[-2:]
    y = torch.arange(height, device=images.device)[None, :, None]
    x = torch.arange(width, device=images.device)[None, None, :]
    top, left = corner[0][:, None, None], corner[1][:, None, None]
    inside = (y >= top) & (y < top + sides[0][:, None, None]) & (x >= left) & (x < left + sides[1][:, None, None])
    return inside[:, None]


def box_sides(images: Tensor, area: Tensor, aspect: Tensor) -> tuple[Tensor, Tensor]:
    """Return height and width in whole pixels (n,) of boxes with `area` (share of the image) and `aspect` = w / h."""
    height, width = images.shape[-2:]
    pixels = area * height * width
    return (
        (pixels / aspect).sqrt().round().clamp(1, height - 1).long(),
        (pixels * aspect).sqrt().round().clamp(1, width - 1).long(),
    )


def box_corner(images: Tensor, sides: tuple[Tensor, Tensor], share: Tensor) -> tuple[Tensor, Tensor]:
    """Place boxes wholly inside: `share` (n, 2) in [0, 1) of the free room gives the top-left corner (n,), (n,)."""
    height, width = images.shape[-2:]
    return (
        (share[:, 0] * (height - sides[0] + 1)).long(),
        (share[:, 1] * (width - sides[1] + 1)).long(),
    )


def taken(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return images whose pixel (i, j) is that at `rows` and `columns` (each broadcast to (n, h, w)), kept inside."""
    n, channels, height, width = images.shape
    index = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    return images.flatten(2).gather(2, index.reshape(n, 1, -1).expand(-1, channels, -1)).view_as(images)


def refuse_oblong(images: Tensor, name: str) -> None:
    """Raise SettingError unless the images are square."""
    height, width = images.shape[-2:]
    if height != width:
        raise SettingError(f"{name} turns images by right angles: give square ones, got {height} x {width} pixels.")
