"""The folder of a bulk job: its part files, written whole or not at all, and what the job is."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, final

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
MARK = b"feint.job"


@final
class Job(BaseModel):
    """What a bulk job is: with any of it changed, it is another one. Nothing of it is secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    feint: str
    model: str
    source: str
    query: str | None = None
    column: str | None
    part_size: int

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that tell it from others."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


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
        except (Timeout, FileNotFoundError):  # the latter where a job that failed is just removing the folder
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
        nothing_done = kind is not None and self.fresh and not self._finished()
        (self.out / LISTING).unlink(missing_ok=True)
        if nothing_done:
            (self.out / JOB).unlink(missing_ok=True)
            shutil.rmtree(self.out / UNFLAGGED, ignore_errors=True)
        with suppress(OSError):
            (self.out / LOCK).unlink()
            if nothing_done:
                self.out.rmdir()
        self._lock.release()

    def begin(self, job: Job) -> None:
        """Write down what the job is, or compare it with what is written there or, where that was cut short, in parts.

        Raises: OutputError where it is another; IntegrityError where what is written was changed.
        """
        self._job = job
        path = self.out / JOB
        if (record := _record(path)) is None:
            self._refuse_parts_of_another(job)
            write_text(path, json.dumps(job.model_dump()), durable=True)
            return
        try:
            known = Job.model_validate(record)
        except ValidationError as error:
            raise IntegrityError(f"{path} was changed: delete {self.out}, or choose another --out.") from error
        for name, value in job.model_dump().items():
            if (old := getattr(known, name)) != value:
                raise OutputError(
                    f"{self.out} holds an unfinished job with another {name.replace('_', ' ')} ({_short(old)}, now "
                    f"{_short(value)}): delete it, or choose another --out."
                )

    def list(self, parts: Iterator[Part]) -> tuple[int, int]:
        """Keep the parts of the source, which have one root, in a file; return how many parts and images there are.

        Raises: InputError where the parts that are finished held other images.
        """
        finished = self._finished()
        count = images = 0
        with atomic(self.out / LISTING) as temporary, temporary.open("w", encoding="utf-8") as file:
            for count, part in enumerate(parts, start=1):
                done = finished.pop(count - 1, None)
                if done is not None and fingerprint_of(done) != part.fingerprint:
                    raise InputError(self._changed(done, part.names))
                file.write(part_to_json(part) + "\n")
                self._root = part.root
                images += len(part)
        if finished:
            raise InputError(self._changed(finished[min(finished)], ()))
        return count, images

    def listed(self) -> Iterator[tuple[int, Part]]:
        """Yield the parts kept by `list`, numbered from 0."""
        with (self.out / LISTING).open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                yield number, part_from_json(line, root=self._root)

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
        with atomic(path, durable=True) as temporary, temporary.open("wb") as file:
            write_table(table.replace_schema_metadata({MARK: self._job.digest}), file)

    def unflag(self) -> None:
        """Let all part files wait for their flags again."""
        (self.out / UNFLAGGED).mkdir(exist_ok=True)
        for path in self.parts().values():
            path.rename(self.out / UNFLAGGED / path.name)

    def finish(self, summary: dict[str, object]) -> None:
        """Note that the job is done, and remove what only an unfinished one needs."""
        shutil.rmtree(self.out / UNFLAGGED, ignore_errors=True)
        write_text(self.out / JOB, json.dumps({**self._job.model_dump(), "finished": summary}), durable=True)

    def _finished(self) -> dict[int, Path]:
        """Return the part files there are, with flags or without, by number."""
        return self.parts(flagged=False) | self.parts()

    def _refuse_parts_of_another(self, job: Job) -> None:
        from pyarrow.parquet import read_schema

        for each in self._finished().values():
            if (read_schema(each).metadata or {}).get(MARK) != job.digest.encode():
                raise IntegrityError(
                    f"{self.out / JOB} was cut short, and {each.name} was written with another model, source, column "
                    "or version of Feint: repeat the command that wrote it, or choose another --out."
                )

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
    if "finished" in (_record(path) or {}):
        raise OutputError(f"{out} is finished already and is never overwritten: choose another name with --out.")


def fingerprint_of(part_file: Path) -> str:
    """Return the fingerprint in the name of a part file."""
    match = PART_FILE.fullmatch(part_file.name)
    assert match is not None
    return match[2]


def _record(path: Path) -> dict[str, Any] | None:
    """Return what is written of a job; None where nothing is, or not all of it."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if re.fullmatch("[0-9a-f]{64}", text) else text
