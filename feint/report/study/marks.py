"""One shape for each category of augmentation and each group of images, so that nothing is told by colour alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from feint.records.study import GROUPS

CIRCLE = "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"
SQUARE = "M-4.5 -4.5h9v9h-9z"
TRIANGLE = "M0 -5.5L5.5 4.5H-5.5z"
DIAMOND = "M0 -6L6 0L0 6L-6 0z"
PLUS = "M-1.8 -5.5h3.6v3.7h3.7v3.6h-3.7v3.7h-3.6v-3.7h-3.7v-3.6h3.7z"
WEDGE = "M0 5.5L5.5 -4.5H-5.5z"
BAR = "M-6 -2h12v4h-12z"


@final
@dataclass(frozen=True)
class Mark:
    """What stands for a category or a group: `key` names its colour in the styles, `path` is drawn around (0, 0)."""

    key: str
    path: str
    title: str


_CATEGORIES = {
    "none": Mark("none", BAR, "none"),
    "geometric": Mark("geometric", CIRCLE, "geometric"),
    "elementwise": Mark("elementwise", SQUARE, "elementwise"),
    "color": Mark("color", TRIANGLE, "color"),
    "local": Mark("local", DIAMOND, "local"),
    "mixed": Mark("mixed", PLUS, "mixed"),
}
GROUP_MARKS = {
    name: Mark(key, path, name)
    for name, key, path in zip(
        GROUPS, ("train", "pseudo", "normal", "anomalous"), (SQUARE, DIAMOND, CIRCLE, TRIANGLE), strict=True
    )
}


def category(name: str) -> Mark:
    """Return the mark of a category; all that are not of the catalogue share one."""
    return _CATEGORIES.get(name) or Mark("other", WEDGE, name)


def legend(categories: Mapping[str, str], augmentations: Iterable[str]) -> list[Mark]:
    """Return the marks of the categories that these augmentations have, each once."""
    names = dict.fromkeys(categories.get(each, "uncategorised") for each in augmentations)
    return sorted((category(name) for name in names), key=lambda mark: (mark.key == "other", mark.title))
