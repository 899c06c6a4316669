"""One colour and shape for each method, so that nothing is told by colour alone."""

from __future__ import annotations

from collections.abc import Iterable

from feint.records.wild import Arm
from feint.report.study.marks import BAR, CIRCLE, DIAMOND, PLUS, SQUARE, TRIANGLE, WEDGE, Mark

CROSS = "M-4.5 -5.5L0 -1.5L4.5 -5.5L5.5 -4.5L1.5 0L5.5 4.5L4.5 5.5L0 1.5L-4.5 5.5L-5.5 4.5L-1.5 0L-5.5 -4.5z"
TITLES = {
    "simclr": "SimCLR",
    "byol": "BYOL",
    "barlow_twins": "Barlow Twins",
    "dino": "DINO",
    "mae": "MAE",
    "vicreg": "VICReg",
    "untrained": "untrained encoder",
    "supervised": "supervised",
    "supervised-weighted": "supervised, classes weighted",
}
_MARKS = {
    "simclr": Mark("m1", CIRCLE, TITLES["simclr"]),
    "byol": Mark("m2", SQUARE, TITLES["byol"]),
    "barlow_twins": Mark("m3", TRIANGLE, TITLES["barlow_twins"]),
    "dino": Mark("m4", DIAMOND, TITLES["dino"]),
    "mae": Mark("m5", PLUS, TITLES["mae"]),
    "vicreg": Mark("m6", WEDGE, TITLES["vicreg"]),
    "untrained": Mark("untrained", BAR, TITLES["untrained"]),
    "supervised": Mark("supervised", CROSS, TITLES["supervised"]),
    "supervised-weighted": Mark("weighted", CROSS, TITLES["supervised-weighted"]),
}


def method(name: str) -> Mark:
    """Return the mark of a method or reference; all that are not of the catalogue share one."""
    return _MARKS.get(name) or Mark("other", WEDGE, name)


def legend(methods: Iterable[str]) -> list[Mark]:
    """Return the marks of these methods, each once."""
    return [method(name) for name in dict.fromkeys(methods)]


def spoken(arm: Arm) -> str:
    """Return an arm as a sentence names it: `SimCLR on resnet8`."""
    views = arm.name.removeprefix(f"{arm.method}/{arm.encoder}")
    return f"{TITLES.get(arm.method, arm.method)} on {arm.encoder}{views}"
