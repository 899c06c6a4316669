"""The folder in which a run grows: finished jobs are kept there, and one rename makes it a run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np

from feint.core.errors import OutputError
from feint.core.files import told, write_text

SUFFIX = ".partial"
IDENTITY = "identity.txt"


class Workspace:
    """`RUN.partial`, next to the RUN it will become.

    `identity` says what is computed (settings and data): with `resume`, a workspace left by an earlier attempt is
    taken up if its identity is the same; without, it is begun afresh.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.with_name(out.name + SUFFIX)
        self.taken_up = False

    def open(self, *, resume: bool) -> None:
        """Make the folder; raises OutputError where RUN exists already."""
        if self.out.exists():
            raise OutputError(f"{self.out} exists already and is never overwritten: choose another name with --out.")
        self.taken_up = resume and self.path.exists()
        try:
            if self.path.exists() and not resume:
                shutil.rmtree(self.path)
            self.jobs.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            found = told(error, self.path)
            if found is error:
                found = OutputError(f"{self.path} cannot be made: {error.strerror}. Choose another place with --out.")
            raise found from error

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
        """Record what is computed here; what was finished under another identity is removed."""
        text = json.dumps(identity, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()
        marker = self.path / IDENTITY
        if marker.exists():
            if marker.read_text(encoding="utf-8") == digest:
                return
            for folder in (self.jobs, self.logs, self.result):
                shutil.rmtree(folder, ignore_errors=True)
            for folder in (self.jobs, self.logs):
                folder.mkdir(parents=True)
        write_text(marker, digest)

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
        if self.out.exists():
            raise OutputError(
                f"{self.out} came into being meanwhile and is never overwritten: the result lies in {self.result}."
            )
        self.result.replace(self.out)
        shutil.rmtree(self.path, ignore_errors=True)

    def discard(self) -> None:
        """Remove everything, but for what an earlier attempt has left."""
        if not self.taken_up:
            shutil.rmtree(self.path, ignore_errors=True)
