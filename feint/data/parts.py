"""Parts of an image source: so many images each, described in a few bytes, opened wherever they are to be read."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, final

from feint.core.errors import InputError
from feint.data.folders import printable
from feint.data.reading import ImageFile, UnreadableImageError
from feint.data.remote import UnreachableImageError, below, fetch, in_a_line, is_url, open_remote

ROWS_AT_A_TIME = 32
BUFFER = 2**20

Opened = ImageFile | UnreadableImageError


@final
@dataclass(frozen=True)
class Packed:
    """An image file in memory."""

    content: bytes

    def open(self) -> BinaryIO:
        """Return the file."""
        return io.BytesIO(self.content)


@final
@dataclass(frozen=True)
class FilesPart:
    """Image files below one folder or URL, by their posix paths relative to it."""

    root: str
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def names(self) -> tuple[str, ...]:
        """What the images are called in tables."""
        return tuple(printable(each) for each in self.files)

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the names, in order."""
        return _digest(self.names)

    def open(self, start: int, stop: int) -> Iterator[Opened]:
        """Yield the images from `start` to `stop`, each a file or the reason why it is none."""
        if not is_url(self.root):
            yield from (Path(self.root) / each for each in self.files[start:stop])
            return
        for each in fetch(self.root, self.files[start:stop]):
            yield each if isinstance(each, UnreadableImageError) else _packed(each)


@final
@dataclass(frozen=True)
class RowsPart:
    """Whole row groups of a Parquet file that holds image files in a column; an image is called FILE#ROW."""

    root: str
    file: str
    size: int
    column: str
    groups: tuple[int, int]
    first: int
    rows: int

    def __len__(self) -> int:
        return self.rows

    @property
    def names(self) -> tuple[str, ...]:
        """What the images are called in tables."""
        return tuple(f"{printable(self.file)}#{self.first + i}" for i in range(self.rows))

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the file's name and size, and of which rows are meant."""
        return _digest((self.file, str(self.size), self.column, str(self.groups), str(self.first), str(self.rows)))

    def open(self, start: int, stop: int) -> Iterator[Opened]:
        """Yield the images from `start` to `stop`, each a file or the reason why it is none.

        Raises: InputError where the file is another one than was listed.
        """
        done = 0
        file = None
        try:
            with closing(_Table(self.root, self.file)) as file:
                as_listed = file.seek(0, 2) == self.size
                for each in self._values(file, start, stop) if as_listed else ():
                    yield each
                    done += 1
        except Exception as error:  # a damaged file, or a driver, may raise anything
            fetched = file is not None and not file.lost
            kind = UnreadableImageError if fetched or not is_url(self.root) else UnreachableImageError
            yield from [kind(f"its Parquet file cannot be read here: {in_a_line(error)}")] * (stop - start - done)
            return
        if done < stop - start:
            raise InputError(f"{self.file} was changed while the job ran: start again when nothing writes to it.")

    def _values(self, file: _Table, start: int, stop: int) -> Iterator[Opened]:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(file, buffer_size=BUFFER, pre_buffer=False) as opened:
            at = 0
            batches = opened.iter_batches(
                ROWS_AT_A_TIME, row_groups=range(*self.groups), columns=[self.column], use_threads=False
            )
            for batch in batches:
                if at >= stop:
                    return
                wanted = batch.column(0)[max(0, start - at) : stop - at]
                yield from (_packed(_bytes_of(each.as_py())) for each in wanted)
                at += len(batch)


Part = FilesPart | RowsPart


def part_to_json(part: Part) -> str:
    """Return a part as one line of JSON, without its root, in which there may be a password."""
    fields = asdict(part)
    del fields["root"]
    return json.dumps({"kind": type(part).__name__, **fields})


def part_from_json(line: str, *, root: str) -> Part:
    """Return the part that `part_to_json` wrote."""
    fields: dict[str, Any] = {"root": root, **json.loads(line)}
    if fields.pop("kind") == "FilesPart":
        return FilesPart(root=fields["root"], files=tuple(fields["files"]))
    return RowsPart(**fields | {"groups": tuple(fields["groups"])})


@final
class _Table:
    """A table that is open, and whether reading it has failed: then it is `lost`, otherwise what is wrong is in it."""

    def __init__(self, root: str, name: str) -> None:
        self._file = open_table(root, name)
        self.lost = False

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except Exception:
            self.lost = True
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def open_table(root: str, name: str) -> BinaryIO:
    """Open the file `name` in a folder or at a URL."""
    return open_remote(below(root, name)) if is_url(root) else (Path(root) / name).open("rb")


def _bytes_of(value: Any) -> bytes:
    """Return the bytes of a cell: its own, or those of a struct like {bytes, path}."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value or b""


def _packed(content: bytes) -> Packed | UnreadableImageError:
    return Packed(content) if content else UnreadableImageError("empty file (0 bytes)")


def _digest(words: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
