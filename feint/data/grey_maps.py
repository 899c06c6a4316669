"""Anomaly maps as grey pictures: 0 ordinary, 255 clearly unusual."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from feint.data.decoding import Decoded
from feint.data.images import ImageSet

LONGEST_NAME = 255  # bytes, on most file systems
SUFFIX = ".png"


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
    """Write one grey PNG per image of a batch, at the image's own size, under the image's own path.

    A name that is too long for '.png' more becomes its first 50 characters and 12 digits of its sha256.
    """
    for name, each, i in zip(batch.names, maps, batch.kept, strict=True):
        header = images.header(int(i))
        path = _beside(folder / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).resize((header.width, header.height), Image.Resampling.BILINEAR).save(path)


def _beside(path: Path) -> Path:
    name = path.name
    if len(os.fsencode(name)) > LONGEST_NAME - len(SUFFIX):
        name = f"{name[:50]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return path.with_name(name + SUFFIX)
