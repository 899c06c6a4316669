"""The images of a study of representations: one set with one normal class, decoded, and which of them are copies."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feint.backends import available_cores
from feint.core.streams import numpy_stream
from feint.data import decode, plan_preprocessing, survey
from feint.data.duplicates import near_duplicates
from feint.data.labelled import LabelledImages, labelled_images
from feint.networks.architectures import patch_of, whole_multiples
from feint.studies.wild_plan import WildData

COMPARED = 50_000
MOST_ALIKE = 0.05
PAIRS_EACH = 20
ALWAYS_FITS = "vit_tiny"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadSet:
    """Images (n, c, h, w), uint8, labels (n,), groups and hashes (n), and pairs (p, 2) of rows that show one shot.

    `mark` is the hash of all that. `notes` are sentences on what was left out, or could not be told.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int_]
    groups: tuple[str, ...] | None
    hashes: tuple[str, ...]
    alike: NDArray[np.intp]
    mark: str
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[2], self.pixels.shape[3]


def read_set(table: WildData, normal: str, encoders: Sequence[str]) -> ReadSet:
    """Return the images of a set with one normal class ("": as the set has it), in a size that fits all `encoders`.

    Images that cannot be read are left out, and noted.

    Raises: InputError for a source without labels, or with others than 0 and 1, and where no image can be read.
    """
    found = labels_of(table, normal)
    chosen = chosen_of(found, table)
    images = found.images.select(chosen)
    planned = plan_preprocessing(survey(images, workers=available_cores()), image_size=table.size)
    height, width = fitting((planned.height, planned.width), encoders)
    planned = planned.model_copy(update={"height": height, "width": width})
    decoded = decode(images, [planned], workers=available_cores())
    rows = chosen[decoded.kept]
    labels, groups = found.labels[rows].astype(np.int_), None
    if found.groups is not None:
        groups = tuple(found.groups[i] for i in rows)
    alike, notes = near_copies(decoded.thumbnails)
    if decoded.skipped:
        first, count = decoded.skipped[0], len(decoded.skipped)
        notes = [f"{count:,} images cannot be read and were left out, e.g. {first.path}: {first.reason}.", *notes]
    text = json.dumps([decoded.fingerprint, planned.model_dump(), labels.tolist(), groups, alike.tolist()])
    return ReadSet(
        pixels=decoded.pixels[0],
        labels=labels,
        groups=groups,
        hashes=decoded.hashes,
        alike=alike,
        mark=hashlib.sha256(text.encode()).hexdigest()[:16],
        notes=(*found.notes, *notes),
    )


def labels_of(table: WildData, normal: str) -> LabelledImages:
    """Return what a set says of its images, nothing decoded yet. Raises: InputError as `read_set`."""
    assert table.path is not None
    return labelled_images(table.path, normal=normal or None)


def chosen_of(found: LabelledImages, table: WildData) -> NDArray[np.intp]:
    """Return which images are used, ascending: all, or at most so many of each kind, drawn."""
    kept = []
    for label in (0, 1):
        rows = np.flatnonzero(found.labels == label)
        if table.most is not None and len(rows) > table.most:
            rows = np.sort(numpy_stream(0, "most", table.name, label).choice(rows, table.most, replace=False))
        kept.append(rows)
    return np.sort(np.concatenate(kept))


def near_copies(thumbnails: NDArray[np.float32]) -> tuple[NDArray[np.intp], list[str]]:
    """Return pairs (p, 2) of images that are near copies by their thumbnails (n, 16, 16), and sentences on it.

    No pairs where the thumbnails do not tell: where more than a twentieth of the images would hang together, as under a
    fixed camera; and none are looked for among more than 50,000 images.

    Cost: O(n^2): 0.6 s for 4,000 images on one core, under 2 minutes for 50,000.
    """
    n, none = len(thumbnails), np.zeros((0, 2), np.intp)
    if n > COMPARED:
        return none, [f"near copies were not looked for among {n:,} images, more than {COMPARED:,}; equal ones were."]
    pairs = near_duplicates(thumbnails, limit=PAIRS_EACH * n)
    largest = _largest_group(pairs, n)
    if largest > max(2, MOST_ALIKE * n) or len(pairs) == PAIRS_EACH * n:
        return none, [
            f"{largest:,} of {n:,} images look alike at 16 x 16 px, as under a fixed camera: near copies cannot be "
            "told and may stand in training and test; equal images do not."
        ]
    return pairs, []


def _largest_group(pairs: NDArray[np.intp], n: int) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    linked = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, group = connected_components(linked, directed=False)
    return int(np.bincount(group).max())


def fitting(size: tuple[int, int], encoders: Sequence[str]) -> tuple[int, int]:
    """Return the sides nearest to `size` that the patches of all encoders divide.

    ViT-Tiny's are among them even where it is not run, so that an arm more does not change the images of the others.
    """
    return whole_multiples(size, math.lcm(*(patch_of(each, size) for each in (ALWAYS_FITS, *encoders))))
