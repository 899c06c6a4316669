"""The draws of a testbed, each from its own named stream: subsets, hidden anomalies, pools, controlled anomalies."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import SettingError
from feint.data.testbed_collections import Kinds, Rows

CONTROLLED = ("flip", "cutout", "invert")
AREA = (0.02, 0.33)
ASPECT = (0.3, 3.3)
WHITE = 255

Boxes = NDArray[np.int64]


def subset(rows: Rows, limit: int | None, rng: np.random.Generator) -> Rows:
    """Return at most `limit` of `rows`, drawn without replacement, in their order."""
    if limit is None or len(rows) <= limit:
        return rows
    return np.sort(rng.choice(rows, limit, replace=False))


def hidden_count(normals: int, contamination: float) -> int:
    """Return how many anomalies make up the share `contamination` of train beside `normals`; at least 1 if any.

    Example:
        >>> hidden_count(90, 0.1)
        10
    """
    return max(1, round(normals * contamination / (1 - contamination))) if contamination else 0


def hidden_among(rows: Rows, count: int, rng: np.random.Generator, *, place: str) -> Rows:
    """Return `count` of `rows`, to be hidden in train; raises SettingError when there are too few."""
    if count > len(rows):
        raise SettingError(
            f"contamination needs {count} anomalous images for {place}, but {len(rows)} can be spared: "
            "lower contamination or train_limit."
        )
    return np.sort(rng.choice(rows, count, replace=False))


def spare_rows(rows: Rows, kinds: Kinds, rng: np.random.Generator) -> Rows:
    """Return `rows` but one of each of their `kinds` (k,), drawn at random, which is left for testing."""
    kept = [rng.choice(rows[kinds == kind]) for kind in np.unique(kinds)]
    return np.setdiff1d(rows, kept)


def pool_rows(normal: Rows, anomalous: Rows, share: float | None, rng: np.random.Generator) -> Rows:
    """Return the rows of a task's pool, ascending, of which `share` are anomalous; all of them without a share.

    The kind of which there are too many is drawn from; of each kind at least one image stays.
    """
    if share is not None:
        wanted = round(len(normal) * share / (1 - share))
        if wanted <= len(anomalous):
            anomalous = subset(anomalous, max(1, wanted), rng)
        else:
            normal = subset(normal, max(1, round(len(anomalous) * (1 - share) / share)), rng)
    return np.sort(np.concatenate([normal, anomalous]))


def draw_boxes(count: int, size: tuple[int, int], rng: np.random.Generator) -> Boxes:
    """Return one box (count, 4) per image, wholly inside it: top, left, height, width in pixels.

    Its area is U(.02, .33) of the image's, its aspect h/w log-U(.3, 3.3), both up to rounding; boxes that would reach
    from edge to edge are drawn again. Its position is uniform.
    """
    height, width = size
    sides = np.zeros((count, 2), np.int64)
    todo = np.arange(count)
    while len(todo):
        area = rng.uniform(*AREA, len(todo)) * height * width
        aspect = np.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1]), len(todo)))
        drawn = np.rint(np.sqrt(np.stack([area * aspect, area / aspect], axis=1))).astype(np.int64).clip(1)
        sides[todo] = drawn
        todo = todo[(drawn >= (height, width)).any(axis=1)]
    corners = rng.integers(0, np.array([height, width]) - sides + 1)
    return np.concatenate([corners, sides], axis=1)


def controlled(images: NDArray[np.uint8], boxes: Boxes) -> NDArray[np.uint8]:
    """Return three anomalies of each image, in the order of CONTROLLED, (3 n, c, h, w): first all flipped upside down,
    then all with their box set to 0, then all inverted (255 - x).
    """
    return np.concatenate(
        [images[:, :, ::-1], np.where(inside(boxes, images.shape[2:])[:, None], 0, images), WHITE - images]
    )


def inside(boxes: Boxes, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return masks (n, h, w) of the boxes (n, 4)."""
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])
    top, left, height, width = (boxes[:, i, None, None] for i in range(4))
    return (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
