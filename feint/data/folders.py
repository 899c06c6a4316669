"""Folders of images: which files count, and what an MVTec category looks like."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

from feint.core.errors import InputError
from feint.data.images import ImageSet

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
IGNORED_FOLDERS = frozenset({"__macosx", "ground_truth", "lost+found", "system volume information"})


@dataclass
class Met:
    """What a walk through a folder has met so far beside images: files by suffix, and links that it did not follow."""

    others: Counter[str] = field(default_factory=Counter)
    links: int = 0


def images_of_folder(root: Path, *, role: Literal["normal", "unlabelled"]) -> ImageSet:
    """Return the images below `root` that play `role`; names are posix paths relative to `root`.

    Raises: InputError for a folder without images, one that holds several MVTec categories, a normal
    folder in which 'good' stands beside other folders, and a folder in it that cannot be listed.
    """
    part = part_of(root, role)
    met = Met()
    files = sorted(walk_images(root, part, met), key=Path.as_posix)
    if not files:
        raise InputError(nothing_found(root / part, met))
    is_category = part != Path()
    if role == "normal" and not is_category:
        _refuse_mixed(root, files)
    return ImageSet(
        names=tuple(printable(file.as_posix()) for file in files),
        source=str(root),
        layout="mvtec" if is_category else "folder",
        items=tuple(root / file for file in files),
    )


def part_of(root: Path, role: Literal["normal", "unlabelled"]) -> Path:
    """Return where below `root` the images of `role` lie: the part of an MVTec category, or everything.

    Raises: InputError for a category without that part, and for a folder that holds several categories.
    """
    if not (root / "train" / "good").is_dir():
        _refuse_several_categories(root)
        return Path()
    part = {"normal": Path("train/good"), "unlabelled": Path("test")}[role]
    if not (root / part).is_dir():
        raise InputError(f"{root} has train/good but no {part}: give the folder of {role} images itself.")
    return part


def walk_images(root: Path, part: Path, met: Met, *, suffixes: frozenset[str] = SUFFIXES) -> Iterator[Path]:
    """Yield the images below `root / part` relative to `root`, folder by folder; one folder's names are in memory.

    Names that begin with a dot, folders that are links, and links that leave `root` are passed over.

    Raises: InputError where a folder or a file cannot be looked at, so that none is left out without a word.
    """
    inside = root.resolve()
    for folder, folders, names in os.walk(root / part, onerror=refuse_unlisted):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and not ignored(each))
        met.links += sum((Path(folder) / each).is_symlink() for each in folders)
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(".") or not _is_file(path):
                continue
            if path.suffix.lower() not in suffixes:
                met.others[path.suffix.lower() or "(no suffix)"] += 1
            elif path.is_symlink() and not path.resolve().is_relative_to(inside):
                met.links += 1
            else:
                yield path.relative_to(root)


def ignored(folder: str) -> bool:
    """Tell whether a folder of this name holds no images to be judged."""
    return folder.lower() in IGNORED_FOLDERS


def leads_out(root: Path, name: str) -> bool:
    """Tell whether `name`, relative to `root`, is no place inside it: links are followed, and lead to an end."""
    try:
        return not (root / name).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # too long a name, links in a circle, a NUL or half of a pair
        return True


def printable(name: str) -> str:
    """Return a file name that can be written as UTF-8: bytes that are no UTF-8 show as hexadecimal escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def nothing_found(folder: Path | str, met: Met) -> str:
    """Return the sentence that there are no images in `folder`, and what there is."""
    found = [f"{count} {suffix}" for suffix, count in met.others.most_common(4)]
    advice = "Give another folder, or convert the images to png."
    if met.links:
        found.append(f"{met.links} {'link' if met.links == 1 else 'links'} to folders or to files elsewhere")
        advice = "Such links are not followed: give the folder in which the images lie, or copy them into this one."
    return (
        f"no images in {folder}: looked at any depth for {', '.join(sorted(SUFFIXES))}; "
        f"found {', '.join(found) or 'no files at all'}. {advice}"
    )


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return False
        refuse_unlisted(error)


def refuse_unlisted(error: OSError) -> NoReturn:
    """Raise InputError for a place that cannot be looked at; for `os.walk`, which passes over it otherwise."""
    raise InputError(
        f"{error.filename} cannot be read: {error.strerror}. Make it readable, or move it away: "
        "what is in it would be left out."
    ) from error


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
