"""From one native image to the network's input, and the plan of it from the normal images alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from feint.core.errors import SettingError
from feint.data.reading import DEEPEST, Pixels, UnreadableImageError
from feint.data.survey import Survey
from feint.records.run import PreprocessingRecord

WHITES = (1, 2**8 - 1, 2**10 - 1, 2**12 - 1, 2**14 - 1, DEEPEST)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
MOST_OBLONG = 3.0
REDUCING_GAP = 3.0


def plan_preprocessing(normal: Survey, *, image_size: int) -> PreprocessingRecord:
    """Return the preprocessing of a run, from the survey of its normal images.

    channels: 1 if the normal images are grey. white: 255 for 8-bit images; for deeper ones the smallest of 1 (floats
    in [0, 1]), 255, 1023, 4095, 16383, 65535 that holds their maximum.
    height, width: images of one size within `image_size` keep it, rounded up to multiples of 4; otherwise the area is
    `image_size`^2 (at most the median area), the aspect the median one within [1/3, 3], the sides multiples of 8.

    Example:
        >>> from feint.data import open_images, survey
        >>> images = open_images(np.zeros((5, 300, 200), np.uint8), role="normal")
        >>> plan_preprocessing(survey(images), image_size=64)
        PreprocessingRecord(channels=1, height=80, width=56, white=255)
    """
    if image_size < 8:
        raise SettingError(f"the image size must be at least 8 pixels: got {image_size}.")
    height, width = _target(normal.sizes, image_size)
    white = 255 if normal.maximum is None else white_level(normal.maximum)
    return PreprocessingRecord(channels=3 if normal.colour else 1, height=height, width=width, white=white)


def preprocess(image: Pixels, preprocessing: PreprocessingRecord) -> NDArray[np.uint8]:
    """Return the network's input (c, h, w), uint8, of one native image (h, w) or (h, w, 3).

    White is 255 for uint8 and 1 for floats that stay within 1, whatever the plan says; brighter pixels are clipped.
    The image is stretched to the planned size with Pillow's antialiased Hamming filter, which does not ring.

    Raises: UnreadableImageError for an image most of which lies above white: it has another bit depth.

    Example:
        >>> plan = PreprocessingRecord(channels=1, height=8, width=8, white=4095)
        >>> preprocess(np.full((16, 16), 4095, np.uint16), plan)[0, 0, :3]
        array([255, 255, 255], dtype=uint8)
    """
    size = (preprocessing.width, preprocessing.height)
    if preprocessing.channels == 1:
        image = grey(image)
    if image.dtype == np.uint8:
        resized = np.asarray(_resize(image, size))
    else:
        unit = _unit(image, preprocessing.white)
        planes = unit[..., None] if unit.ndim == 2 else unit
        resized = np.stack(
            [_resize(np.ascontiguousarray(planes[..., i]), size) for i in range(planes.shape[2])], axis=-1
        )
        resized = np.rint(resized.clip(0, 1) * 255).astype(np.uint8)
    planes = resized.reshape(size[1], size[0], -1).transpose(2, 0, 1)
    return np.ascontiguousarray(np.broadcast_to(planes, (preprocessing.channels, size[1], size[0])))


def grey(image: Pixels) -> Pixels:
    """Return the luma (h, w) of an image, in its own depth; equal channels stay exactly as they are."""
    if image.ndim == 2:
        return image
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).convert("L"))
    luma = image.astype(np.float32) @ LUMA
    return luma if image.dtype == np.float32 else np.rint(luma).astype(image.dtype)


def white_level(maximum: float) -> int:
    """Return the smallest usual white level, an int, that holds `maximum`.

    Example:
        >>> [white_level(x) for x in (0.7, 200, 3000, 65535)]
        [1, 255, 4095, 65535]
    """
    return next(white for white in WHITES if maximum <= white)


def _unit(image: Pixels, white: int) -> NDArray[np.float32]:
    """Return a deep image as float32 in [0, 1]."""
    if image.dtype.kind == "f" and image.max() <= 1:
        white = 1
    if (middle := float(np.median(image))) > white:
        raise UnreadableImageError(
            f"another bit depth: half of its pixels are {middle:g} or more, but the normal images' white is {white}"
        )
    return (image.astype(np.float32) / white).clip(0, 1)


def _resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    if image.shape[1::-1] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.HAMMING, reducing_gap=REDUCING_GAP))


def _target(sizes: NDArray[np.int64], image_size: int) -> tuple[int, int]:
    """Return height and width of the network's input for images of `sizes` (n, 2)."""
    height, width = (int(side) for side in sizes[0])
    if (sizes == sizes[0]).all() and max(height, width) <= image_size:
        return math.ceil(height / 4) * 4, math.ceil(width / 4) * 4
    side = min(image_size, math.sqrt(np.median(sizes[:, 0] * sizes[:, 1])))
    aspect = float(np.clip(np.median(sizes[:, 0] / sizes[:, 1]), 1 / MOST_OBLONG, MOST_OBLONG))
    return _multiple_of_8(side * math.sqrt(aspect)), _multiple_of_8(side / math.sqrt(aspect))


def _multiple_of_8(length: float) -> int:
    return max(8, math.floor(length / 8 + 0.5) * 8)
