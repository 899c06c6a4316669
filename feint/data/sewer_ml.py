"""Sewer-ML: pictures of sewer pipes from its CSV files and zips, or from what was unpacked of them."""

from __future__ import annotations

import csv
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.data.folders import SUFFIXES, leads_out, refuse_unlisted
from feint.data.images import ImageSet
from feint.data.labels import LABELS
from feint.data.reading import UnreadableImageError
from feint.data.sources import existing
from feint.metrics.sewer import CODES

NAME, DEFECT = "Filename", "Defect"
TOLERATED = ("WaterLevel", "VA", "ND")
Part = Literal["train", "val", "test"]
TABLES = {"train": "SewerML_Train.csv", "val": "SewerML_Val.csv", "test": "SewerML_Test.csv"}
PREFIXES = {"train": "train", "val": "val", "test": "test"}
LARGEST_FILE = 256 << 20
LOCAL_HEADER = 30

Binary = NDArray[np.int8]


@final
@dataclass(frozen=True, eq=False)
class SewerPart:
    """The images of one part of Sewer-ML that were found, in the order of its CSV, with their labels.

    `defect` (n,) and `codes` (n, 17), in the order of `feint.metrics.sewer.CODES`, hold 0 and 1; both are None where
    the CSV has no labels, as that of the test part. `missing` are the names in the CSV of which no image was found;
    `notes` say so, and what else is worth telling, in sentences.
    """

    part: Part
    images: ImageSet
    defect: Binary | None
    codes: Binary | None
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The file names of the images (n), as in the CSV."""
        return self.images.names


@final
@dataclass(frozen=True, slots=True)
class ZippedImage:
    """One image file inside a zip: where it begins, its size there and unpacked, and its checksum."""

    archive: Path
    name: str
    start: int
    packed: int
    size: int
    checksum: int
    deflated: bool

    def open(self) -> BytesIO:
        """Return the unpacked file.

        Raises: UnreadableImageError when its bytes are not those that were packed.
        """
        with self.archive.open("rb") as file:
            file.seek(self.start)
            header = file.read(LOCAL_HEADER)
            file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
            data = file.read(self.packed)
        if self.deflated:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self.size or 1)
            except zlib.error as error:
                raise UnreadableImageError(f"damaged in {self.archive.name}: {error}") from error
        if len(data) != self.size or zlib.crc32(data) != self.checksum:
            raise UnreadableImageError(f"damaged in {self.archive.name}: its checksum does not fit")
        return BytesIO(data)


def read_sewer_ml(root: str | Path, *, part: Part) -> SewerPart:
    """Return one part of the Sewer-ML copy at `root`; no image is decoded, and zips need not be unpacked.

    Args:
        root: the folder with SewerML_Train.csv, SewerML_Val.csv or SewerML_Test.csv and the images: zips (train00.zip,
            valid00.zip, test00.zip, ...), folders of these names, or the images themselves. A few of them will do:
            what the CSV names beyond that is `missing`. Where an image lies both in a folder and in a zip, the folder
            counts.
        part: train, val or test. The published test labels are hidden: take val for testing.

    Raises: InputError for columns, values, names or zips that are not those of Sewer-ML, and when no image is found.
    Cost: 1,040,129 rows and as many zipped images take half a minute and 1.4 GB.
    References: Haurum, Moeslund (2021), arXiv 2103.10895. Licence of the data CC BY-NC-SA 4.0.
    """
    root = existing(Path(root))
    table = existing(root / TABLES[part])
    names, values = _read(table, labelled=part != "test")
    places = dict(_zipped(root, PREFIXES[part])) | dict(_unpacked(root, PREFIXES[part]))
    rows = np.array([row for row, name in enumerate(names) if name in places], np.intp)
    if not rows.size:
        raise InputError(
            f"none of the {len(names):,} images that {table} names is in {root}: put {part} zips or folders beside it."
        )
    found = tuple(names[row] for row in rows)
    images = ImageSet(names=found, source=str(root), layout="sewer-ml", items=tuple(places[name] for name in found))
    missing = tuple(name for name in names if name not in places)
    defect, codes = (None, None) if values is None else (values[rows, -1], values[rows, :-1])
    return SewerPart(
        part=part,
        images=images,
        defect=defect,
        codes=codes,
        missing=missing,
        notes=tuple(_notes(table, missing, len(places) - len(found), defect, codes)),
    )


def _read(table: Path, *, labelled: bool) -> tuple[list[str], Binary | None]:
    """Return the names (n) of a CSV and, where it has labels, the 17 codes and Defect (n, 18)."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [each.strip() for each in next(reader, [])]
            wanted = _columns(header, table, labelled=labelled)
            name = header.index(NAME)
            names: list[str] = []
            values = bytearray()
            for row in filter(None, reader):
                if len(row) != len(header):
                    raise InputError(f"{table}, line {reader.line_num}: {len(row)} cells under {len(header)} columns.")
                names.append(_checked_name(row[name].strip(), table, reader.line_num))
                values += bytes(_value(row[i], header[i], table, reader.line_num) for i in wanted)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a CSV file in UTF-8: {error}.") from error
    if not names:
        raise InputError(f"{table} has no rows below its header.")
    return names, np.frombuffer(values, np.int8).reshape(len(names), -1) if wanted else None


