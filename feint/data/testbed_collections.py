"""What testbeds are made of: pictures of several kinds, one of which plays normal, listed but not read yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from feint.core.errors import InputError
from feint.data.class_sets import ClassFiles, checked_classes, checked_images, open_class_set
from feint.data.jpeg_images import JpegImages

Split = Literal["train", "test"]
Rows = NDArray[np.intp]
Kinds = NDArray[np.int64]


class Read(NamedTuple):
    """Pictures that were asked for: pixels (k, c, h, w) uint8 and ids of those that could be read, where they stood
    in the request (k,), and what was skipped, with the reason.
    """

    pixels: NDArray[np.uint8]
    ids: tuple[str, ...]
    kept: Rows
    skipped: tuple[str, ...]


@final
@dataclass(frozen=True, eq=False)
class Collection:
    """Pictures of several kinds in two splits: all classes of a class set, or one category with its defects.

    `train` (n,) and `test` (m,) hold the kind of each picture, an index into `kinds`; `normals` are the kinds that can
    be the normal one; `aliases` other names of kinds. `read(split, rows)` decodes; `masks(rows)` returns the ground
    truth of test pictures (k, h, w) and which of them have one (k,); None without any. With `defects` the kinds but
    the first are defects of the first. `files` names every file that was or would be read.
    """

    kinds: tuple[str, ...]
    normals: tuple[str, ...]
    train: Kinds
    test: Kinds
    read: Callable[[Split, Rows], Read]
    masks: Callable[[Rows], tuple[NDArray[np.bool_], NDArray[np.bool_]]] | None
    files: Mapping[str, Path]
    defects: bool
    aliases: Mapping[str, str]


def collection_of_classes(path: Path, *, size: int) -> Collection:
    """Return the class set at `path`; its pictures are resized bilinearly to `size` where they differ from it."""
    parts = open_class_set(path)
    train, test = (checked_classes(y(), path, split) for y, split in ((parts.y_train, "train"), (parts.y_test, "test")))
    labels, inverse = np.unique(np.concatenate([train, test]), return_inverse=True)
    kinds = tuple(str(label) for label in labels)
    inverse = inverse.astype(np.int64)
    return Collection(
        kinds=kinds,
        normals=tuple(kinds[k] for k in np.unique(inverse[: len(train)]) if k in inverse[len(train) :]),
        train=inverse[: len(train)],
        test=inverse[len(train) :],
        read=_class_reader(parts, path, size, {"train": len(train), "test": len(test)}),
        masks=None,
        files={file.name: file for file in parts.files},
        defects=False,
        aliases={parts.names[label]: str(label) for label in labels if 0 <= label < len(parts.names)},
    )


def _class_reader(
    parts: ClassFiles, path: Path, size: int, counts: Mapping[Split, int]
) -> Callable[[Split, Rows], Read]:
    @cache
    def images(split: Split) -> NDArray[np.uint8] | JpegImages:
        found = parts.x_train() if split == "train" else parts.x_test()
        images = found if isinstance(found, JpegImages) else checked_images(found, path, split)
        if len(images) != counts[split]:
            raise InputError(
                f"{path}: {len(images)} {split} images for {counts[split]} classes: one file is cut short."
            )
        return images

    def read(split: Split, rows: Rows) -> Read:
        pixels = planes(images(split)[rows], size)
        return Read(pixels, tuple(f"{split}/{row}" for row in rows), np.arange(len(rows)), ())

    return read


def planes(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return images (n, h, w) or (n, h, w, 3) as (n, c, size, size), resized bilinearly where their size differs."""
    if images.shape[1:3] != (size, size):
        resized = [Image.fromarray(each).resize((size, size), Image.Resampling.BILINEAR) for each in images]
        images = np.stack([np.asarray(each) for each in resized])
    return np.ascontiguousarray(images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))


def is_class_set(path: Path) -> bool:
    """Tell whether the folder `path` holds one of the class sets that `open_class_set` understands."""
    marks = ("data_batch_1*", "train.bin", "train_32x32.mat", "train-images*idx3-ubyte*")
    return any(next(path.glob(mark), None) for mark in marks)
