"""Class data sets from local files: MNIST and its kin, CIFAR, SVHN, npz. Nothing is unpickled or downloaded."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.data.arrays import load_arrays
from feint.data.jpeg_images import JpegImages
from feint.data.sources import existing

KEYS = ("x_train", "y_train", "x_test", "y_test")
UBYTE = 8
CIFAR_PIXELS = 3 * 32 * 32
CIFAR10_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
IDX_STEMS = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))
UNDERSTOOD = (
    "an .npz file with x_train, y_train, x_test, y_test (JPEG images: train_bytes, train_off, test_bytes, test_off), "
    "or a folder with the idx files of MNIST or Fashion-MNIST (train-images-idx3-ubyte[.gz], ...), with the binary "
    "version of CIFAR-10 (data_batch_1.bin, ...) or CIFAR-100 (train.bin, test.bin), or with SVHN's train_32x32.mat "
    "and test_32x32.mat"
)
PICKLES = (
    "{} is the pickled Python version of CIFAR-10, which Feint never loads, because a pickle can run any code: "
    "give the binary version (cifar-10-binary.tar.gz, unpacked: data_batch_1.bin to data_batch_5.bin, test_batch.bin)."
)

Images = NDArray[np.uint8]
Classes = NDArray[np.int64]
Array = NDArray[np.generic]
Part = Callable[[], Array]


@dataclass(frozen=True, eq=False)
class ClassSet:
    """Images (n, h, w) or (n, h, w, 3), uint8, with a class (n,) each, in the split of their makers."""

    x_train: Images
    y_train: Classes
    x_test: Images
    y_test: Classes
    name: str


class ClassFiles(NamedTuple):
    """The four parts of a class set, each read from `files` when it is called for, and the names of its classes.

    `checked_images` and `checked_classes` take what the parts return. Class i is called names[i], or i without names.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    x_train: Callable[[], Array | JpegImages]
    y_train: Part
    x_test: Callable[[], Array | JpegImages]
    y_test: Part


def read_class_set(path: str | Path) -> ClassSet:
    """Return the class set that lies at `path`; its name is that of the folder or file.

    Raises: InputError for files that are missing, cut short, pickled or of another kind.
    Cost: the whole set in memory; 180 MB for CIFAR-10.
    """
    path = Path(path)
    parts = open_class_set(path)
    x_train, x_test = checked_images(parts.x_train(), path, "train"), checked_images(parts.x_test(), path, "test")
    return ClassSet(
        x_train=x_train,
        y_train=checked_classes(parts.y_train(), path, "train", count=len(x_train)),
        x_test=x_test,
        y_test=checked_classes(parts.y_test(), path, "test", count=len(x_test)),
        name=path.stem if path.is_file() else path.resolve().name,
    )


def open_class_set(path: Path) -> ClassFiles:
    """Return the parts of the class set at `path`, not read yet.

    Raises: InputError when there is none.
    """
    if existing(path).suffix.lower() == ".npz":
        return _open_npz(path)
    if path.is_file():
        if "python" in path.name or (path.name.startswith(("data_batch", "test_batch")) and not path.suffix):
            raise InputError(PICKLES.format(path))
        raise InputError(f"{path} is no class set: give {UNDERSTOOD}.")
    if (path / CIFAR10_TRAIN[0]).exists():
        return _open_cifar(path, CIFAR10_TRAIN, "test_batch.bin", labels=1, names="batches.meta.txt")
    if (path / "train.bin").exists():
        return _open_cifar(path, ("train.bin",), "test.bin", labels=2, names="fine_label_names.txt")
    if (path / "data_batch_1").exists():
        raise InputError(PICKLES.format(path))
    if (path / "train_32x32.mat").exists():
        return _open_svhn(path)
    if _idx_file(path, "train-images", 3):
        return _open_idx(path)
    raise InputError(f"{path} holds no class set: give {UNDERSTOOD}.")


def checked_images(images: Array | JpegImages, path: Path, split: str) -> Images:
    """Return `images`, JPEG ones decoded, if they are uint8 (n, h, w) or (n, h, w, 3); raises InputError."""
    if isinstance(images, JpegImages):
        images = images[np.arange(len(images))]
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or (images.ndim == 4 and images.shape[3] != 3):
        raise InputError(
            f"{path}: the {split} images must be uint8 of shape (n, h, w) or (n, h, w, 3): "
            f"got {images.dtype} of shape {images.shape}."
        )
    return images.astype(np.uint8, copy=False)


def checked_classes(classes: Array, path: Path, split: str, *, count: int | None = None) -> Classes:
    """Return `classes` as integers (n,), n being `count` if that is known; raises InputError."""
    if (
        classes.dtype.kind not in "iu"
        or classes.ndim != 1
        or len(classes) != (len(classes) if count is None else count)
    ):
        wanted = "" if count is None else f"{count} "
        raise InputError(
            f"{path}: the {split} classes must be {wanted}integers, one per image: "
            f"got {classes.dtype} of shape {classes.shape}."
        )
    return classes.astype(np.int64)


