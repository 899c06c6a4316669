"""From what scikit-learn and PyOD users hand over to an image set, and from an image set to one row per image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from feint.backends import available_cores
from feint.core.errors import InputError, SettingError
from feint.data import Decoded, ImageSet, decode, open_images
from feint.data.reading import SMALLEST_SIDE
from feint.data.sources import Role
from feint.runs.model import Model

Channels = Literal["first", "last"]
BATCH = 64
MOST_NAMED = 3
IMAGES_NDIM = 3


def images_of(X: object, *, role: Role, channels: Channels | None) -> ImageSet:
    """Return the images of `X`: a folder, a manifest, a list of paths, an image set, or what numpy makes an array of.

    Args:
        X: arrays are (n, h, w), (n, h, w, c) or (n, c, h, w), uint8, uint16 or float in [0, 1]; paths may also come as
            a one-dimensional array or column of a table.
        role: which part of an MVTec category or of a manifest is meant. channels: which axis of a four-dimensional
            array holds them; None: the one of length 1, 3 or 4.

    Raises: InputError for anything else, SettingError for unknown `channels`.
    """
    if channels not in {None, "first", "last"}:
        raise SettingError(f"channels must be 'first', 'last' or None: got {channels!r}.")
    if isinstance(X, str | Path | ImageSet):
        return open_images(X, role=role)
    if hasattr(X, "tocsr"):
        raise InputError("sparse input cannot hold images: give a dense array (n, h, w), with X.toarray() and reshape.")
    if isinstance(X, list | tuple) and any(isinstance(each, str | Path) for each in X):
        return open_images(_paths(list(X)), role=role)
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise InputError(
            f"the images do not make one array: {error} Give arrays of one size, or a list of files."
        ) from error
    if array.ndim == 1 and array.dtype.kind in "OU" and array.size:
        return open_images(_paths(array.tolist()), role=role)
    if array.ndim < 2:
        raise InputError(f"data of shape {array.shape} are no images. Reshape your data to (n, h, w).")
    if array.dtype.kind == "c":
        raise InputError("Complex data not supported: the pixels of images are real numbers.")
    if array.dtype.kind == "O":
        array = _numeric(array)
    return open_images(_named(array, channels) if channels and array.ndim == 4 else array, role=role)


def are_images(y: object) -> bool:
    """Tell images, as `images_of` takes them, from labels, which are one number or word for each image.

    Example:
        >>> are_images(np.zeros((20, 32, 32))), are_images([0] * 20), are_images("images/new")
        (True, False, True)
    """
    if isinstance(y, str | Path | ImageSet):
        return True
    if isinstance(y, list | tuple) and y and isinstance(y[0], str | Path):
        return isinstance(y[0], Path) or Path(y[0]).is_file()
    try:
        return np.asarray(y).ndim >= IMAGES_NDIM
    except ValueError:  # rows of several lengths
        return False


def batches(model: Model, images: ImageSet) -> Iterator[tuple[Decoded, list[int]]]:
    """Yield the images decoded, 64 at a time, and for each member of the model which of the decoded pixels are its own.

    Raises: InputError where an image cannot be read: an estimator answers for every row it is given.
    """
    distinct = list(dict.fromkeys(each.preprocessing for each in model.members))
    own = [distinct.index(each.preprocessing) for each in model.members]
    for start in range(0, len(images), BATCH):
        part = images.select(range(start, min(start + BATCH, len(images))))
        found = decode(part, distinct, workers=available_cores())
        refuse_unreadable(found)
        yield found, own


def refuse_unreadable(found: Decoded) -> None:
    """Raise InputError, with the first reasons, where an image could not be read."""
    if not found.skipped:
        return
    named = "; ".join(f"{each.path}: {each.reason}" for each in found.skipped[:MOST_NAMED])
    raise InputError(
        f"{len(found.skipped)} images cannot be used ({named}), and there is one answer for each row: leave them out. "
        "feint.score leaves them out by itself and says so."
    )


def _paths(paths: list[object]) -> list[str | Path]:
    found = [each for each in paths if isinstance(each, str | Path)]
    if len(found) < len(paths):
        other = next(each for each in paths if not isinstance(each, str | Path))
        raise InputError(f"a list of images holds paths alone, or make it an array: got {type(other).__name__}, too.")
    return found


def _numeric(array: np.ndarray) -> np.ndarray:
    """Return an array of objects as one of numbers."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"an array of images must hold numbers: {error}.") from error


def _named(array: np.ndarray, channels: Channels) -> np.ndarray:
    """Return a four-dimensional array with the named channels last, or (n, h, w) where there is one."""
    images = array.transpose(0, 2, 3, 1) if channels == "first" else array
    height, width, c = images.shape[1:]
    if c not in {1, 3, 4} or min(height, width) < SMALLEST_SIDE:
        raise InputError(
            f"channels={channels!r} makes an array of shape {array.shape} {c} channels of {height} x {width} pixels: "
            f"1, 3 or 4 of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} are possible."
        )
    return images[..., 0] if c == 1 else images
