"""Folders of images: which files count, and what an MVTec category looks like."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from feint.core.errors import InputError
from feint.data.images import ImageSet

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
IGNORED_FOLDERS = frozenset({"__macosx", "ground_truth"})


@dataclass(frozen=True)
class _Listing:
    """Image files below a folder, relative and in order of their names, and what else was met."""

    files: list[Path]
    others: Counter[str]
    links: int


def images_of_folder(root: Path, *, role: Literal["normal", "unlabelled"]) -> ImageSet:
    """Return the images below `root` that play `role`; names are posix paths relative to `root`.

    Raises: InputError for a folder without images, one that holds several MVTec categories, and a normal
    folder in which 'good' stands beside other folders.
    """
    is_category = (root / "train" / "good").is_dir()
    if not is_category:
        _refuse_several_categories(root)
    part = {"normal": Path("train/good"), "unlabelled": Path("test")}[role] if is_category else Path()
    if not (root / part).is_dir():
        raise InputError(f"{root} has train/good but no {part}: give the folder of {role} images itself.")
    listing = _list_images(root, part)
    if not listing.files:
        raise InputError(_nothing_found(root / part, listing))
    if role == "normal" and not is_category:
        _refuse_mixed(root, listing.files)
    return ImageSet(
        names=tuple(printable(file.as_posix()) for file in listing.files),
        source=str(root),
        layout="mvtec" if is_category else "folder",
        items=tuple(root / file for file in listing.files),
    )


def printable(name: str) -> str:
    """Return a file name that can be written as UTF-8: bytes that are no UTF-8 show as hexadecimal escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _list_images(root: Path, part: Path) -> _Listing:
    files: list[Path] = []
    others: Counter[str] = Counter()
    links = 0
    inside = root.resolve()
    for folder, folders, names in os.walk(root / part):
        folders[:] = [each for each in folders if not each.startswith(".") and each.lower() not in IGNORED_FOLDERS]
        links += sum((Path(folder) / each).is_symlink() for each in folders)
        for name in names:
            path = Path(folder) / name
            if name.startswith(".") or not path.is_file():
                continue
            if path.suffix.lower() not in SUFFIXES:
                others[path.suffix.lower() or "(no suffix)"] += 1
            elif path.is_symlink() and not path.resolve().is_relative_to(inside):
                links += 1
            else:
                files.append(path.relative_to(root))
    return _Listing(sorted(files, key=Path.as_posix), others, links)


def _nothing_found(folder: Path, listing: _Listing) -> str:
    found = [f"{count} {suffix}" for suffix, count in listing.others.most_common(4)]
    found += [f"{listing.links} links that are not followed, because they are folders or leave it"] * bool(
        listing.links
    )
    return (
        f"no images in {folder}: looked at any depth for {', '.join(sorted(SUFFIXES))}; "
        f"found {', '.join(found) or 'no files at all'}. Give another folder, or convert the images to png."
    )


def _refuse_several_categories(root: Path) -> None:
    categories = sorted(each.parent.parent.name for each in root.glob("*/train/good"))
    if categories:
        raise InputError(
            f"{root} holds {len(categories)} MVTec categories ({', '.join(categories[:4])}"
            f"{', ...' if len(categories) > 4 else ''}): give one of them, e.g. {root / categories[0]}."
        )


def _refuse_mixed(root: Path, files: list[Path]) -> None:
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    if "good" in tops and len(tops) > 1:
        rest = ", ".join(sorted(tops - {"good"})[:4])
        raise InputError(
            f"{root} holds 'good' beside other folders ({rest}): as normal images give {root / 'good'} alone."
        )
