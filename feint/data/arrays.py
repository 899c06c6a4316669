"""Arrays of images, in memory or in a .npy or .npz file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from feint.core.errors import InputError
from feint.data.images import ImageSet
from feint.data.reading import Pixels

CHANNELS = (1, 3, 4)
SHAPES = "(n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1, 3 or 4"


def images_of_array(array: Pixels, *, source: str) -> ImageSet:
    """Return the images of one array, named 'image-00000' and so on; the pixels are not copied.

    Raises: InputError for an ambiguous or unknown shape, and for values that are neither uint8, uint16 nor
    float in [0, 1].

    Example:
        >>> images_of_array(np.zeros((1, 3, 16, 16), np.uint8), source="array").read(0).shape
        (16, 16, 3)
    """
    images = _channels_last(array)
    if not len(images):
        raise InputError(f"the array {source} holds no image: its shape is {array.shape}.")
    _check_values(images)
    digits = max(5, len(str(len(images) - 1)))
    return ImageSet(
        names=tuple(f"image-{i:0{digits}d}" for i in range(len(images))),
        source=source,
        layout="array",
        items=tuple(images[i] for i in range(len(images))),
    )


def read_array_file(path: Path) -> Pixels:
    """Return the one array of a .npy file (mapped from disk) or a .npz file; pickled objects are refused."""
    loaded = load_arrays(path)
    if isinstance(loaded, dict):
        if len(loaded) != 1:
            raise InputError(
                f"{path} holds {len(loaded)} arrays ({', '.join(loaded)}): save the images alone, as a .npy file."
            )
        return next(iter(loaded.values()))
    return loaded


def load_arrays(path: Path) -> Pixels | dict[str, Pixels]:
    """Return the array of a .npy file, or all arrays of a .npz file by name; never unpickles."""
    try:
        if not zipfile.is_zipfile(path):
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy raises anything on a damaged file
        if "pickle" in str(error).lower() or "object" in str(error).lower():
            raise InputError(
                f"{path} holds pickled Python objects, which Feint never loads: save it again as a plain numeric array."
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read as a numpy file: {reason}.") from error


def _channels_last(array: Pixels) -> Pixels:
    shape = array.shape
    if array.ndim == 3 and shape[2] not in {3, 4}:
        return array
    if array.ndim == 4:
        last, first = shape[3] in CHANNELS, shape[1] in CHANNELS
        if last and first:
            raise InputError(f"an array of shape {shape} may be (n, h, w, c) or (n, c, h, w): drop or move an axis.")
        if first or last:
            images = array.transpose(0, 2, 3, 1) if first else array
            return images[..., 0] if images.shape[3] == 1 else _on_white(images)
    hint = " One image? Pass image[None]." if array.ndim in {2, 3} else ""
    raise InputError(f"an array of images must have shape {SHAPES}: got {shape}.{hint}")


def _on_white(images: Pixels) -> Pixels:
    """Lay the fourth channel, if there is one, on white."""
    if images.shape[3] == 3:
        return images
    white = 1.0 if images.dtype.kind == "f" else np.iinfo(images.dtype).max
    alpha = images[..., 3:] / white
    mixed = images[..., :3] * alpha + white * (1 - alpha)
    return (mixed if images.dtype.kind == "f" else np.rint(mixed)).astype(images.dtype)


def _check_values(images: Pixels) -> None:
    if images.dtype.kind == "u" and images.dtype.itemsize <= 2:
        return
    if images.dtype.kind != "f":
        raise InputError(f"an array of images must be uint8, uint16 or float in [0, 1]: got {images.dtype}.")
    for start in range(0, len(images), 256):
        block = np.asarray(images[start : start + 256])
        finite = block[np.isfinite(block)]
        if finite.size and (finite.min() < 0 or finite.max() > 1):
            raise InputError(
                f"a float array of images must lie in [0, 1]: got {finite.min():g} to {finite.max():g}. "
                "Divide by the white level, or pass uint8 or uint16."
            )
