"""Class data sets from local files: MNIST and its kin, CIFAR-10, SVHN, npz. Nothing is unpickled or downloaded."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.data.arrays import load_arrays
from feint.data.sources import existing

KEYS = ("x_train", "y_train", "x_test", "y_test")
UBYTE = 8
CIFAR_RECORD = 1 + 3 * 32 * 32
CIFAR_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
UNDERSTOOD = (
    "an .npz file with x_train, y_train, x_test, y_test, or a folder with the idx files of MNIST or Fashion-MNIST "
    "(train-images-idx3-ubyte[.gz], ...), with CIFAR-10's binary version (data_batch_1.bin, ...), or with SVHN's "
    "train_32x32.mat and test_32x32.mat"
)
PICKLES = (
    "{} is the pickled Python version of CIFAR-10, which Feint never loads, because a pickle can run any code: "
    "give the binary version (cifar-10-binary.tar.gz, unpacked: data_batch_1.bin to data_batch_5.bin, test_batch.bin)."
)

Images = NDArray[np.uint8]
Classes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassSet:
    """Images (n, h, w) or (n, h, w, 3), uint8, with a class (n,) each, in the split of their makers."""

    x_train: Images
    y_train: Classes
    x_test: Images
    y_test: Classes
    name: str


def read_class_set(path: str | Path) -> ClassSet:
    """Return the class set that lies at `path`; its name is that of the folder or file.

    Raises: InputError for files that are missing, cut short, pickled or of another kind.
    Cost: the whole set in memory; 180 MB for CIFAR-10.
    """
    path = existing(Path(path))
    if path.suffix.lower() == ".npz":
        return _checked(_read_npz(path), path)
    if path.is_file():
        if "python" in path.name or (path.name.startswith(("data_batch", "test_batch")) and not path.suffix):
            raise InputError(PICKLES.format(path))
        raise InputError(f"{path} is no class set: give {UNDERSTOOD}.")
    if (path / CIFAR_TRAIN[0]).exists():
        return _checked(_read_cifar(path), path)
    if (path / "data_batch_1").exists():
        raise InputError(PICKLES.format(path))
    if (path / "train_32x32.mat").exists():
        return _checked(_read_svhn(path), path)
    if _idx_file(path, "train-images", 3):
        return _checked(_read_idx_set(path), path)
    raise InputError(f"{path} holds no class set: give {UNDERSTOOD}.")


def _checked(parts: tuple[NDArray[np.generic], ...], path: Path) -> ClassSet:
    x_train, y_train, x_test, y_test = parts
    for images, classes, split in ((x_train, y_train, "train"), (x_test, y_test, "test")):
        if images.dtype != np.uint8 or images.ndim not in {3, 4} or (images.ndim == 4 and images.shape[3] != 3):
            raise InputError(
                f"{path}: the {split} images must be uint8 of shape (n, h, w) or (n, h, w, 3): "
                f"got {images.dtype} of shape {images.shape}."
            )
        if classes.dtype.kind not in "iu" or classes.shape != images.shape[:1]:
            raise InputError(
                f"{path}: the {split} classes must be {len(images)} integers, one per image: "
                f"got {classes.dtype} of shape {classes.shape}."
            )
    return ClassSet(
        x_train=x_train.astype(np.uint8, copy=False),
        y_train=y_train.astype(np.int64),
        x_test=x_test.astype(np.uint8, copy=False),
        y_test=y_test.astype(np.int64),
        name=path.stem if path.is_file() else path.resolve().name,
    )


def _read_npz(path: Path) -> tuple[NDArray[np.generic], ...]:
    arrays = load_arrays(path)
    if not isinstance(arrays, dict) or not set(KEYS) <= set(arrays):
        raise InputError(f"{path} must hold {', '.join(KEYS)}: got {', '.join(arrays)}.")
    x_train, y_train, x_test, y_test = (arrays[key] for key in KEYS)
    return x_train, y_train.reshape(-1), x_test, y_test.reshape(-1)


def _read_cifar(folder: Path) -> tuple[NDArray[np.generic], ...]:
    def records(names: tuple[str, ...]) -> tuple[Images, Images]:
        blocks = []
        for name in names:
            data = np.fromfile(existing(folder / name), np.uint8)
            if not len(data) or len(data) % CIFAR_RECORD:
                raise InputError(f"{folder / name} is cut short: {len(data)} bytes are no multiple of {CIFAR_RECORD}.")
            blocks.append(data.reshape(-1, CIFAR_RECORD))
        table = np.concatenate(blocks)
        return np.ascontiguousarray(table[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), table[:, 0]

    return (*records(CIFAR_TRAIN), *records(("test_batch.bin",)))


def _read_svhn(folder: Path) -> tuple[NDArray[np.generic], ...]:
    from scipy.io import loadmat

    def split(name: str) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        path = existing(folder / name)
        try:
            arrays = loadmat(path, variable_names=("X", "y"))
            images, classes = arrays["X"], arrays["y"].reshape(-1)
        except Exception as error:  # scipy raises anything on a damaged file
            raise InputError(f"{path} cannot be read as SVHN's .mat file: {error}.") from error
        if images.ndim != 4:
            raise InputError(f"{path}: X must have shape (32, 32, 3, n): got {images.shape}.")
        return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), classes % 10  # SVHN writes the digit 0 as 10

    return (*split("train_32x32.mat"), *split("test_32x32.mat"))


def _read_idx_set(folder: Path) -> tuple[NDArray[np.generic], ...]:
    parts = []
    for stem, axes in (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1)):
        path = _idx_file(folder, stem, axes)
        if path is None:
            raise InputError(f"{folder} has no {stem}-idx{axes}-ubyte[.gz]: it needs all four files of the set.")
        parts.append(_read_idx(path, axes))
    return tuple(parts)


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
