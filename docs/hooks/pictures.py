"""What an augmentation does to two generated images, at the ends and in the middle of each of its magnitudes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from feint.augmentations.preview import contact_sheet
from feint.core.augmentation import Augmentation, Policy

SIDE = 112
SHARES = (0.0, 0.5, 1.0)
REST = 0.75


def pictures(augmentation: Augmentation) -> dict[str, bytes]:
    """Return PNG files by the name of the magnitude that varies in them: two originals and what becomes of them.

    The columns hold the originals and the magnitude at its lowest, in the middle and at its highest; the other
    magnitudes lie at three quarters of their ranges. Where there are no magnitudes, the one picture, called "outcomes",
    shows three outcomes.
    """
    if not augmentation.magnitudes:
        policy = Policy(augmentation=augmentation, low=(), high=())
        return {"outcomes": _png(contact_sheet(_images(), policy, columns=4, seed=3))}
    found = {}
    for i, each in enumerate(augmentation.magnitudes):
        sheets = [contact_sheet(_images(), _static(augmentation, i, share), columns=2, seed=3) for share in SHARES]
        width = sheets[0].shape[1] // 2
        found[each.name] = _png(torch.cat([sheets[0][:, :width], *(sheet[:, width:] for sheet in sheets)], dim=1))
    return found


def shown(augmentation: Augmentation, which: int) -> list[str]:
    """Return the three values of a magnitude that its picture shows."""
    magnitude = augmentation.magnitudes[which]
    return [f"{float(magnitude.at(torch.tensor(share))):.3g}" for share in SHARES]


def _static(augmentation: Augmentation, which: int, share: float) -> Policy:
    """Return the policy that always has one magnitude at a share of its range, and the others at `REST`."""
    shares = [share if i == which else REST for i in range(len(augmentation.magnitudes))]
    at = tuple(float(each.at(torch.tensor(t))) for each, t in zip(augmentation.magnitudes, shares, strict=True))
    return Policy(augmentation=augmentation, low=at, high=at)


def _images() -> Tensor:
    """Return two generated images (2, 3, SIDE, SIDE), uint8: a part on a tray, and a woven texture."""
    return torch.stack([torch.from_numpy(np.asarray(each).copy()).permute(2, 0, 1) for each in (_part(), _weave())])


def _part() -> Image.Image:
    large = Image.new("RGB", (4 * SIDE, 4 * SIDE), (206, 203, 196))
    draw = ImageDraw.Draw(large)
    draw.polygon([(70, 380), (70, 90), (200, 90), (380, 250), (380, 380)], fill=(52, 96, 140))
    draw.rectangle((70, 320, 380, 380), fill=(38, 72, 110))
    draw.ellipse((110, 130, 190, 210), fill=(226, 170, 60))
    draw.ellipse((250, 270, 310, 330), fill=(206, 203, 196))
    return large.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _weave() -> Image.Image:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    threads = 0.62 + 0.2 * np.sin(36 * (x + 0.3 * y)) + 0.16 * np.sin(44 * (y - 0.2 * x))
    light = 0.75 + 0.35 * x
    channels = [threads * light * strength for strength in (0.85, 0.72, 0.5)]
    return Image.fromarray((np.stack(channels, 2).clip(0, 1) * 255).astype(np.uint8))


def _png(sheet: Tensor) -> bytes:
    file = BytesIO()
    Image.fromarray(sheet.numpy()).save(file, format="PNG", optimize=True)
    return file.getvalue()
