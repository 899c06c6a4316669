"""Uploads into a model's inputs, each with a reason where that fails, and maps into PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from feint.app.limits import Limits, Refusal, Unread
from feint.app.uploads import Upload
from feint.data.parts import Packed
from feint.data.preprocessing import preprocess
from feint.data.reading import TooLargeImageError, UnreadableImageError, read_pixels, read_size
from feint.records.run import PreprocessingRecord

MEGA = 1_000_000
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images of a request: for each its size (h, w) or why it is unread; inputs (n, c, h, w) of the n read ones.

    There is one array of inputs for each preprocessing.
    """

    outcomes: list[Size | Unread]
    inputs: tuple[np.ndarray, ...]

    @property
    def sizes(self) -> list[Size]:
        """The sizes (h, w) of the n that were read."""
        return [each for each in self.outcomes if not isinstance(each, Unread)]


def read_uploads(uploads: Sequence[Upload], plans: Sequence[PreprocessingRecord], limits: Limits) -> Pictures:
    """Return the images of a request; nothing is decoded before all headers have been looked at.

    Raises: Refusal 413 where the headers declare too many pixels together; where no image can be read, 413 if each was
    too large, otherwise 422.
    Cost: one image at its own size at a time, besides what is returned.
    """
    sizes = [_size(each) for each in uploads]
    pixels = sum(each[0] * each[1] for each in sizes if isinstance(each, tuple))
    if pixels > limits.megapixels * MEGA:
        raise Refusal(
            413, f"the images declare {pixels / MEGA:,.0f} megapixels together: the limit is {limits.megapixels}"
        )
    outcomes: list[Size | Unread] = []
    inputs: list[list[np.ndarray]] = []
    for upload, size in zip(uploads, sizes, strict=True):
        found = size if isinstance(size, UnreadableImageError) else _inputs(upload, size, plans)
        if isinstance(found, UnreadableImageError):
            outcomes.append(Unread(upload.name, found.reason))
        else:
            outcomes.append(found[0])
            inputs.append(found[1])
    if not inputs:
        raise _none_read(outcomes, too_large=all(isinstance(each, TooLargeImageError) for each in sizes))
    return Pictures(outcomes, tuple(np.stack(each) for each in zip(*inputs, strict=True)))


def png_text(grey: np.ndarray, size: Size) -> str:
    """Return a uint8 map (h, w), stretched to `size`, as PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(grey).resize(size[::-1], Image.Resampling.BILINEAR).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _inputs(
    upload: Upload, size: Size, plans: Sequence[PreprocessingRecord]
) -> tuple[Size, list[np.ndarray]] | UnreadableImageError:
    try:
        image = read_pixels(Packed(upload.data))
        return size, [preprocess(image, plan) for plan in plans]
    except UnreadableImageError as error:
        return error.bare()


def _size(upload: Upload) -> Size | UnreadableImageError:
    if not upload.data:
        return UnreadableImageError("empty file (0 bytes)")
    try:
        return read_size(Packed(upload.data))
    except UnreadableImageError as error:
        return error.bare()


def _none_read(outcomes: Sequence[Size | Unread], *, too_large: bool) -> Refusal:
    unread = [each for each in outcomes if isinstance(each, Unread)]
    which = f"image cannot be read: {unread[0].reason}" if len(unread) == 1 else f"{len(unread)} images can be read"
    return Refusal(413 if too_large else 422, f"{'the' if len(unread) == 1 else 'none of the'} {which}", unread)
