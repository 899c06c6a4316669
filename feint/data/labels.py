"""The one door to labels: nothing else in Feint reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.data.folders import images_of_folder
from feint.data.manifests import LABEL_COLUMNS, PATH_COLUMNS, Row, column, read_table, tidied
from feint.data.sources import existing

LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "-1": -1, "-1.0": -1, "": -1}


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels by path, as written: 0 normal, 1 anomalous. `folder` is the source if that was a folder of such images."""

    by_path: dict[str, int]
    source: str
    folder: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The paths that have a label; for a folder the names `open_images(folder, role="unlabelled")` gives."""
        return tuple(self.by_path)


@dataclass(frozen=True, eq=False)
class Matched:
    """Labels (k,), 0 or 1, of the names that have one, which stand at `rows` (k,), ascending; `missing` have none."""

    labels: NDArray[np.int8]
    rows: NDArray[np.intp]
    missing: tuple[str, ...]


def read_labels(source: str | Path) -> Labels:
    """Return the labels of a CSV or Parquet table (`path,label`), or of a test folder in the MVTec layout.

    In a table, labels are 0 or 1; rows with -1 or no label are left out. In a folder, which may be the category
    or its `test`, images in `good` have label 0 and those in any other folder label 1; paths are relative to it.

    Raises: InputError for another label, a path with two labels, a folder without `good`, or no label at all.
    """
    path = existing(Path(source))
    return _labels_of_folder(path) if path.is_dir() else _labels_of_table(path)


def under_names(by_path: Mapping[str, int], names: Collection[str], *, source: str) -> dict[str, int]:
    r"""Return labels by the names of images; a path that is none of `names`, as it is written, is tidied.

    Raises: InputError when two ways to write one path have different labels.

    Example:
        >>> under_names({" a.png": 1, r".\b\c.png ": 0}, [" a.png", "b/c.png"], source="labels.csv")
        {' a.png': 1, 'b/c.png': 0}
    """
    known = frozenset(names)
    named: dict[str, int] = {}
    for path, label in by_path.items():
        name = path if path in known else tidied(path)
        if named.setdefault(name, label) != label:
            raise InputError(f"{source} gives {name} both labels 0 and 1: keep one row.")
    return named


def match(labels: Labels, names: Sequence[str]) -> Matched:
    """Return the label of each image in `names` that has one.

    A name takes the label of its own path, as written or tidied; else, of the labels with its file name, the one that
    shares the most trailing folders with it. Labels without an image are ignored.

    Raises: InputError when two labels fit a name equally well, one label fits two names, or no name has a label.

    Example:
        >>> labels = Labels({"a/1.png": 0, "b/1.png": 1}, "labels.csv")
        >>> match(labels, ["test/b/1.png", "2.png", "test/a/1.png"])
        Matched(labels=array([1, 0], dtype=int8), rows=array([0, 2]), missing=('2.png',))
    """
    by_path = under_names(labels.by_path, names, source=labels.source) if labels.folder is None else labels.by_path
    by_file: dict[str, list[str]] = defaultdict(list)
    for path in by_path:
        by_file[PurePosixPath(path).name].append(path)
    row_of: dict[str, int] = {}
    for row, name in enumerate(names):
        fitting = [name] if name in by_path else _closest(name, by_file[PurePosixPath(name).name])
        if len(fitting) > 1:
            raise InputError(
                f"{name} may be {' or '.join(fitting[:3])} in {labels.source}: give paths there as they are named here."
            )
        if fitting and fitting[0] in row_of:
            raise InputError(
                f"the label of {fitting[0]} in {labels.source} fits both {names[row_of[fitting[0]]]} and {name}: "
                "give a path for each."
            )
        row_of |= dict.fromkeys(fitting, row)
    if not row_of:
        raise InputError(
            f"none of the {len(names)} images has a label in {labels.source}: it names e.g. {labels.names[0]}, "
            f"the images are named e.g. {names[0] if names else '(there are none)'}. Check that they belong together."
        )
    rows = set(row_of.values())
    return Matched(
        labels=np.array([by_path[path] for path in row_of], np.int8),
        rows=np.array(list(row_of.values()), np.intp),
        missing=tuple(name for row, name in enumerate(names) if row not in rows),
    )


def _closest(name: str, paths: list[str]) -> list[str]:
    """Return those of `paths` that share the most trailing parts with `name`."""
    shared = [_shared_tail(name, path) for path in paths]
    return [path for path, count in zip(paths, shared, strict=True) if count == max(shared)]


def _shared_tail(a: str, b: str) -> int:
    pairs = zip(reversed(PurePosixPath(a).parts), reversed(PurePosixPath(b).parts), strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(Path(a).parts), len(Path(b).parts)))


def _labels_of_folder(root: Path) -> Labels:
    images = images_of_folder(root, role="unlabelled")
    depth = 1 if images.layout == "mvtec" else 0
    kinds = [PurePosixPath(name).parts[depth:-1] for name in images.names]
    tops = sorted({kind[0] for kind in kinds if kind})
    if "good" not in tops:
        raise InputError(
            f"{root} has no images in 'good' (its folders: {', '.join(tops[:4]) or 'none'}): "
            "give a test folder with good/ and a folder per defect, or a CSV file with path,label."
        )
    if loose := [name for name, kind in zip(images.names, kinds, strict=True) if not kind]:
        raise InputError(
            f"{root} has {len(loose)} images outside good/ and the defect folders, e.g. {loose[0]}: move them."
        )
    by_path = {name: int(kind[0] != "good") for name, kind in zip(images.names, kinds, strict=True)}
    return Labels(by_path=by_path, source=str(root), folder=root)


def _labels_of_table(path: Path) -> Labels:
    rows = read_table(path)
    path_column, label_column = column(rows, PATH_COLUMNS, path), column(rows, LABEL_COLUMNS[::-1], path)
    by_path: dict[str, int] = {}
    for row in rows:
        name, label = row[path_column], _label_of(row, label_column, path)
        if label >= 0 and by_path.setdefault(name, label) != label:
            raise InputError(f"{path} gives {name} both labels 0 and 1: keep one row.")
    if not by_path:
        raise InputError(f"{path} holds no label: give 0 (normal) or 1 (anomalous) in the column {label_column}.")
    return Labels(by_path=by_path, source=str(path))


def _label_of(row: Row, label_column: str, path: Path) -> int:
    if row[label_column] not in LABELS:
        raise InputError(f"{path}: a label must be 0 (normal) or 1 (anomalous): got {row[label_column]!r}.")
    return LABELS[row[label_column]]
