"""One image file or array into its native pixels, or a reason why not."""

from __future__ import annotations

import ctypes
import errno
import logging
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, _imaging
from PIL.ImageFile import ImageFile as OpenImage

from feint.core.errors import InputError

MEGAPIXEL_LIMIT = 100
SMALLEST_SIDE = 8
DEEPEST = 65535
ROWS = 64
MOST_SCANS = 100
MOST_PARTS = 100_000
FRAMES_COUNTED = 10
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
GREY_MODES = ("1", "L", "LA", "La")
ORIENTATION_TAG = 0x0112
CODE = re.compile(r"^decoder error|^\[Errno")
SCAN = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e]")

Pixels = NDArray[Any]


class UnreadableImageError(InputError):
    """One image cannot be used; its text is the reason, without the name of the image."""

    @property
    def reason(self) -> str:
        """The reason, in words that follow the image's name: 'damaged: image file is truncated'."""
        return str(self)

    def bare(self) -> Self:
        """Return this error without its traceback, whose frames would keep the image in memory along with it."""
        return type(self)(self.reason)


class TooLargeImageError(UnreadableImageError):
    """The image declares more pixels than MEGAPIXEL_LIMIT allows."""


@dataclass(frozen=True)
class Header:
    """What is known of an image before its pixels are decoded; the size is that after EXIF orientation.

    `frames` counts no further than FRAMES_COUNTED in a TIFF, whose frames have to be looked for one by one.
    """

    height: int
    width: int
    mode: str
    frames: int = 1


class PackedImage(Protocol):
    """An image file inside another one."""

    def open(self) -> BinaryIO:
        """Return the file; raises UnreadableImageError, or whatever reading the outer file raises."""
        ...


ImageFile = Path | PackedImage


def read_size(file: ImageFile) -> tuple[int, int]:
    """Return height and width after EXIF orientation, from the header alone; frames are not counted, unlike in it.

    Raises: UnreadableImageError as `read_header` does.
    """
    with _opened(file) as image:
        return _upright_size(image)


def read_header(file: ImageFile) -> Header:
    """Return size, mode and number of frames of an image file, from its header alone.

    Raises: UnreadableImageError for a file that is no image, and for sizes that `read_pixels` refuses.
    """
    with _opened(file) as image:
        height, width = _upright_size(image)
        return Header(height, width, image.mode, _frames(image))


def read_pixels(file: ImageFile) -> Pixels:
    """Return the pixels of an image file, (h, w) or (h, w, 3), as uint8, uint16 or float32.

    EXIF orientation is applied; transparency is laid on white, as a viewer shows it; palette, CMYK and other
    colour modes become RGB; of several frames the first counts.

    Raises: UnreadableImageError for a damaged file, one over MEGAPIXEL_LIMIT or under SMALLEST_SIDE, one in more than
    MOST_SCANS scans or MOST_PARTS strips, which would take minutes, and for deep pixels that are not finite, are
    negative or exceed 65535.
    Cost: seconds and 1.6 GB at worst, for a WebP just within the limit; four bytes a pixel for most.
    """
    with _opened(file) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _native(image)


def array_header(array: Pixels) -> Header:
    """Return the header of an image that is already an array (h, w) or (h, w, c)."""
    kind = {"u1": "", "u2": ";16"}.get(array.dtype.str[1:], ";F")
    _check_size(array.shape[0], array.shape[1])
    return Header(array.shape[0], array.shape[1], {2: "L", 3: "RGB"}[array.ndim] + kind)


def is_deep(mode: str) -> bool:
    """Tell whether images of this mode hold more than 8 bits per pixel."""
    return mode.startswith(("I", "F")) or ";" in mode


def has_colour(image: Pixels) -> bool:
    """Tell whether the channels of an image differ anywhere; a few rows at a time, up to the first difference."""
    rows = (image[start : start + ROWS] for start in range(0, len(image), ROWS))
    return image.ndim == 3 and any((part != part[..., :1]).any() for part in rows)


def checked_pixels(array: Pixels) -> Pixels:
    """Return `array` in one of the three native depths, values checked."""
    _check_size(array.shape[0], array.shape[1])
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UnreadableImageError("holds pixels that are not finite numbers (NaN or infinity)")
    low, high = array.min(), array.max()
    if low < -0.01 * high or high < 0:
        raise UnreadableImageError(f"holds negative pixels, down to {low:g}")
    if high > DEEPEST:
        raise UnreadableImageError(
            f"holds pixels up to {high:g}, more than 16 bits; save it as 16 bit or float in [0, 1]"
        )
    return np.maximum(array, 0).astype(np.float32 if array.dtype.kind == "f" else np.uint16)


