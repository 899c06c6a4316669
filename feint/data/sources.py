"""The one way in: a folder, a manifest, an array file, an array or a list of files becomes an image set."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from feint.core.errors import InputError
from feint.data.arrays import images_of_array, read_array_file
from feint.data.folders import SUFFIXES, images_of_folder, printable
from feint.data.images import ImageSet
from feint.data.manifests import TABLE_SUFFIXES, images_of_manifest
from feint.data.reading import Pixels

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})

Role = Literal["normal", "unlabelled"]
Source = str | Path | Pixels | ImageSet | Sequence[str | Path]


def open_images(source: Source, *, role: Role) -> ImageSet:
    """Return the images of `source` that play `role`, in a fixed order; nothing is decoded.

    Args:
        source: a folder of any depth (png, jpg, bmp, tif, webp); an MVTec category (`train/good`, `test/*`); a CSV
            or Parquet manifest (`image_path, label_index, split, mask_path`); an array (n, h, w), (n, h, w, c) or
            (n, c, h, w), uint8, uint16 or float in [0, 1], also as a .npy or .npz file; or a list of files.
        role: which part of an MVTec category or a manifest is meant: `normal` takes the training split,
            `unlabelled` the test split. Names of defect folders are never used as labels.

    Raises: InputError when nothing usable is there.

    Example:
        >>> import numpy as np
        >>> images = open_images(np.zeros((2, 16, 16), np.uint8), role="normal")
        >>> images.names, images.layout
        (('image-00000', 'image-00001'), 'array')
    """
    if isinstance(source, ImageSet):
        return source
    if isinstance(source, str | Path):
        return _open_path(Path(source), role)
    if isinstance(source, np.ndarray):
        return images_of_array(source, source="array")
    return _open_list([Path(each) for each in source])


def existing(path: Path) -> Path:
    """Return `path` if it exists; raises InputError that suggests a sibling of a similar name."""
    if path.exists():
        return path
    if not path.parent.is_dir():
        raise InputError(f"{path} does not exist, nor does the folder {path.parent}: check the path.")
    siblings = [each.name for each in path.parent.iterdir() if not each.name.startswith(".")]
    close = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f"did you mean {path.parent / close[0]}?" if close else "check the path."
    raise InputError(f"{path} does not exist: {hint}")


def _open_path(path: Path, role: Role) -> ImageSet:
    if existing(path).is_dir():
        return images_of_folder(path, role=role)
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return images_of_manifest(path, role=role)
    if suffix in {".npy", ".npz"}:
        return images_of_array(read_array_file(path), source=str(path))
    if suffix in SUFFIXES:
        raise InputError(f"{path} is a single image: give the folder it lies in, or a list of files.")
    refuse_archive(path)
    raise InputError(
        f"{path} is a {suffix or 'nameless'} file: give a folder, a .csv, .json or .parquet manifest, or a .npy array."
    )


def refuse_archive(path: Path) -> None:
    """Raise InputError for a file that holds others, by its name."""
    if path.suffix.lower() in ARCHIVES:
        raise InputError(f"{path} is an archive, which is not opened: unpack it, and give the folder of its images.")


def _open_list(paths: list[Path]) -> ImageSet:
    if not paths:
        raise InputError("the list of images is empty: give at least one file.")
    folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    names = tuple(printable(path.absolute().relative_to(folder).as_posix()) for path in paths)
    return ImageSet(names=names, source=str(folder), layout="list", items=tuple(paths))