def _columns(header: Sequence[str], table: Path, *, labelled: bool) -> list[int]:
    """Return where the codes and Defect stand; none in a table without labels."""
    if not labelled and set(header) <= {NAME, *TOLERATED} and NAME in header:
        return []
    absent = [each for each in (NAME, *CODES, DEFECT) if each not in header]
    unknown = [each for each in header if each not in {NAME, *CODES, DEFECT, *TOLERATED}]
    twice = sorted({each for each in header if header.count(each) > 1})
    problems = [
        f"{what} {', '.join(columns)}"
        for what, columns in (("it lacks", absent), ("unknown are", unknown), ("given twice are", twice))
        if columns
    ]
    if problems:
        raise InputError(f"{table} has not the columns of Sewer-ML: {'; '.join(problems)}.")
    return [header.index(each) for each in (*CODES, DEFECT)]


def _checked_name(name: str, table: Path, line: int) -> str:
    if not name or name in {".", ".."} or "/" in name or "\\" in name:
        raise InputError(f"{table}, line {line}: a Filename must be a file's name without folders: got {name!r}.")
    return name


def _value(text: str, column: str, table: Path, line: int) -> int:
    value = LABELS.get(text.strip(), -1)
    if value < 0:
        raise InputError(f"{table}, line {line}: {column} must be 0 or 1: got {text!r}.")
    return value


def _unpacked(root: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the images directly in `root` or below its folders that begin with `prefix`."""
    for folder, folders, files in os.walk(root, onerror=refuse_unlisted):
        if Path(folder) == root:
            folders[:] = [each for each in folders if each.lower().startswith(prefix)]
        for name in files:
            path = Path(folder) / name
            if path.suffix.lower() in SUFFIXES and _is_inside(root, path):
                yield name, path


def _is_inside(root: Path, path: Path) -> bool:
    """Tell whether `path` is a file, or a link to one that does not leave `root`."""
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or (
        stat.S_ISLNK(mode) and path.is_file() and not leads_out(root, str(path.relative_to(root)))
    )


def _zipped(root: Path, prefix: str) -> Iterator[tuple[str, ZippedImage]]:
    """Yield name and place of the images in the zips in `root` that begin with `prefix`."""
    for archive in sorted(root.glob("*.zip")):
        if not archive.name.lower().startswith(prefix):
            continue
        try:
            with zipfile.ZipFile(archive) as opened:
                members = opened.infolist()
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"{archive} cannot be read as a zip: {error}. Download it again.") from error
        for member in members:
            _refuse_escape(archive, member.orig_filename)
            if PurePosixPath(member.filename).suffix.lower() in SUFFIXES:
                yield PurePosixPath(member.filename).name, _member(archive, member)


def _refuse_escape(archive: Path, name: str) -> None:
    path = PureWindowsPath(name)
    if ".." in path.parts or path.drive or path.root:
        raise InputError(f"{archive} names {name!r}, outside its own folder: do not trust this zip.")


def _member(archive: Path, member: zipfile.ZipInfo) -> ZippedImage:
    if member.flag_bits & 1:
        raise InputError(f"{archive} is encrypted: unpack it with its password into {archive.with_suffix('')} first.")
    if (
        member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        or max(member.file_size, member.compress_size) > LARGEST_FILE
    ):
        raise InputError(f"{archive} packs {member.filename} in a way that is not read here: unpack the zip first.")
    return ZippedImage(
        archive=archive,
        name=member.filename,
        start=member.header_offset,
        packed=member.compress_size,
        size=member.file_size,
        checksum=member.CRC,
        deflated=member.compress_type == zipfile.ZIP_DEFLATED,
    )


def _notes(
    table: Path, missing: Sequence[str], unnamed: int, defect: Binary | None, codes: Binary | None
) -> Iterator[str]:
    if missing:
        yield f"{len(missing):,} images that {table.name} names were not found, e.g. {missing[0]}."
    if unnamed:
        yield f"{unnamed:,} images are not named in {table.name}, and were left out."
    if defect is not None and codes is not None:
        differing = int((defect != codes.any(axis=1)).sum())
        if differing:
            yield f"{differing:,} images have a Defect without a code or a code without a Defect: both stand as given."
