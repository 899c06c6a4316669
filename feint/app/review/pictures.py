"""Images and their anomaly maps as small files for a browser: made when asked for, and kept while there is room."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from PIL import Image

from feint.app.review.subject import GONE, Item, Subject
from feint.backends import available_cores
from feint.data.preprocessing import preprocess
from feint.data.reading import Pixels, UnreadableImageError, checked_pixels, read_pixels
from feint.report.images import map_colours
from feint.runs.model import Model

MEBI = 2**20
KEPT_MEBI = 96
THUMB, LARGE, LOSSLESS = 320, 2400, 96
QUALITY = 82
Kind = Literal["thumb", "large", "map"]


@dataclass(frozen=True)
class Picture:
    """A file for the browser."""

    data: bytes
    kind: str


@final
class Pictures:
    """The pictures of a review: decoded by as many threads as there are cores, maps computed by one.

    Raises (by `get`): UnreadableImageError, with the reason, for an image that is gone, damaged or too large.
    Cost: 96 MiB of finished files at most, and one image at its own size for each core.
    """

    def __init__(self, subject: Subject, model: Model, *, kept: int = KEPT_MEBI * MEBI) -> None:
        self._subject, self._model = subject, model
        self._decoding = ThreadPoolExecutor(available_cores(), thread_name_prefix="feint-decode")
        self._mapping = ThreadPoolExecutor(1, thread_name_prefix="feint-map")
        self._kept = Kept(kept)

    async def get(self, row: int, kind: Kind) -> Picture:
        """Return the image of a row, at most 320 px or 2,400 px long, or its map, to be laid over the image."""
        if (found := self._kept.get((row, kind))) is not None:
            return found
        aside = asyncio.get_running_loop().run_in_executor
        if kind == "map":
            inputs, size = await aside(self._decoding, self._inputs, row)
            found = await aside(self._mapping, self._map, inputs, size)
        else:
            found = await aside(self._decoding, self._shown, row, THUMB if kind == "thumb" else LARGE)
        if kind != "large":
            self._kept.put((row, kind), found)
        return found

    def close(self) -> None:
        """Let what is waiting go."""
        self._decoding.shutdown(wait=False, cancel_futures=True)
        self._mapping.shutdown(wait=False, cancel_futures=True)

    def _shown(self, row: int, longest: int) -> Picture:
        return _encoded(_shrunk(self._displayed(row), longest))

    def _inputs(self, row: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Return an image as the model takes it, and the width and height of its map as it is shown."""
        image = self._pixels(row)
        share = THUMB / max(image.shape[:2])
        width, height = (max(1, round(side * share)) for side in image.shape[1::-1])
        return preprocess(image, self._model.members[0].preprocessing)[None].copy(), (width, height)

    def _map(self, inputs: np.ndarray, size: tuple[int, int]) -> Picture:
        """Return the map in colour, clear where the image is ordinary, in the shape of the image."""
        (grey,) = self._model.grey_maps(self._model.members[0].maps(inputs))
        levels = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))
        return _file(Image.fromarray(map_colours()[levels]), "WEBP", quality=QUALITY, method=1)

    def _displayed(self, row: int) -> Image.Image:
        pixels = self._pixels(row)
        if pixels.dtype != np.uint8:
            white = 1 if pixels.dtype.kind == "f" and pixels.max() <= 1 else self._model.members[0].preprocessing.white
            pixels = np.rint((pixels.astype(np.float32) / white).clip(0, 1) * 255).astype(np.uint8)
        return Image.fromarray(pixels)

    def _pixels(self, row: int) -> Pixels:
        item: Item | None = self._subject.items[row]
        if item is None:
            raise UnreadableImageError(GONE)
        return checked_pixels(item) if isinstance(item, np.ndarray) else read_pixels(item)


@final
class Kept:
    """The pictures asked for last, as many as fit into so many bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._pictures: OrderedDict[tuple[int, Kind], Picture] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, Kind]) -> Picture | None:
        """Return a picture, None where it is not kept."""
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def put(self, key: tuple[int, Kind], picture: Picture) -> None:
        """Keep a picture, and let those go that were asked for longest ago."""
        with self._lock:
            if key not in self._pictures:
                self._pictures[key] = picture
                self._bytes += len(picture.data)
            while self._bytes > self._most:
                self._bytes -= len(self._pictures.popitem(last=False)[1].data)


def _shrunk(image: Image.Image, longest: int) -> Image.Image:
    share = longest / max(image.size)
    if share >= 1:
        return image
    width, height = (max(1, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)


def _encoded(image: Image.Image) -> Picture:
    """Return an image as PNG where single pixels count, otherwise as JPEG."""
    if max(image.size) <= LOSSLESS:
        return _file(image, "PNG")
    return _file(image, "JPEG", quality=QUALITY)


def _file(image: Image.Image, kind: str, **options: int) -> Picture:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Picture(file.getvalue(), f"image/{kind.lower()}")
