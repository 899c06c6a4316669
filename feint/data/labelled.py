"""Labelled images for studies of labels: what a folder, a class set or a table says of each image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError, SettingError
from feint.data.class_sets import open_class_set, read_class_set
from feint.data.folders import images_of_folder, leads_out
from feint.data.images import ImageSet
from feint.data.labels import read_labels, under_names
from feint.data.manifests import PATH_COLUMNS, TABLE_SUFFIXES, column, read_table, tidied
from feint.data.sewer_ml import TABLES, read_sewer_ml
from feint.data.sources import existing
from feint.data.testbed_collections import is_class_set

GOOD = "good"
GROUP = "group"


@final
@dataclass(frozen=True, eq=False)
class LabelledImages:
    """n images, nothing decoded yet, with labels (n,), 0 normal and 1 anomalous.

    `groups` (n) names what images belong together, "" for one on its own; None where the source has no groups.
    `notes` are sentences on what was left out.
    """

    images: ImageSet
    labels: NDArray[np.int8]
    groups: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


def labelled_images(source: str | Path, *, root: str | Path | None = None, normal: str | None = None) -> LabelledImages:
    """Return the labelled images of `source`, of all its splits together, in a fixed order.

    Args:
        source: a folder in the MVTec layout (train/good, test/good, test/<defect>), or with a folder per class, also in
            train/ and test/; a class set (see `read_class_set`); a copy of Sewer-ML, whose train part is taken; or a
            CSV or Parquet table `path,label` with, if you like, a column `group`: rows with label -1 or none are left
            out.
        root: the folder that the paths of a table start from; its own by default.
        normal: the class that is normal, all others being anomalous; "good" by default. For folders and class sets.

    Raises: InputError for a source without labels, a label other than 0 and 1, a normal class that is not there, and a
    path that leaves `root`; SettingError for `root` or `normal` where it means nothing.
    """
    path = existing(Path(source))
    table = path.is_file() and path.suffix.lower() in TABLE_SUFFIXES
    sewer = (path / TABLES["train"]).is_file()
    if root is not None and not table:
        raise SettingError(f"root is for tables of paths and labels: leave it out, {path} is none.")
    if normal is not None and (table or sewer):
        raise SettingError(f"normal is for folders of classes: leave it out, {path} has labels of its own.")
    if table:
        return _of_table(path, path.parent if root is None else existing(Path(root)))
    if sewer:
        return _of_sewer_ml(path)
    if path.is_file() or is_class_set(path):
        return _of_class_set(path, normal)
    return _of_folders(path, GOOD if normal is None else normal)


def _of_table(path: Path, root: Path) -> LabelledImages:
    by_path = under_names(read_labels(path).by_path, (), source=str(path))
    rows = read_table(path)
    for name in by_path:
        if not name or leads_out(root, name):
            raise InputError(f"{path} names {name!r}: paths must be relative to {root} and stay in it.")
    groups = None
    if GROUP in rows[0]:
        key = column(rows, PATH_COLUMNS, path)
        group_of = {tidied(row[key]): row[GROUP] for row in rows}
        groups = tuple(group_of[name] for name in by_path)
    unlabelled = len(rows) - len(by_path)
    return LabelledImages(
        images=ImageSet(tuple(by_path), str(path), "manifest", tuple(root / name for name in by_path)),
        labels=np.array(list(by_path.values()), np.int8),
        groups=groups,
        notes=(f"{unlabelled:,} rows of {path.name} have no label or are repeated, and were left out.",)
        * bool(unlabelled),
    )


def _of_sewer_ml(path: Path) -> LabelledImages:
    part = read_sewer_ml(path, part="train")
    if part.defect is None:
        raise InputError(f"{path / TABLES['train']} has no labels.")
    return LabelledImages(images=part.images, labels=part.defect, groups=None, notes=part.notes)


def _of_class_set(path: Path, normal: str | None) -> LabelledImages:
    names = open_class_set(path).names
    found = read_class_set(path)
    classes = np.concatenate([found.y_train, found.y_test])
    called = {str(label): int(label) for label in np.unique(classes)}
    called |= {name: label for label, name in enumerate(names) if str(label) in called}
    if normal not in called:
        raise InputError(_which(path, normal, tuple(called)))
    return LabelledImages(
        images=ImageSet(
            names=tuple(
                f"{part}/{i}" for part, x in (("train", found.x_train), ("test", found.x_test)) for i in range(len(x))
            ),
            source=str(path),
            layout="array",
            items=(*found.x_train, *found.x_test),
        ),
        labels=(classes != called[normal]).astype(np.int8),
        groups=None,
    )


def _of_folders(root: Path, normal: str) -> LabelledImages:
    split = (root / "train").is_dir() and (root / "test").is_dir()
    parts = [root / "train", root / "test"] if split else [root]
    sets = [images_of_folder(part, role="unlabelled") for part in parts]
    kinds = [PurePosixPath(name).parts[:-1] for images in sets for name in images.names]
    items = tuple(item for images in sets for item in images.items)
    if loose := [item for item, kind in zip(items, kinds, strict=True) if not kind]:
        raise InputError(f"{root} has {len(loose)} images in no folder of a class, e.g. {loose[0]}: move them.")
    classes = tuple(sorted({kind[0] for kind in kinds}))
    if normal not in classes:
        raise InputError(_which(root, normal, classes))
    prefixes = ["train/", "test/"] if split else [""]
    return LabelledImages(
        images=ImageSet(
            names=tuple(
                f"{prefix}{name}" for prefix, images in zip(prefixes, sets, strict=True) for name in images.names
            ),
            source=str(root),
            layout="folder",
            items=items,
        ),
        labels=np.array([kind[0] != normal for kind in kinds], np.int8),
        groups=None,
    )


def _which(path: Path, normal: str | None, classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:20]) + ", ..." * (len(classes) > 20)
    return f"{path} has no class {normal!r}: say which of its classes is normal: {shown}."
