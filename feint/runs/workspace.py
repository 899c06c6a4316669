"""The folder in which a run grows: finished jobs are kept there, and one rename makes it a run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
from filelock import FileLock, Timeout

from feint.core.errors import OutputError
from feint.core.files import told, write_text

SUFFIX = ".partial"
IDENTITY, LOCK = "identity.json", "lock"


class Workspace:
    """`RUN.partial`, next to the RUN it will become.

    One process at a time has it, from `open` to `close`; a process that is killed has it no longer. Jobs that an
    earlier attempt has finished are taken up with `resume`, if what is computed is the same, and never removed for
    another attempt: that is refused. What is left without a finished job, or without a word of what it was to be, is
    begun afresh.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.with_name(out.name + SUFFIX)
        self.taken_up = False
        self._lock = FileLock(self.path / LOCK)

    def open(self, *, resume: bool) -> Self:
        """Make the folder, for this process alone, and return the workspace, which is to be closed.

        Raises: OutputError where RUN exists already, another process is at work on it, or, without `resume`, an earlier
        attempt has left finished jobs.
        """
        self._refuse_finished()
        try:
            self._seize()
            self._refuse_finished()  # by the process that had it until now
            self._begin(resume=resume)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, OutputError):
                raise self._told(error) from error
            raise
        return self

    def close(self) -> None:
        """Let other processes have it."""
        self._lock.release()
        with suppress(OSError):  # some systems keep a folder with a lock that is held
            self.path.rmdir()

    def _refuse_finished(self) -> None:
        if os.path.lexists(self.out):
            raise OutputError(f"{self.out} exists already and is never overwritten: choose another name with --out.")

    def _seize(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except (Timeout, FileNotFoundError):  # the latter where the process that fails is just removing the folder
            raise OutputError(
                f"{self.out} is being written by another process: wait until it ends, or choose another place."
            ) from None

    def _begin(self, *, resume: bool) -> None:
        claimed = (self.path / IDENTITY).exists()
        if claimed and self._any_finished() and not resume:
            raise OutputError(
                f"{self.path} holds what an earlier attempt has finished: go on from there with --resume, delete it, "
                "or choose another name with --out."
            )
        self.taken_up = resume and (claimed or self._any_finished())
        if not self.taken_up:
            self._clear()

    def _any_finished(self) -> bool:
        return any(self.jobs.glob("[!.]*"))

    def _clear(self) -> None:
        """Remove all that an earlier attempt has left."""
        for folder in (self.jobs, self.logs, self.result):
            shutil.rmtree(folder, ignore_errors=True)
        (self.path / IDENTITY).unlink(missing_ok=True)
        for folder in (self.jobs, self.logs):
            folder.mkdir()

    def _told(self, error: OSError) -> OSError:
        found = told(error, self.path)
        if found is error:
            return OutputError(f"{self.path} cannot be made: {error.strerror}. Choose another place with --out.")
        return found

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def result(self) -> Path:
        return self.path / "result"

    @property
    def key(self) -> str:
        """Name what is computed here, once it is claimed, and where: the same whenever it is resumed."""
        text = f"{(self.path / IDENTITY).read_text(encoding='utf-8')} {self.out.absolute()}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]

    def claim(self, identity: dict[str, object]) -> None:
        """Record what is computed here: settings and data, each by a name for the user.

        Raises: OutputError where something else was, and jobs of it are finished.
        """
        text = json.dumps(identity, sort_keys=True, default=str)
        marker = self.path / IDENTITY
        known = marker.read_text(encoding="utf-8") if marker.exists() else None
        if known == text:
            return
        if known is not None and self._any_finished():
            raise OutputError(
                f"{self.path} holds an attempt with other settings or images "
                f"({_differing(json.loads(known), json.loads(text))}): repeat that command, delete the folder, or "
                "choose another name with --out."
            )
        self._clear()
        write_text(marker, text)

    def allocate(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a uint8 array of `shape` that lives in a file: workers share it and memory need not hold it.

        The space is taken at once: writing to a mapped file on a disk that has become full would kill the process.
        """
        path = self.path / f"{name}.npy"
        size = int(np.prod(shape))
        free = shutil.disk_usage(self.path).free
        if size > free:
            raise OutputError(
                f"the decoded images need {size / 2**20:.0f} MiB at {path}, where {free / 2**20:.0f} MiB are free. "
                "Free some space, choose another place with --out, or a smaller --image-size."
            )
        try:
            array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
            if hasattr(os, "posix_fallocate"):
                with path.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, array.offset + size)
        except OSError as error:
            raise told(error, path) from error
        return array

    def finish(self) -> None:
        """Rename the finished result to RUN and remove what is left."""
        if os.path.lexists(self.out):
            raise OutputError(
                f"{self.out} came into being meanwhile and is never overwritten: the result lies in {self.result}."
            )
        self.result.replace(self.out)
        shutil.rmtree(self.path, ignore_errors=True)

    def discard(self) -> None:
        """Remove everything, but for what an earlier attempt has left."""
        if not self.taken_up:
            shutil.rmtree(self.path, ignore_errors=True)


def _differing(known: dict[str, object], now: dict[str, object]) -> str:
    """Return the names of what differs between two identities."""
    names = sorted(name for name in known | now if known.get(name) != now.get(name))
    return ", ".join(names).replace("_", " ")
