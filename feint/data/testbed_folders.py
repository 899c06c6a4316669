"""Testbeds from folders of pictures: one folder per class, or a category in the MVTec layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.data.decoding import decode
from feint.data.folders import IGNORED_FOLDERS, images_of_folder
from feint.data.images import ImageSet
from feint.data.preprocessing import plan_preprocessing
from feint.data.survey import survey
from feint.data.testbed_collections import Collection, Kinds, Read, Rows, Split
from feint.records.run import PreprocessingRecord

TEST_SHARE = 0.2


def collection_of_category(root: Path, *, size: int) -> Collection:
    """Return the category in the MVTec layout at `root`: its name is the normal kind, its defects are the others."""
    train, test = images_of_folder(root, role="normal"), images_of_folder(root, role="unlabelled")
    parents = [PurePosixPath(name).parts[1:-1] for name in test.names]
    found = {parent[0] for parent in parents if parent}
    problems = []
    if loose := [name for name, parent in zip(test.names, parents, strict=True) if not parent]:
        problems.append(f"{len(loose)} test images lie in no folder of a kind, e.g. {loose[0]}: move them")
    if "good" not in found:
        problems.append("there are no images in test/good: add normal test images")
    if found <= {"good"}:
        problems.append("there are no images in test/<defect>: add a folder per defect type")
    if problems:
        raise InputError(f"{root}: {'; '.join(problems)}.")
    defects = tuple(sorted(found - {"good"}))
    order = {kind: i for i, kind in enumerate(("good", *defects))}
    kinds = np.array([order[parent[0]] for parent in parents], np.int64)
    truth = [_mask_file(root, name) if kind else None for name, kind in zip(test.names, kinds, strict=True)]
    name = root.resolve().name
    return Collection(
        kinds=(name, *defects),
        normals=(name,),
        train=np.zeros(len(train), np.int64),
        test=kinds,
        read=_folder_reader({"train": train, "test": test}, size),
        masks=(lambda rows: _masks(truth, kinds, rows, size)) if any(truth) else None,
        files=_files(train, test) | {file.relative_to(root).as_posix(): file for file in truth if file},
        defects=True,
        aliases={},
    )


def _mask_file(root: Path, name: str) -> Path | None:
    path = PurePosixPath(name)
    folder = root / "ground_truth" / Path(*path.parts[1:-1])
    found = (folder / f"{path.stem}{ending}" for ending in (".png", "_mask.png"))
    return next((file for file in found if file.is_file()), None)


def _masks(
    truth: Sequence[Path | None], kinds: Kinds, rows: Rows, size: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    masks = np.zeros((len(rows), size, size), np.bool_)
    for i, row in enumerate(rows):
        if (file := truth[row]) is not None:
            try:
                with Image.open(file, formats=("PNG",)) as image:
                    grey = image.convert("L").resize((size, size), Image.Resampling.NEAREST)
            except Exception as error:  # a decoder may raise anything on a damaged file
                raise InputError(f"{file} cannot be read as a mask: {error}.") from error
            masks[i] = np.asarray(grey) > 0
    return masks, np.array([not kinds[row] or truth[row] is not None for row in rows])


def collection_of_folders(root: Path, *, name: str, size: int, seed: int) -> Collection:
    """Return the classes in `root/train/<class>` and `root/test/<class>`; or `root/<class>`, a fifth for testing."""
    if not root.is_dir():
        raise InputError(f"{root} is no folder of classes: give a folder with one folder per class.")
    splits = [split for split in ("train", "test") if (root / split).is_dir()]
    found = _classes(root, splits if len(splits) == 2 else [""])
    kinds = tuple(sorted({kind for classes in found.values() for kind in classes}))
    images = {split: _merged(root, split, classes) for split, classes in found.items()}
    labels = {split: _kinds_of(classes, kinds) for split, classes in found.items()}
    if "" in found:
        every, whole = labels[""], images[""]
        testing = _drawn_for_test(every, kinds, name=name, seed=seed)
        rows = {"train": np.flatnonzero(~testing), "test": np.flatnonzero(testing)}
        images = {split: whole.select(chosen) for split, chosen in rows.items()}
        labels = {split: every[chosen] for split, chosen in rows.items()}
    return Collection(
        kinds=kinds,
        normals=tuple(kind for k, kind in enumerate(kinds) if all((each == k).any() for each in labels.values())),
        train=labels["train"],
        test=labels["test"],
        read=_folder_reader({"train": images["train"], "test": images["test"]}, size),
        masks=None,
        files=_files(images["train"], images["test"]),
        defects=False,
        aliases={},
    )


def _classes(root: Path, splits: Sequence[str]) -> dict[str, dict[str, ImageSet]]:
    """Return the images of each class of each split; raises InputError with all that is wrong."""
    found: dict[str, dict[str, ImageSet]] = {}
    problems = []
    for split in splits:
        found[split] = {}
        for folder in sorted(_subfolders(root / split), key=lambda path: path.name):
            try:
                found[split][folder.name] = images_of_folder(folder, role="unlabelled")
            except InputError as error:
                problems.append(str(error))
    kinds = {kind for classes in found.values() for kind in classes}
    if len(kinds) < 2 and not problems:
        problems.append(
            f"{root} holds {len(kinds)} classes: give a folder with one folder of images per class, at least two, "
            "or an MVTec category (train/good, test/good, test/<defect>)."
        )
    if problems:
        raise InputError(" ".join(problems))
    return found


def _subfolders(path: Path) -> list[Path]:
    folders = (each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    return [each for each in folders if each.name.lower() not in IGNORED_FOLDERS]


def _merged(root: Path, split: str, classes: Mapping[str, ImageSet]) -> ImageSet:
    return ImageSet(
        names=tuple(
            (PurePosixPath(split) / kind / name).as_posix() for kind, images in classes.items() for name in images.names
        ),
        source=str(root),
        layout="folder",
        items=tuple(item for images in classes.values() for item in images.items),
    )


def _kinds_of(classes: Mapping[str, ImageSet], kinds: Sequence[str]) -> Kinds:
    return np.repeat([kinds.index(kind) for kind in classes], [len(images) for images in classes.values()]).astype(
        np.int64
    )


def _drawn_for_test(labels: Kinds, kinds: Sequence[str], *, name: str, seed: int) -> NDArray[np.bool_]:
    """Return which pictures a fifth of each class, at least one of two or more, is for testing."""
    testing = np.zeros(len(labels), np.bool_)
    for k, kind in enumerate(kinds):
        rows = np.flatnonzero(labels == k)
        count = max(1, round(TEST_SHARE * len(rows)))
        testing[numpy_stream(seed, "split", name, kind).choice(rows, count, replace=False)] = True
    return testing


def _folder_reader(sets: Mapping[Split, ImageSet], size: int) -> Callable[[Split, Rows], Read]:
    """Return the reader; depth and colour are planned from the training pictures alone."""

    @cache
    def plan() -> PreprocessingRecord:
        planned = plan_preprocessing(survey(sets["train"], workers=_cores()), image_size=size)
        return planned.model_copy(update={"height": size, "width": size})

    def read(split: Split, rows: Rows) -> Read:
        decoded = decode(sets[split].select(rows), [plan()], workers=_cores())
        skipped = tuple(f"{each.path}: {each.reason}" for each in decoded.skipped)
        return Read(decoded.pixels[0], decoded.names, decoded.kept, skipped)

    return read


def _files(*sets: ImageSet) -> dict[str, Path]:
    return {
        name: item for each in sets for name, item in zip(each.names, each.items, strict=True) if isinstance(item, Path)
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
