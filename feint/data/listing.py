"""A source of any size as a stream of parts: a folder, a manifest, Parquet files with images, or a URL of these."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from feint.core.errors import InputError
from feint.data.folders import Met, nothing_found, part_of, walk_images
from feint.data.manifests import PATH_COLUMNS, TABLE_SUFFIXES, inside, names_in, opened_table, require_pyarrow
from feint.data.parts import FilesPart, Part, RowsPart, open_table
from feint.data.remote import is_remote_file, is_url, local_folder, parent, redacted, walk_remote
from feint.data.sources import existing, refuse_archive

IMAGE_COLUMNS = ("image", "bytes")
PARQUET = ".parquet"
TABLES = frozenset({PARQUET})


def list_parts(source: str, *, column: str | None, size: int) -> Iterator[Part]:
    """Yield the images of `source` in parts of `size`, in an order that is always the same; nothing is decoded.

    Args:
        source: a folder of any depth; an MVTec category (its test images); a CSV, JSON or Parquet manifest; a Parquet
            file, or a folder of them, with image files in a column; or a URL that fsspec knows, of any of these.
        column: of the Parquet files, the one with the images: bytes, or a struct with a field `bytes`. None: `image`
            or `bytes`.
        size: images in a part. Parts of Parquet files are whole row groups, which may hold more.

    Raises: InputError where nothing usable is there, SettingError where a package for the URL is missing.
    Cost: the names of one folder, or the rows of one row group of a manifest, are in memory.
    """
    if is_url(source):
        if Path(source).suffix.lower() in TABLE_SUFFIXES and is_remote_file(source):
            return _table(*parent(source), column, size)
        return _remote_folder(source, column, size)
    path = existing(Path(source)).absolute()
    if path.is_dir():
        return _folder(path, column, size)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _table(str(path.parent), path.name, column, size)
    refuse_archive(path)
    raise InputError(
        f"{path} is a {path.suffix or 'nameless'} file: give a folder, a .csv, .json or .parquet file, or a URL."
    )


def _folder(root: Path, column: str | None, size: int) -> Iterator[Part]:
    met = Met()
    if column is None:
        part = part_of(root, "unlabelled")
        found = _files(str(root), (each.as_posix() for each in walk_images(root, part, met)), size)
        if (first := next(found, None)) is not None:
            yield first
            yield from found
            return
    tables = _tables(each.as_posix() for each in sorted(walk_images(root, Path(), Met(), suffixes=TABLES)))
    if not tables:
        raise InputError(nothing_found(root, met) if column is None else f"no Parquet files in {root}.")
    for each in tables:
        yield from _rows(str(root), each, column, size)


def _remote_folder(url: str, column: str | None, size: int) -> Iterator[Part]:
    met = Met()
    if column is None:
        found = _files(url, walk_remote(url, met), size)
        if (first := next(found, None)) is not None:
            yield first
            yield from found
            return
    tables = _tables(walk_remote(url, Met(), suffixes=TABLES))
    if not tables:
        raise InputError(
            nothing_found(redacted(url), met) if column is None else f"no Parquet files in {redacted(url)}."
        )
    for each in tables:
        yield from _rows(url, each, column, size)


def _tables(names: Iterable[str]) -> list[str]:
    """Return the names of tables without those that tools which write folders of them set aside for themselves."""
    return [each for each in names if not PurePosixPath(each).name.startswith("_")]


def _table(root: str, name: str, column: str | None, size: int) -> Iterator[Part]:
    """Yield the parts of a file that names images or holds them."""
    if Path(name).suffix.lower() == PARQUET and (column is not None or not _names_images(root, name)):
        yield from _rows(root, name, column, size)
        return
    yield from _files(root, _once(lambda: _names(root, name), name), size)


def _names(root: str, name: str) -> Iterator[str]:
    """Yield the names in a manifest, none of which leaves its folder."""
    if is_url(root):
        folder = local_folder(root)
        with open_table(root, name) as file:
            for each in names_in(file, name, role="unlabelled"):
                yield inside(each, folder / name) if folder else each
        return
    path = Path(root) / name
    with opened_table(path) as file:
        for each in names_in(file, str(path), role="unlabelled"):
            yield inside(each, path)


def _once(names: Callable[[], Iterator[str]], manifest: str) -> Iterator[str]:
    """Yield the names, then raise InputError if one came twice; holds 8 bytes for each."""
    hashes = array("q")
    for name in names():
        hashes.append(hash(name))
        yield name
    values, counts = np.unique(np.frombuffer(hashes, np.int64), return_counts=True)
    suspects = set(values[counts > 1].tolist())
    seen: set[str] = set()
    for name in names() if suspects else ():
        if name in seen:
            raise InputError(f"{manifest} names the image {name} twice: each image must be named once.")
        seen |= {name} if hash(name) in suspects else set()


def _files(root: str, names: Iterable[str], size: int) -> Iterator[Part]:
    remaining = iter(names)
    while files := tuple(itertools.islice(remaining, size)):
        yield FilesPart(root, files)


def _rows(root: str, name: str, column: str | None, size: int) -> Iterator[Part]:
    """Yield row groups, as many together as make up `size` rows."""
    metadata, schema, length = _described(root, name)
    found = column or next((each for each in IMAGE_COLUMNS if _holds_images(schema, each)), None)
    columns = ", ".join(schema.names)
    if found is None:
        raise InputError(
            f"{name} has no column of images ({' or '.join(IMAGE_COLUMNS)}) or of paths ({' or '.join(PATH_COLUMNS)}): "
            f"its columns are {columns}. Name one with --column."
        )
    if found not in schema.names:
        raise InputError(f"{name} has no column {found}: its columns are {columns}.")
    if not _holds_images(schema, found):
        raise InputError(
            f"the column {found} of {name} holds {schema.field(found).type}, not the bytes of image files."
        )
    first = begun = rows = 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= size or (group == metadata.num_row_groups - 1 and rows):
            yield RowsPart(root, name, length, found, (begun, group + 1), first, rows)
            first, begun, rows = first + rows, group + 1, 0


def _names_images(root: str, name: str) -> bool:
    """Tell whether a Parquet file is a manifest: it has a column of paths and none of images."""
    _, schema, _ = _described(root, name)
    images = any(_holds_images(schema, each) for each in IMAGE_COLUMNS)
    return not images and any(each in schema.names for each in PATH_COLUMNS)


def _described(root: str, name: str) -> tuple[Any, Any, int]:
    """Return a Parquet file's metadata, its schema and its length in bytes."""
    require_pyarrow(name)
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with open_table(root, name) as file, ParquetFile(file) as opened:
            return opened.metadata, opened.schema_arrow, file.seek(0, 2)
    except (ArrowException, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} cannot be read as a Parquet file: {error}.") from error


def _holds_images(schema: Any, column: str) -> bool:
    """Tell whether a column of this name is there and holds bytes, or structs with bytes."""
    if column not in schema.names:
        return False
    from pyarrow import types

    kind = schema.field(column).type
    if types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _is_bytes(kind.field(at).type)
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))
