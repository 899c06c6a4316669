"""Anomaly maps as grey pictures: 0 ordinary, 255 clearly unusual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from feint.data.decoding import Decoded
from feint.data.images import ImageSet


def grey_maps(maps: NDArray[np.floating], scale: tuple[float, float]) -> NDArray[np.uint8]:
    """Return anomaly maps (n, h, w) as grey levels, the two values of `scale` as 0 and 255.

    Example:
        >>> grey_maps(np.array([[[0.0, 2.0, 4.0, 9.0]]]), (2.0, 4.0)).tolist()
        [[[0, 0, 255, 255]]]
    """
    low, high = scale
    grey: NDArray[np.uint8] = np.rint(np.clip((maps - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return grey


def write_grey_maps(folder: Path, maps: NDArray[np.uint8], batch: Decoded, images: ImageSet) -> None:
    """Write one grey PNG per image of a batch, at the image's own size, under the image's own path."""
    for name, each, i in zip(batch.names, maps, batch.kept, strict=True):
        header = images.header(int(i))
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).resize((header.width, header.height), Image.Resampling.BILINEAR).save(path)
