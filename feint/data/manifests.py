"""Manifests: a table, CSV or Parquet, that names images and says which split each belongs to."""

from __future__ import annotations

import csv
import importlib.util
import posixpath
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Literal

from feint.core.errors import InputError
from feint.data.images import ImageSet

TABLE_SUFFIXES = (".csv", ".parquet")
PATH_COLUMNS = ("image_path", "path")
LABEL_COLUMNS = ("label_index", "label")
SPLITS = {"normal": ("train",), "unlabelled": ("test", "unlabelled", "unlabeled")}

Row = dict[str, str]


def images_of_manifest(path: Path, *, role: Literal["normal", "unlabelled"]) -> ImageSet:
    """Return the images of a manifest (`image_path, label_index, split, mask_path`) that play `role`.

    normal: split train, unless label_index is 1. unlabelled: split test or unlabelled, whatever the label.
    Without a split column every row counts. Paths are relative to the manifest and must stay in its folder.

    Raises: InputError for a missing column, a path that leaves the folder, and a manifest without such rows.
    """
    rows = read_table(path)
    key = column(rows, PATH_COLUMNS, path)
    label = next((each for each in LABEL_COLUMNS if each in rows[0]), None)
    chosen = [
        row
        for row in rows
        if ("split" not in row or row["split"].lower() in SPLITS[role])
        and not (role == "normal" and label and row[label] in {"1", "1.0"})
    ]
    if not chosen:
        splits = sorted({row.get("split", "") or "(empty)" for row in rows})
        raise InputError(
            f"{path} has no {role} images: its splits are {', '.join(splits)}; "
            f"{role} images have split {' or '.join(SPLITS[role])}" + (" and label 0." if role == "normal" else ".")
        )
    names = tuple(_name_inside(row[key], path) for row in chosen)
    return ImageSet(names=names, source=str(path), layout="manifest", items=tuple(path.parent / name for name in names))


def read_table(path: Path) -> list[Row]:
    """Return the rows of a CSV (comma or semicolon, UTF-8) or Parquet file as text; a missing value is ''.

    Raises: InputError for a file that is no such table or has no rows.
    """
    rows = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    if not rows:
        raise InputError(f"{path} has no rows below its header.")
    return rows


def column(rows: Sequence[Row], names: tuple[str, ...], path: Path) -> str:
    """Return which of `names` is a column of the table; raises InputError if none is."""
    for name in names:
        if name in rows[0]:
            return name
    raise InputError(f"{path} has no column {names[0]}: its columns are {', '.join(rows[0])}.")


def _read_csv(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = ";" if ";" in header and "," not in header else ","
            reader = csv.DictReader(file, delimiter=delimiter, restval="", skipinitialspace=True)
            return [
                {str(key).strip(): value.strip() for key, value in row.items() if isinstance(value, str)}
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{path} cannot be read as a CSV file in UTF-8: {error}.") from error


def _read_parquet(path: Path) -> list[Row]:
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(f"{path} needs pyarrow, which is not installed: pip install 'feint[parquet]'.")
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            rows = file.read().to_pylist()
    except (ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as a Parquet file: {error}.") from error
    return [{key: "" if value is None else str(value).strip() for key, value in row.items()} for row in rows]


def _name_inside(text: str, manifest: Path) -> str:
    """Return a manifest's path as a posix path within the manifest's folder."""
    given = PureWindowsPath(text)
    target = manifest.parent / given.as_posix()
    inside = manifest.parent.resolve()
    if not text or given.is_absolute() or given.drive or not target.resolve().is_relative_to(inside):
        raise InputError(f"{manifest} names {text!r}: paths must be relative to the manifest and stay in its folder.")
    return posixpath.normpath(given.as_posix())
