"""What every backend is: an executor whose jobs get large arrays by reference."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

import numpy as np

from feint.backends.outcomes import awaited
from feint.core.errors import SettingError
from feint.core.files import atomic

T = TypeVar("T")


class Shared(ABC):
    """An array that lies where jobs can reach it; what travels to a job is this reference."""

    @abstractmethod
    def open(self) -> np.ndarray:
        """Return the array, read-only."""


class Backend(Executor, ABC):
    """A `concurrent.futures.Executor` that can also share arrays among its jobs.

    Attributes: `workers` is the number of jobs that run at a time.
    """

    workers: int

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """Yield `fn` of each, in order; without a `timeout` Ctrl-C ends the wait at any moment."""
        if timeout is not None:
            return super().map(fn, *iterables, timeout=timeout, chunksize=chunksize)
        futures = [self.submit(fn, *each) for each in zip(*iterables, strict=False)]
        return _results(futures)

    @abstractmethod
    def share(self, array: np.ndarray, *, folder: Path, name: str) -> Shared:
        """Put an array where every job can open it, once, and return the reference to hand to jobs.

        Args:
            array: of numbers, of any shape.
            folder: where a backend that shares by files keeps them; shared again, the same array is found there.
            name: what the array is, as the beginning of a file name.

        Raises: OutputError if the folder cannot be written.
        """


def _results(futures: list[Future[T]]) -> Iterator[T]:
    """Yield the results in order; what is left when nobody wants more is cancelled."""
    try:
        for each in futures:
            yield awaited(each)
    finally:
        for each in futures:
            each.cancel()


@final
@dataclass(frozen=True, kw_only=True)
class SharedFile(Shared):
    """An array in a `.npy` file, mapped by whoever opens it: processes share its pages, memory need not hold it."""

    path: Path

    def open(self) -> np.ndarray:
        array: np.ndarray = np.load(self.path, mmap_mode="r")
        return array


def share_file(array: np.ndarray, *, folder: Path, name: str) -> SharedFile:
    """Write `array` to `folder`/`name`-DIGEST.npy, whole or not at all, unless that file is there; see `digest`.

    Raises: SettingError if the array holds objects, OutputError if the folder cannot be written.
    """
    path = (folder / f"{name}-{digest(array)}.npy").resolve()
    if not path.exists():
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, np.asarray(array, order="C"), allow_pickle=False)
    return SharedFile(path=path)


def digest(array: np.ndarray) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of an array's numbers, their type and shape.

    Raises: SettingError if the array holds objects. Cost: reads the array once, 1 GB/s.
    """
    if array.dtype.hasobject:
        raise SettingError(f"a shared array must hold numbers: got the type {array.dtype}.")
    found = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    found.update(np.asarray(array, order="C").reshape(-1).view(np.uint8).data)
    return found.hexdigest()[:16]
