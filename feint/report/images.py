"""Pictures as `data:` URIs, and anomaly maps laid over them."""

from __future__ import annotations

import base64
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST = 320
SMALL = 96
QUALITY = 82
MAP_QUALITY = 60
COLOURMAP = "inferno"
OPACITY = 0.65


def data_uri(image: NDArray[np.uint8], *, quality: int = QUALITY) -> tuple[str, int, int]:
    """Return a `data:` URI of an image (h, w) or (h, w, 3), and the width and height it holds.

    Sides above 320 px are shrunk. Images up to 96 px stay lossless (PNG), for single pixels count there; larger ones
    become JPEG at `quality` (1 to 95).
    """
    picture = _shrunk(Image.fromarray(image))
    buffer = BytesIO()
    if max(picture.size) <= SMALL:
        picture.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", *picture.size


def overlay(
    image: NDArray[np.uint8], anomaly_map: NDArray[np.floating], *, scale: tuple[float, float]
) -> NDArray[np.uint8]:
    """Return the image in grey with its map over it (h, w, 3): clear at `scale[0]`, full colour from `scale[1]` on.

    Grey, so that a colour always means the map. The colours are perceptually uniform: equal steps look equal.
    """
    grey = _shrunk(Image.fromarray(image).convert("L"))
    values = np.nan_to_num(np.asarray(anomaly_map, dtype=np.float32), nan=scale[0])
    low, high = scale
    share = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
    share = np.asarray(Image.fromarray(share).resize(grey.size, Image.Resampling.BILINEAR))
    colour = _colours()[np.rint(share * 255).astype(int)]
    opacity = OPACITY * np.sqrt(share)[..., None]
    blend = (1 - opacity) * np.asarray(grey, dtype=np.float32)[..., None] + opacity * colour
    shown: NDArray[np.uint8] = np.rint(blend).astype(np.uint8)
    return shown


def map_colours() -> NDArray[np.uint8]:
    """Return red, green, blue and opacity (256, 4) of each grey level of a map; opacity rises evenly from clear."""
    shown: NDArray[np.uint8] = np.rint(np.column_stack([_colours(), np.arange(256)])).astype(np.uint8)
    return shown


def legend(steps: int = 9) -> list[str]:
    """Return the colours of the map from low to high as CSS colours."""
    chosen = _colours()[np.linspace(0, 255, steps).round().astype(int)]
    return ["#" + "".join(f"{round(float(c)):02x}" for c in row) for row in chosen]


@cache
def _colours() -> NDArray[np.float32]:
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOURMAP](np.linspace(0, 1, 256))[:, :3] * 255, dtype=np.float32)


def _shrunk(picture: Image.Image) -> Image.Image:
    share = LONGEST / max(picture.size)
    if share >= 1:
        return picture
    width, height = (max(1, round(side * share)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