def _native(image: Image.Image) -> Pixels:
    if is_deep(image.mode):
        return checked_pixels(np.asarray(image))
    mode = "L" if image.mode in GREY_MODES else "RGB"
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _frames(image: Image.Image) -> int:
    if image.format == "MPO":  # a second view of the same shot
        return 1
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1)
    try:
        for frame in range(1, FRAMES_COUNTED):
            image.seek(frame)
    except Exception:  # the end, or damage in what is not used
        return frame
    return FRAMES_COUNTED


def _upright_size(image: Image.Image) -> tuple[int, int]:
    return (image.width, image.height) if _turns(image) else (image.height, image.width)


def _turns(image: Image.Image) -> bool:
    """Tell whether decoding will swap height and width, as EXIF asks, and the header does not say so yet."""
    if image.format == "TIFF":  # Pillow reports the size after turning
        return False
    if image.format == "PNG" and "exif" not in image.info:  # getexif would decode the whole image
        return False
    return image.getexif().get(ORIENTATION_TAG) in {5, 6, 7, 8}


def _check_size(height: int, width: int) -> None:
    if height * width > MEGAPIXEL_LIMIT * 1_000_000:
        raise TooLargeImageError(_too_large(height * width))
    if min(height, width) < SMALLEST_SIDE:
        raise UnreadableImageError(f"{height} x {width} pixels: a side is under {SMALLEST_SIDE}")


def _too_large(pixels: int) -> str:
    return f"declares {pixels / 1e6:,.0f} megapixels: the limit is {MEGAPIXEL_LIMIT} (decompression bomb?)"


class _Quiet:
    """Keeps Pillow's warnings from stderr while any thread reads: `catch_warnings` alone is not safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._readers == 0:
                self._caught = warnings.catch_warnings(action="ignore")
                self._caught.__enter__()
            self._readers += 1

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._caught.__exit__(None, None, None)


_QUIET = _Quiet()


@contextmanager
def _opened(file: ImageFile) -> Iterator[OpenImage]:
    """Open an image whose size has been checked; whatever Pillow raises on it becomes a reason."""
    try:
        with _QUIET, Image.open(_plain(file) if isinstance(file, Path) else file.open(), formats=FORMATS) as image:
            _check_size(image.height, image.width)
            _check_cost(image)
            yield image
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeImageError(_reason(file, error)) from error
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise UnreadableImageError(_reason(file, error)) from error


def _plain(path: Path) -> Path:
    """Return `path` if it is a file: opening a pipe would wait for somebody to write."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnreadableImageError("no file, but a folder, a pipe or a device")
    return path


def _check_cost(image: OpenImage) -> None:
    """Refuse what is small and yet takes minutes: each scan goes through all pixels, each strip through Python."""
    if len(image.tile) > MOST_PARTS:
        raise UnreadableImageError(f"is cut into {len(image.tile):,} strips or tiles: the limit is {MOST_PARTS:,}")
    if image.format in {"JPEG", "MPO"} and image.fp is not None:
        here = image.fp.tell()
        image.fp.seek(0)
        scans = len(SCAN.findall(image.fp.read()))
        image.fp.seek(here)
        if scans > MOST_SCANS:
            raise UnreadableImageError(f"is stored in {scans:,} scans: the limit is {MOST_SCANS} (decompression bomb?)")


def _silence_decoders() -> None:
    """Keep Pillow's log and libtiff from writing to stderr where nobody asked for it: what matters is raised."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with suppress(OSError, AttributeError):  # where libtiff cannot be reached, there is more on stderr
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


_silence_decoders()


def _reason(file: ImageFile, error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError):
        declared = re.search(r"\((\d+) pixels\)", text)
        return _too_large(int(declared[1])) if declared else text
    if isinstance(error, UnidentifiedImageError):
        empty = isinstance(file, Path) and not file.stat().st_size
        return "empty file (0 bytes)" if empty else "not a PNG, JPEG, BMP, TIFF or WebP image"
    if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:
        return f"cannot be opened: {error.strerror}"
    if "MAX_TEXT" in text:
        return "holds texts that unpack to too much (decompression bomb?)"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    return f"damaged: {text[:200] if ' ' in text and not CODE.search(text) else 'its parts do not fit together'}"
