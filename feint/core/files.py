"""Files and folders that are written whole or not at all, and what tells one file from another."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from feint.core.errors import OutputError

IMPOSSIBLE = frozenset({
    errno.EACCES, errno.EROFS, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG,
})  # fmt: skip


@contextmanager
def atomic(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is renamed to `path`, otherwise it is removed.

    Threads and processes that write the same `path` at once never mix: what was renamed last stays.
    `durable` files are whole after a power failure, too, which costs some milliseconds.
    Raises OutputError where the disk is full or the folder cannot be written.
    """
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            _flush(temporary, os.O_RDWR)
        temporary.replace(path)
        if durable:
            with suppress(OSError):  # Windows and some network shares cannot flush a folder
                _flush(path.parent, os.O_RDONLY)
    except OSError as error:
        raise told(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that is renamed to it on success and removed otherwise; see `atomic`."""
    temporary = _beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise OutputError(f"{path} came into being meanwhile and is never overwritten: choose another.") from error
        raise told(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Return a temporary name that no other process or thread uses for `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.tmp")


def _flush(path: Path, flags: int) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def told(error: OSError, path: Path) -> OSError:
    """Return the OutputError that says why nothing can be written at `path`; any other error as it is."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return OutputError(f"the disk is full: {path} could not be written. Free some space and start again.")
    if error.errno in IMPOSSIBLE:
        return OutputError(f"{path} cannot be written: {error.strerror}. Make it writable, or choose another place.")
    return error


def refuse_unwritable(path: Path) -> None:
    """Raise OutputError where it can be seen beforehand that nothing can be made at `path`; makes nothing."""
    there = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not there.is_dir():
        raise told(NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), path)
    if not os.access(there, os.W_OK | os.X_OK):
        raise told(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), path)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a text file whole or not at all; see `atomic`."""
    with atomic(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
