"""A contact sheet: what an augmentation does to some images, to be looked at."""

from __future__ import annotations

import torch
from torch import Tensor

from feint.core.augmentation import PseudoAnomalies
from feint.core.streams import stream

GAP, PAPER, SMALLEST = 2, 255, 96


def contact_sheet(images: Tensor, pseudo_anomalies: PseudoAnomalies, *, columns: int, seed: int) -> Tensor:
    """Return a picture (height, width, 3), uint8: each of the images (n, c, h, w), uint8, and what becomes of it.

    The first of the `columns` holds the originals, the others one draw each or, where there are finitely many
    outcomes, each another outcome than the identity, evenly chosen if there are more than columns. Small images are
    enlarged by a whole factor.
    """
    unit = images.float() / 255
    generator = stream(seed, "preview")
    outcomes = pseudo_anomalies.outcomes
    if outcomes is None:
        drawn = [pseudo_anomalies(unit, generator=generator) for _ in range(columns - 1)]
    else:
        shown = torch.linspace(1, outcomes - 1, min(columns, outcomes) - 1).round().long()
        drawn = [pseudo_anomalies.outcome(unit, which.expand(len(unit))) for which in shown]
    tiles = torch.stack([unit, *drawn], dim=1).clamp(0, 1).mul(255).round().to(torch.uint8)
    return _arranged(tiles)


def _arranged(tiles: Tensor) -> Tensor:
    """Return tiles (rows, columns, c, h, w) as one picture (height, width, 3), with gaps."""
    rows, columns, _, height, width = tiles.shape
    factor = max(1, SMALLEST // max(height, width))
    large = tiles.repeat_interleave(factor, 3).repeat_interleave(factor, 4)
    large = large.expand(-1, -1, 3, -1, -1).permute(0, 3, 1, 4, 2)
    height, width = factor * height, factor * width
    sheet = torch.full((rows, height + GAP, columns, width + GAP, 3), PAPER, dtype=torch.uint8)
    sheet[:, :height, :, :width] = large
    return sheet.reshape(rows * (height + GAP), columns * (width + GAP), 3)
