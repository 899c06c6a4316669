"""Which tasks are made of a data set, checked as far as the settings alone tell."""

from __future__ import annotations

import difflib
from collections.abc import Collection as Items
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from feint.core.errors import SettingError

TESTBEDS = ("one-vs-one", "one-vs-rest", "controlled", "defect-types")


@final
@dataclass(frozen=True, kw_only=True)
class TestbedSettings:
    """Which tasks are made of a data set, and of how many pictures.

    Args:
        tasks: the testbeds, of `one-vs-one`, `one-vs-rest`, `controlled` and `defect-types`.
        normal: classes or categories that play normal, one after the other; empty: all.
        anomalies: classes that count as anomalies in one-vs-one; empty: all others.
        size: side of the pictures in pixels; None: 32 for class sets, 64 for folders.
        train_limit: at most so many normal training pictures, a seeded subset.
        test_limit: at most so many test pictures per kind, a seeded subset.
        contamination: share of anomalous pictures hidden in train, in [0, .5]: training pictures of other classes, or
            defects, which then leave the test.
        anomaly_share: share of anomalies in the pool of each task, in (0, 1); None: as they come.

    Raises: SettingError with all that is impossible.
    """

    __test__ = False  # not a test, whatever pytest makes of the name

    tasks: tuple[str, ...]
    normal: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()
    size: int | None = None
    train_limit: int | None = None
    test_limit: int | None = None
    contamination: float = 0.0
    anomaly_share: float | None = None

    def __post_init__(self) -> None:
        problems = [f"tasks must name at least one of {', '.join(TESTBEDS)}"] if not self.tasks else []
        problems += [unknown_name("task", each, TESTBEDS) for each in self.tasks if each not in TESTBEDS]
        for name, least in (("size", 8), ("train_limit", 1), ("test_limit", 1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                problems.append(f"{name} must be at least {least}: got {value}")
        if not 0 <= self.contamination <= 0.5:
            problems.append(f"contamination must be in [0, 0.5]: got {self.contamination}")
        if self.anomaly_share is not None and not 0 < self.anomaly_share < 1:
            problems.append(f"anomaly_share must be in (0, 1): got {self.anomaly_share}")
        if self.anomalies and "one-vs-one" not in self.tasks:
            problems.append("anomalies is for one-vs-one alone: leave it out, or add one-vs-one to tasks")
        if self.contamination and set(self.tasks) == {"controlled"}:
            problems.append("contamination needs real anomalies, which the controlled testbed alone has none of")
        raise_problems(problems)


def unknown_name(what: str, got: str, known: Items[str]) -> str:
    """Return the sentence that says so of `got`, with a suggestion if one of the `known` is close."""
    close = difflib.get_close_matches(got, known, n=1)
    return f"{what} {got!r} is unknown: {f'did you mean {close[0]!r}?' if close else f'there are {_some(known)}'}"


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:20]) + ", ..." * (len(ordered) > 20)


def raise_problems(problems: list[str]) -> None:
    """Raise a SettingError with all `problems`, if there are any."""
    if problems:
        raise SettingError(f"{'; '.join(problems)}.")
