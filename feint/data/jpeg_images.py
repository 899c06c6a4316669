"""Many small JPEG images in one array of bytes, decoded by threads when they are asked for."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from feint.core.errors import InputError
from feint.data.pools import in_order

AT_ONCE = 256


@final
@dataclass(frozen=True, eq=False)
class JpegImages:
    """Images of one size; image i is the JPEG file `data[offsets[i]:offsets[i + 1]]`.

    `images[rows]` decodes some of them to uint8 (k, h, w) or (k, h, w, 3).

    Raises: InputError for offsets that do not fit the bytes, and for an image that is damaged or of another size.
    Cost: about 0.1 ms of processor time for each 32 x 32 image.
    """

    data: NDArray[np.generic]
    offsets: NDArray[np.generic]
    source: str

    def __post_init__(self) -> None:
        steps = np.asarray(self.offsets)
        if (
            self.data.dtype != np.uint8
            or self.data.ndim != 1
            or steps.dtype.kind not in "iu"
            or steps.ndim != 1
            or len(steps) < 2
            or (np.diff(steps.astype(np.int64)) <= 0).any()
            or steps[0] < 0
            or steps[-1] > len(self.data)
        ):
            raise InputError(
                f"{self.source}: the offsets must rise from 0 to the {self.data.size} bytes of JPEG files."
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        starts = range(0, len(rows), AT_ONCE)
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        images: NDArray[np.uint8] | None = None
        parts = in_order(
            lambda start: [self._decode(int(i)) for i in rows[start : start + AT_ONCE]], starts, workers=workers
        )
        for start, part in zip(starts, parts, strict=True):
            if images is None:
                images = np.empty((len(rows), *part[0].shape), np.uint8)
            for i, image in enumerate(part):
                if image.shape != images.shape[1:]:
                    raise InputError(
                        f"{self.source}: image {rows[start + i]} has shape {image.shape}, others {images.shape[1:]}."
                    )
                images[start + i] = image
        if images is None:
            raise InputError(f"{self.source}: no image was asked for.")
        return images

    def _decode(self, i: int) -> NDArray[np.uint8]:
        blob = self.data[int(self.offsets[i]) : int(self.offsets[i + 1])].tobytes()
        try:
            with Image.open(io.BytesIO(blob), formats=("JPEG",)) as image:
                return np.asarray(image if image.mode in {"L", "RGB"} else image.convert("RGB"))
        except Exception as error:  # a decoder may raise anything on damaged bytes
            raise InputError(f"{self.source}: image {i} is no readable JPEG: {error}.") from error
