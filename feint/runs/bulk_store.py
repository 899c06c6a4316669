"""The folder of a bulk job: its part files, written whole or not at all, and what the job is."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from feint.core.errors import InputError, IntegrityError, OutputError
from feint.core.files import atomic, told, write_text
from feint.data.parts import Part, part_from_json, part_to_json

if TYPE_CHECKING:
    import pyarrow as pa

JOB, LISTING, LOCK, UNFLAGGED = "_job.json", "_listing", "_lock", "_unflagged"
PART_FILE = re.compile(r"part-(\d+)-([0-9a-f]{12})\.parquet")
FORMAT = 1


@final
class Job(BaseModel):
    """What a bulk job is: with any of it changed, it is another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    feint: str
    model: str
    source: str
    column: str | None
    part_size: int


@final
class BulkStore:
    """The folder `out`, open for one job; a job that is killed leaves it so that the same job can go on.

    Raises: OutputError where another job is at work in it, or it holds anything but an unfinished job.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.fresh = not out.exists()
        refuse_foreign(out)
        self._lock = FileLock(out / LOCK)

    def __enter__(self) -> Self:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(f"{self.out} is being written by another job: wait until it ends.") from None
        except OSError as error:
            raise told(error, self.out) from error
        refuse_foreign(self.out)
        for stale in (*self.out.rglob(".part-*.tmp"), *self.out.glob("._*.tmp")):
            stale.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        nothing_done = kind is not None and self.fresh and not self.parts() and not self.parts(flagged=False)
        (self.out / LISTING).unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            (self.out / LOCK).unlink()
        if nothing_done:
            shutil.rmtree(self.out, ignore_errors=True)

    def begin(self, job: Job) -> None:
        """Write down what the job is, or compare it with what is written; raises OutputError where it is another."""
        path = self.out / JOB
        if not path.exists():
            write_text(path, json.dumps(job.model_dump()))
            return
        try:
            known = Job.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, ValidationError) as error:
            raise IntegrityError(f"{path} was changed: delete {self.out}, or choose another --out.") from error
        for name, value in job.model_dump().items():
            if (old := getattr(known, name)) != value:
                raise OutputError(
                    f"{self.out} holds an unfinished job with another {name.replace('_', ' ')} ({_short(old)}, now "
                    f"{_short(value)}): delete it, or choose another --out."
                )

    def list(self, parts: Iterator[Part]) -> tuple[int, int]:
        """Keep the parts of the source in a file; return how many parts and images there are.

        Raises: InputError where the parts that are finished held other images.
        """
        finished = self.parts(flagged=False) | self.parts()
        count = images = 0
        with atomic(self.out / LISTING) as temporary, temporary.open("w", encoding="utf-8") as file:
            for count, part in enumerate(parts, start=1):
                done = finished.pop(count - 1, None)
                if done is not None and fingerprint_of(done) != part.fingerprint:
                    raise InputError(self._changed(done, part.names))
                file.write(part_to_json(part) + "\n")
                images += len(part)
        if finished:
            raise InputError(self._changed(finished[min(finished)], ()))
        return count, images

    def listed(self) -> Iterator[tuple[int, Part]]:
        """Yield the parts kept by `list`, numbered from 0."""
        with (self.out / LISTING).open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                yield number, part_from_json(line)

    def parts(self, *, flagged: bool = True) -> dict[int, Path]:
        """Return the part files there are, by number: finished ones, or those that still wait for their flags."""
        folder = self.out if flagged else self.out / UNFLAGGED
        found = ((PART_FILE.fullmatch(path.name), path) for path in (folder.iterdir() if folder.is_dir() else ()))
        return {int(match[1]): path for match, path in found if match}

    def write(self, table: pa.Table, number: int, fingerprint: str, *, flagged: bool = True) -> None:
        """Write one part file; when it is there, it is whole, also after a power failure."""
        from pyarrow.parquet import write_table

        folder = self.out if flagged else self.out / UNFLAGGED
        path = folder / f"part-{number:06d}-{fingerprint}.parquet"
        with atomic(path) as temporary, temporary.open("wb") as file:
            write_table(table, file)
            file.flush()
            os.fsync(file.fileno())

    def unflag(self) -> None:
        """Let all part files wait for their flags again."""
        (self.out / UNFLAGGED).mkdir(exist_ok=True)
        for path in self.parts().values():
            path.rename(self.out / UNFLAGGED / path.name)

    def finish(self, summary: dict[str, object]) -> None:
        """Note that the job is done, and remove what only an unfinished one needs."""
        shutil.rmtree(self.out / UNFLAGGED, ignore_errors=True)
        write_text(self.out / JOB, json.dumps({**json.loads((self.out / JOB).read_text()), "finished": summary}))

    def _changed(self, done: Path, names: Sequence[str]) -> str:
        from pyarrow.parquet import read_table

        old = read_table(done, columns=["path"])["path"].to_pylist()
        at = next((i for i, (a, b) in enumerate(zip(old, names, strict=False)) if a != b), min(len(old), len(names)))
        was, now = (each[at] if at < len(each) else "nothing" for each in (old, list(names)))
        return (
            f"the source has changed since this job began: {done.name} has {was} where there is {now} now. "
            "Score it into another --out."
        )


def refuse_foreign(out: Path) -> None:
    """Raise OutputError where `out` is anything but absent or an unfinished bulk job."""
    if not out.exists():
        return
    path = out / JOB
    if not out.is_dir() or (
        not path.exists() and any(not each.name.startswith((LOCK, f".{JOB}")) for each in out.iterdir())
    ):
        raise OutputError(f"{out} exists already and is never overwritten: choose another name with --out.")
    if path.exists() and '"finished"' in path.read_text(encoding="utf-8", errors="replace"):
        raise OutputError(f"{out} is finished already and is never overwritten: choose another name with --out.")


def fingerprint_of(part_file: Path) -> str:
    """Return the fingerprint in the name of a part file."""
    match = PART_FILE.fullmatch(part_file.name)
    assert match is not None
    return match[2]


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if re.fullmatch("[0-9a-f]{64}", text) else text
