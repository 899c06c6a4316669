"""Decoding image sets: each file once, by threads, in the order of the set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from feint.data.duplicates import THUMBNAIL_SIDE, pixel_hash, thumbnail
from feint.data.images import ImageSet
from feint.data.pools import in_order
from feint.data.preprocessing import preprocess
from feint.data.reading import UnreadableImageError
from feint.data.survey import refuse_empty
from feint.records.run import PreprocessingRecord, Skipped

Inputs = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Decoded:
    """The n images of a set that could be decoded, in its order.

    pixels: one array (n, c, h, w), uint8, per preprocessing. kept (n,): indices in the image set. names (n).
    skipped: the rest, with reasons. hashes (n): sha256 over the native pixels, so that two files with the same pixels
    have the same hash. thumbnails (n, 16, 16): float32 in [0, 1], for `near_duplicates`.
    """

    pixels: tuple[Inputs, ...]
    kept: NDArray[np.intp]
    names: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    hashes: tuple[str, ...]
    thumbnails: NDArray[np.float32]

    @property
    def fingerprint(self) -> str:
        """The sha256 over names and pixel hashes."""
        lines = "".join(f"{name}\0{each}\n" for name, each in zip(self.names, self.hashes, strict=True))
        return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class _One:
    inputs: tuple[Inputs, ...]
    likeness: tuple[str, NDArray[np.float32]] | None


def decode(
    images: ImageSet,
    preprocessings: Sequence[PreprocessingRecord],
    *,
    workers: int,
    progress: Callable[[int], None] | None = None,
    out: Callable[[tuple[int, ...]], Inputs] | None = None,
) -> Decoded:
    """Return the decoded images, each file read once whatever the number of preprocessings (none is fine).

    Args:
        images: the images; those that cannot be decoded are listed in `skipped`.
        preprocessings: one array of network inputs is made for each.
        workers: threads; the result does not depend on it.
        progress: called after each image with the number done so far.
        out: makes the uint8 array of a given shape that is filled, e.g. a memory map on disk. Memory by default.

    Raises: InputError when no image can be decoded.
    Cost: besides the result, 4 images per thread at network size and one per thread at native size.
    """
    outcomes = _each(images, preprocessings, workers=workers, compared=True)
    decoded = _gathered(images, outcomes, preprocessings, progress=progress, out=out)
    refuse_empty(images, decoded.names, decoded.skipped)
    return decoded


def stream(images: ImageSet, *preprocessings: PreprocessingRecord, batch: int, workers: int) -> Iterator[Decoded]:
    """Yield the images in batches of at most `batch`, in bounded memory; `kept` holds indices in the whole set.

    Each file is read once, whatever the number of preprocessings. Unreadable images only stand in `skipped`, so that a
    batch may be smaller, even empty. Nothing is compared with other images: `hashes` and `thumbnails` are empty.

    Raises: InputError after the last batch when no image at all could be decoded.
    """
    total = 0
    skipped: list[Skipped] = []
    with closing(_each(images, preprocessings, workers=workers, compared=False)) as outcomes:
        for start in range(0, len(images), batch):
            part = images.select(range(start, min(start + batch, len(images))))
            decoded = _gathered(part, islice(outcomes, len(part)), preprocessings, start=start, compared=False)
            total += len(decoded.names)
            skipped += decoded.skipped
            yield decoded
    refuse_empty(images, range(total), skipped)


def _each(
    images: ImageSet, preprocessings: Sequence[PreprocessingRecord], *, workers: int, compared: bool
) -> Generator[_One | UnreadableImageError]:
    """Yield what is kept of each image, or why it is skipped."""
    return in_order(lambda i: _one(images, i, preprocessings, compared=compared), range(len(images)), workers=workers)


def _gathered(
    images: ImageSet,
    outcomes: Iterable[_One | UnreadableImageError],
    preprocessings: Sequence[PreprocessingRecord],
    *,
    start: int = 0,
    compared: bool = True,
    progress: Callable[[int], None] | None = None,
    out: Callable[[tuple[int, ...]], Inputs] | None = None,
) -> Decoded:
    make = out or (lambda shape: np.empty(shape, np.uint8))
    pixels = [make((len(images), each.channels, each.height, each.width)) for each in preprocessings]
    thumbnails = np.empty((len(images) if compared else 0, THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.float32)
    kept: list[int] = []
    hashes: list[str] = []
    skipped: list[Skipped] = []
    for i, outcome in enumerate(outcomes):
        if isinstance(outcome, UnreadableImageError):
            skipped.append(Skipped(path=images.names[i], reason=outcome.reason))
        else:
            for array, inputs in zip(pixels, outcome.inputs, strict=True):
                array[len(kept)] = inputs
            if outcome.likeness is not None:
                hashes.append(outcome.likeness[0])
                thumbnails[len(kept)] = outcome.likeness[1]
            kept.append(i)
        if progress:
            progress(i + 1)
    return Decoded(
        pixels=tuple(array[: len(kept)] for array in pixels),
        kept=np.array(kept, np.intp) + start,
        names=tuple(images.names[i] for i in kept),
        skipped=tuple(skipped),
        hashes=tuple(hashes),
        thumbnails=thumbnails[: len(kept)],
    )


def _one(
    images: ImageSet, i: int, preprocessings: Sequence[PreprocessingRecord], *, compared: bool
) -> _One | UnreadableImageError:
    """Return what is kept of one image, or why it is skipped."""
    try:
        image = images.read(i)
        inputs = tuple(preprocess(image, each) for each in preprocessings)
    except UnreadableImageError as error:
        return error.bare()
    return _One(inputs, (pixel_hash(image), thumbnail(image)) if compared else None)
