"""Manifests: a table, CSV, JSON or Parquet, that names images and says which split each belongs to."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import json
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO, Literal

from feint.core.errors import InputError
from feint.data.folders import leads_out
from feint.data.images import ImageSet

TABLE_SUFFIXES = (".csv", ".parquet", ".json", ".jsonl")
PATH_COLUMNS = ("image_path", "path")
LABEL_COLUMNS = ("label_index", "label")
SPLITS = {"normal": ("train",), "unlabelled": ("test", "unlabelled", "unlabeled")}
ROWS_AT_A_TIME = 4096

Row = dict[str, str]
Role = Literal["normal", "unlabelled"]


def images_of_manifest(path: Path, *, role: Role) -> ImageSet:
    """Return the images of a manifest (`image_path, label_index, split, mask_path`) that play `role`.

    normal: split train, unless label_index is 1. unlabelled: split test or unlabelled, whatever the label.
    Without a split column every row counts. Paths are relative to the manifest and must stay in its folder.

    Raises: InputError for a missing column, a path that leaves the folder, and a manifest without such rows.
    """
    with opened_table(path) as file:
        names = tuple(inside(name, path) for name in names_in(file, str(path), role=role))
    return ImageSet(names=names, source=str(path), layout="manifest", items=tuple(path.parent / name for name in names))


def opened_table(path: Path) -> BinaryIO:
    """Open a table on this machine; raises InputError where that cannot be."""
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def names_in(file: BinaryIO, manifest: str, *, role: Role) -> Iterator[str]:
    """Yield the paths that a manifest names for `role`, row by row, as posix paths relative to its folder.

    Raises: InputError as `images_of_manifest` does; links that leave the folder are not looked for.
    """
    rows = iter_rows(file, manifest)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{manifest} has no rows below its header.")
    key = column([first], PATH_COLUMNS, manifest)
    label = next((each for each in LABEL_COLUMNS if each in first), None)
    splits: set[str] = set()
    empty = True
    for row in itertools.chain([first], rows):
        if "split" in row and row["split"].lower() not in SPLITS[role]:
            splits.add(row["split"] or "(empty)")
        elif not (role == "normal" and label and row.get(label) in {"1", "1.0"}):
            empty = False
            yield _relative(row.get(key, ""), manifest)
        else:
            splits.add(row.get("split") or "(empty)")
    if empty:
        raise InputError(
            f"{manifest} has no {role} images: its splits are {', '.join(sorted(splits))}; "
            f"{role} images have split {' or '.join(SPLITS[role])}" + (" and label 0." if role == "normal" else ".")
        )


def read_table(path: Path) -> list[Row]:
    """Return the rows of a CSV (comma or semicolon, UTF-8), JSON or Parquet file as text; a missing value is ''.

    Paths stand as they are written, spaces around them too; other values have none around them.

    Raises: InputError for a file that is no such table or has no rows.
    """
    with opened_table(path) as file:
        rows = list(iter_rows(file, str(path)))
    if not rows:
        raise InputError(f"{path} has no rows below its header.")
    return rows


def iter_rows(file: BinaryIO, name: str) -> Iterator[Row]:
    """Yield the rows of an open table, whose name tells its format, as `read_table` does but a few at a time.

    JSON is a list of objects (.json; read whole) or one object a line (.jsonl).
    """
    readers = {".parquet": _parquet_rows, ".json": _json_rows, ".jsonl": _json_lines}
    return readers.get(Path(name).suffix.lower(), _csv_rows)(file, name)


def column(rows: Sequence[Row], names: tuple[str, ...], path: Path | str) -> str:
    """Return which of `names` is a column of the table; raises InputError if none is."""
    for name in names:
        if name in rows[0]:
            return name
    raise InputError(f"{path} has no column {' or '.join(names)}: its columns are {', '.join(rows[0])}.")


def tidied(path: str) -> str:
    """Return a path as people and Windows write it as a posix path: without spaces around it, with slashes."""
    return PurePosixPath(path.strip().replace("\\", "/")).as_posix()


def _csv_rows(file: BinaryIO, name: str) -> Iterator[Row]:
    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            header = text.readline()
            delimiter = ";" if ";" in header and "," not in header else ","
            spaced = f"{delimiter} " in header
            lines = itertools.chain([header], text)
            for row in csv.DictReader(lines, delimiter=delimiter, restval="", skipinitialspace=spaced):
                yield _row((str(key).strip(), value) for key, value in row.items() if isinstance(value, str))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{name} cannot be read as a CSV file in UTF-8: {error}.") from error


def _json_rows(file: BinaryIO, name: str) -> Iterator[Row]:
    try:
        found = json.load(file)
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{name} cannot be read as JSON: {error}.") from error
    if not isinstance(found, list):
        raise InputError(f"{name} must hold a list of objects, one per image: got {type(found).__name__}.")
    yield from (_as_text(each, name) for each in found)


def _json_lines(file: BinaryIO, name: str) -> Iterator[Row]:
    try:
        yield from (_as_text(json.loads(line), name) for line in file if line.strip())
    except InputError:
        raise
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{name} cannot be read as JSON, one object a line: {error}.") from error


def _parquet_rows(file: BinaryIO, name: str) -> Iterator[Row]:
    require_pyarrow(name)
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=ROWS_AT_A_TIME):
                yield from (_as_text(row, name) for row in batch.to_pylist())
    except (ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as a Parquet file: {error}.") from error


def require_pyarrow(name: Path | str) -> None:
    """Raise InputError that says how to install pyarrow, unless it is there; `name` is what needs it."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(f"{name} needs pyarrow, which is not installed: pip install 'feint[parquet]'.")


def _as_text(row: Any, name: str) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{name} must hold objects, one per image: got {str(row)[:40]!r}.")
    return _row((str(key), "" if value is None else str(value)) for key, value in row.items())


def _row(cells: Iterable[tuple[str, str]]) -> Row:
    return {key: value if key in PATH_COLUMNS else value.strip() for key, value in cells}


def _relative(text: str, manifest: str) -> str:
    """Return a manifest's path as a posix path that, links aside, stays within the manifest's folder."""
    given = PureWindowsPath(text.strip())
    normal = posixpath.normpath(given.as_posix())
    if not text.strip() or given.is_absolute() or given.drive or normal.startswith(("../", "/")) or normal == "..":
        raise InputError(f"{manifest} names {text!r}: paths must be relative to the manifest and stay in its folder.")
    return normal


def inside(name: str, manifest: Path) -> str:
    """Return `name` if it stays within the manifest's folder, links included."""
    if leads_out(manifest.parent, name):
        raise InputError(f"{manifest} names {name!r}: paths must be relative to the manifest and stay in its folder.")
    return name
