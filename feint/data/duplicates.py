"""Images that are the same: pixel for pixel, or re-saves of one shot."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from feint.data.preprocessing import grey, white_level
from feint.data.reading import Pixels, has_colour

THUMBNAIL_SIDE = 16
LEAST_CORRELATION = 0.9995
LEAST_CONTRAST = 2 / 255
BLOCK = 512


def pixel_hash(image: Pixels) -> str:
    """Return the sha256 over shape, depth and native pixels; a colour image with equal channels counts as grey."""
    if image.ndim == 3 and not has_colour(image):
        image = image[..., 0]
    digest = hashlib.sha256(f"{image.shape} {image.dtype.name}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def thumbnail(image: Pixels) -> NDArray[np.float32]:
    """Return the luma of an image shrunk to (16, 16) by overlapping averages (triangle filter), float32 in [0, 1]."""
    luma = grey(image)
    white = 255 if luma.dtype == np.uint8 else white_level(float(luma.max()))
    small = Image.fromarray(luma)
    factor = min(small.size) // (8 * THUMBNAIL_SIDE)
    if factor > 1:
        small = small.reduce(factor)
    cells = small.convert("F").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    return (np.asarray(cells) / white).astype(np.float32)


def groups_of_duplicates(hashes: Sequence[str]) -> list[list[int]]:
    """Return the groups, of two or more indices, that share a hash; in the order of their first members.

    Example:
        >>> groups_of_duplicates(["a", "b", "a", "c", "b"])
        [[0, 2], [1, 4]]
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i, each in enumerate(hashes):
        groups[each].append(i)
    return [group for group in groups.values() if len(group) > 1]


def near_duplicates(
    thumbnails: NDArray[np.float32], others: NDArray[np.float32] | None = None, *, limit: int = 10_000
) -> NDArray[np.intp]:
    """Return pairs (p, 2) of images that look like two saves of one shot: i < j, or i in the first and j in `others`.

    Two thumbnails (n, 16, 16) match when their correlation is at least LEAST_CORRELATION, so that brightness and
    contrast do not matter, and each has a standard deviation of at least LEAST_CONTRAST. Exact duplicates match
    too. The search ends at `limit` pairs.

    Fails when: an image is nearly blank (never reported), cropped or turned (not recognised), or when two shots of
    one object differ only in details finer than a sixteenth of the side.
    Cost: O(n m) multiplications in blocks of 512 rows; 10,000 images take about a second and 40 MB.
    """
    left, left_valid = _standardised(thumbnails)
    right, right_valid = (left, left_valid) if others is None else _standardised(others)
    found: list[NDArray[np.intp]] = []
    count = 0
    for start in range(0, len(left), BLOCK):
        alike = left[start : start + BLOCK] @ right.T >= LEAST_CORRELATION
        alike &= left_valid[start : start + BLOCK, None] & right_valid
        if others is None:
            alike &= np.arange(len(right)) > np.arange(start, start + len(alike))[:, None]
        rows, columns = np.nonzero(alike)
        found.append(np.column_stack([rows + start, columns]))
        count += len(found[-1])
        if count >= limit:
            break
    return np.concatenate(found)[:limit] if found else np.zeros((0, 2), np.intp)


def _standardised(thumbnails: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return thumbnails as unit vectors (n, 256) without their mean, and which of them have contrast."""
    flat = thumbnails.reshape(len(thumbnails), THUMBNAIL_SIDE**2)
    flat = flat - flat.mean(axis=1, keepdims=True)
    spread = flat.std(axis=1, keepdims=True)
    unit = flat / np.maximum(spread, 1e-6) / THUMBNAIL_SIDE
    return unit, spread[:, 0] >= LEAST_CONTRAST
