"""Testbeds: what one training sees, what its detector is tested on, and the tasks these pictures make."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from feint.data.sources import existing
from feint.data.testbed_collections import Collection, collection_of_classes, is_class_set
from feint.data.testbed_folders import collection_of_category, collection_of_folders
from feint.data.testbed_sets import NormalSet, Pictures, Task, normals_of, sets_of, tasks_of
from feint.data.testbed_settings import TestbedSettings, raise_problems, unknown_name

__all__ = [
    "NormalSet", "Pictures", "Task", "TestbedSettings", "fingerprint", "normal_names", "normal_sets", "task_names",
]  # fmt: skip

CLASS_TESTBEDS = ("one-vs-one", "one-vs-rest", "controlled")
DEFECT_TESTBEDS = ("defect-types", "controlled")
CLASS_SIDE = 32
FOLDER_SIDE = 64


def normal_sets(path: Path, *, name: str, settings: TestbedSettings, seed: int) -> list[NormalSet]:
    """Return one normal set per normal class or category, in the order of their names.

    Controlled anomalies are made of the normal test pictures alone: flipped upside down, one box of 0 (area U(.02, .33)
    of the picture, aspect log-U(.3, 3.3)), inverted; the box is drawn once.

    Args:
        path: a class set (see `read_class_set`), a folder of `<class>/*.png` (a seeded fifth is for testing) or
            `train/<class>`, `test/<class>`, an MVTec category, a folder of these; or a folder that holds `<name>.npz`,
            or a class set or categories in `<name>/`.
        name: of the data set; it also names the random streams.
        settings: tasks, classes, numbers.
        seed: of all draws.

    Raises: InputError for data that are absent, empty or damaged; SettingError for names and testbeds that the data do
        not have, all in one message.
    Cost: pictures in use are read once and held: 180 MB for all of CIFAR-10. The test pictures are shared by all sets.
    References: Yoo, Zhao, Akoglu (2023), Data Augmentation is a Hyperparameter, arXiv 2208.07734.
    """
    collections = _collections(path, name=name, settings=settings, seed=seed)
    return [each for part in collections for each in sets_of(part, name=name, settings=settings, seed=seed)]


def normal_names(path: Path, *, name: str, settings: TestbedSettings) -> list[str]:
    """Return the names of the normal sets that `normal_sets` would return, without decoding a picture."""
    return list(task_names(path, name=name, settings=settings))


def task_names(path: Path, *, name: str, settings: TestbedSettings) -> dict[str, list[tuple[str, str]]]:
    """Return testbed and anomaly of each task by normal name, without decoding a picture."""
    return {
        normal: [(task.testbed, task.anomaly) for task in tasks_of(part, normal, settings)]
        for part in _collections(path, name=name, settings=settings, seed=0)
        for normal in normals_of(part, settings)
    }


def fingerprint(path: Path, *, name: str) -> str:
    """Return the sha256 over names and bytes of all files of the data set, used or not."""
    digest = hashlib.sha256()
    for part in _open(path, name=name, size=None, seed=0):
        for file in sorted(part.files):
            digest.update(
                f"{part.kinds[0]}\0{file}\0{part.files[file].stat().st_size}\0".encode(errors="surrogateescape")
            )
            with part.files[file].open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _open(path: Path, *, name: str, size: int | None, seed: int) -> list[Collection]:
    path = _located(existing(path), name)
    if path.is_file() or is_class_set(path):
        return [collection_of_classes(path, size=size or CLASS_SIDE)]
    if (path / "train" / "good").is_dir():
        return [collection_of_category(path, size=size or FOLDER_SIDE)]
    if categories := sorted(each.parent.parent for each in path.glob("*/train/good")):
        return [collection_of_category(each, size=size or FOLDER_SIDE) for each in categories]
    return [collection_of_folders(path, name=name, size=size or FOLDER_SIDE, seed=seed)]


def _located(path: Path, name: str) -> Path:
    inner = path / name
    if (path / f"{name}.npz").is_file():
        return path / f"{name}.npz"
    if inner.is_dir() and (is_class_set(inner) or next(inner.glob("*/train/good"), None)):
        return inner
    return path


def _collections(path: Path, *, name: str, settings: TestbedSettings, seed: int) -> list[Collection]:
    """Open the data, and compare what the settings ask for with what is there."""
    collections = _open(path, name=name, size=settings.size, seed=seed)
    defects = collections[0].defects
    normals = {alias for part in collections for alias in (*part.normals, *part.aliases)}
    problems = [unknown_name("normal", each, normals) for each in settings.normal if each not in normals]
    possible = DEFECT_TESTBEDS if defects else CLASS_TESTBEDS
    problems += [
        f"{each} makes no sense for {path}, which holds {'categories with defects' if defects else 'classes'}: "
        f"take {' or '.join(possible)}"
        for each in settings.tasks
        if each not in possible
    ]
    if not defects:
        tested = {collections[0].kinds[k] for k in np.unique(collections[0].test)} | set(collections[0].aliases)
        problems += [unknown_name("anomaly", each, tested) for each in settings.anomalies if each not in tested]
    if not problems:
        for part in collections:
            for normal in normals_of(part, settings):
                problems += [f"nothing is to be told from {normal}: {path} has no other class that anomalies names"] * (
                    not tasks_of(part, normal, settings)
                )
    raise_problems(problems)
    return collections