def _open_npz(path: Path) -> ClassFiles:
    arrays = cache(lambda: load_arrays(path))

    def array(key: str) -> Array:
        found = arrays()
        if not isinstance(found, dict) or not {*KEYS[1::2], key} <= set(found):
            raise InputError(f"{path} must hold {', '.join(KEYS)}: got {', '.join(found)}.")
        return found[key]

    def images(split: str) -> Array | JpegImages:
        if f"{split}_bytes" not in arrays():
            return array(f"x_{split}")
        return JpegImages(array(f"{split}_bytes"), array(f"{split}_off"), f"{path}, {split}")

    names = arrays()["classes"].tolist() if "classes" in arrays() else ()
    return ClassFiles(
        (path,), tuple(map(str, names)),
        lambda: images("train"), lambda: array("y_train").reshape(-1),
        lambda: images("test"), lambda: array("y_test").reshape(-1),
    )  # fmt: skip


def _open_cifar(folder: Path, train: tuple[str, ...], test: str, *, labels: int, names: str) -> ClassFiles:
    """Open records of `labels` label bytes, of which the last counts, and 3 x 32 x 32 pixels."""
    size = labels + CIFAR_PIXELS

    def records(name: str) -> Images:
        path = existing(folder / name)
        if not (length := path.stat().st_size) or length % size:
            raise InputError(f"{path} is cut short: {length} bytes are no multiple of {size}.")
        return np.memmap(path, np.uint8, mode="r").reshape(-1, size)

    def images(*files: str) -> Part:
        def read() -> Array:
            planes = np.concatenate([records(name)[:, labels:] for name in files])
            return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)

        return read

    def classes(*files: str) -> Part:
        return lambda: np.concatenate([records(name)[:, labels - 1] for name in files])

    files = tuple(folder / name for name in (*train, test))
    lines = (folder / names).read_text(encoding="utf-8").split() if (folder / names).is_file() else ()
    return ClassFiles(files, tuple(lines), images(*train), classes(*train), images(test), classes(test))


def _open_svhn(folder: Path) -> ClassFiles:
    train, test = folder / "train_32x32.mat", folder / "test_32x32.mat"

    def variable(path: Path, name: str) -> Array:
        from scipy.io import loadmat

        try:
            array: Array = loadmat(existing(path), variable_names=(name,))[name]
        except InputError:
            raise
        except Exception as error:  # scipy raises anything on a damaged file
            raise InputError(f"{path} cannot be read as SVHN's .mat file: {error}.") from error
        return array

    def images(path: Path) -> Part:
        def read() -> Array:
            array = variable(path, "X")
            if array.ndim != 4:
                raise InputError(f"{path}: X must have shape (32, 32, 3, n): got {array.shape}.")
            return np.ascontiguousarray(array.transpose(3, 0, 1, 2))

        return read

    def digits(path: Path) -> Part:
        return lambda: np.asarray(variable(path, "y").reshape(-1), np.int64) % 10  # SVHN writes the digit 0 as 10

    return ClassFiles((train, test), (), images(train), digits(train), images(test), digits(test))


def _open_idx(folder: Path) -> ClassFiles:
    files = []
    for stem, axes in IDX_STEMS:
        path = _idx_file(folder, stem, axes)
        if path is None:
            raise InputError(f"{folder} has no {stem}-idx{axes}-ubyte[.gz]: it needs all four files of the set.")
        files.append(path)

    def part(path: Path, axes: int) -> Part:
        return lambda: _read_idx(path, axes)

    parts = (part(path, axes) for path, (_, axes) in zip(files, IDX_STEMS, strict=True))
    return ClassFiles(tuple(files), (), *parts)


def _idx_file(folder: Path, stem: str, axes: int) -> Path | None:
    names = (f"{stem}{mark}idx{axes}-ubyte{ending}" for mark in "-." for ending in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).exists()), None)


def _read_idx(path: Path, axes: int) -> Images:
    """Return the uint8 array of an idx file: two zero bytes, the type, the number of axes, their lengths, the data."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zero, kind, count = struct.unpack(">HBB", file.read(4))
            if (zero, kind, count) != (0, UBYTE, axes):
                raise InputError(f"{path} is no idx file of bytes with {axes} axes.")
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            data = file.read()
    except (struct.error, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an idx file: {error}.") from error
    if len(data) != np.prod(shape, dtype=np.int64):
        raise InputError(f"{path} is cut short: it holds {len(data)} bytes where its header says {shape}.")
    return np.frombuffer(data, np.uint8).reshape(shape)
