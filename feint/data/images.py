"""The image set: ordered, named images from anywhere, nothing decoded yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.data.reading import Header, ImageFile, Pixels, array_header, checked_pixels, read_header, read_pixels


@final
@dataclass(frozen=True, eq=False)
class ImageSet:
    """Ordered, named images, each a file, a file inside another one, or an array; `open_images` makes one.

    `names` are unique: posix paths relative to the folder given, 'image-00000' and so on for arrays.
    `layout` says how `source` was understood: folder, mvtec, manifest, list, array or sewer-ml.
    """

    names: tuple[str, ...]
    source: str
    layout: str
    items: tuple[ImageFile | Pixels, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            seen: set[str] = set()
            twice = next(name for name in self.names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise InputError(f"{self.source} names the image {twice} twice: each image must be named once.")

    def __len__(self) -> int:
        return len(self.names)

    def header(self, i: int) -> Header:
        """Return size and mode of image `i` without decoding it; raises UnreadableImageError."""
        item = self.items[i]
        return array_header(item) if isinstance(item, np.ndarray) else read_header(item)

    def read(self, i: int) -> Pixels:
        """Return the pixels of image `i`, (h, w) or (h, w, 3), in native depth; raises UnreadableImageError."""
        item = self.items[i]
        return checked_pixels(item) if isinstance(item, np.ndarray) else read_pixels(item)

    def select(self, indices: Sequence[int] | NDArray[np.integer]) -> ImageSet:
        """Return the images at `indices`, in that order."""
        return ImageSet(
            names=tuple(self.names[i] for i in indices),
            source=self.source,
            layout=self.layout,
            items=tuple(self.items[i] for i in indices),
        )
