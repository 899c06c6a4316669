"""What a person has marked: read, checked, and divided into marks to learn from and marks to judge by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, final

import numpy as np

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.data.labels import read_labels, under_names
from feint.records.refit import Roles
from feint.runs.run import Run

FEWEST = 3
FEWEST_TO_JUDGE = 6
JUDGED = 3
KINDS = {0: "normal", 1: "anomalous"}


@final
@dataclass(frozen=True)
class Known:
    """What a run knows of its unlabelled images.

    Args:
        names: of all. copies: groups of names with the same pixels. shared: those that also stand among the normal
            images. learned: those whose marks the run has learned from before.
    """

    names: Sequence[str]
    copies: Sequence[Sequence[str]]
    shared: frozenset[str]
    learned: frozenset[str]

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return what `run` knows."""
        data, earlier = run.record.data, run.refitted
        learned = frozenset() if earlier is None else frozenset(earlier.roles.fitted)
        return cls(list(run.scores.path), data.unlabelled.duplicates, frozenset(data.shared), learned)

    @cached_property
    def _first(self) -> dict[str, str]:
        return {name: min(group) for group in self.copies for name in group}

    def first(self, name: str) -> str:
        """Return the name that stands for an image and all its copies."""
        return self._first.get(name, name)

    def different(self, names: Iterable[str]) -> list[str]:
        """Return one of `names` for each different image among them, sorted."""
        return sorted({self.first(name): name for name in sorted(names, reverse=True)}.values())

    def alike(self, names: Iterable[str]) -> frozenset[str]:
        """Return `names` with all their copies."""
        firsts = {self.first(name) for name in names}
        return frozenset(name for name in self.names if self.first(name) in firsts)


def read_marks(path: str | Path) -> dict[str, int]:
    """Return the marks of a CSV or Parquet table `path,label`: 0 normal, 1 anomalous; rows without one are left out.

    Raises: InputError for another label, a path with two labels, no label at all, or a folder.
    """
    labels = read_labels(path)
    if labels.folder is not None:
        raise InputError(f"{path} is a folder: give a CSV file with path,label, the paths as in the run's scores.csv.")
    return labels.by_path


def divide(marks: Mapping[str, int], known: Known, *, seed: int) -> Roles:
    """Return which marked images are learned from and which are kept for judging: of each kind a third, by the seed.

    Copies never part, and one of them judges. Of fewer than six different images of a kind none is kept. What a run has
    learned from before, or has among its normal images, judges nothing.

    Raises: InputError for paths that the run does not know, other labels, copies that are marked differently, and
    fewer than three different anomalous images.
    """
    marks = under_names(marks, known.names, source="the table of marks")
    check(marks, known)
    by_group: dict[str, list[str]] = {}
    for name in sorted(marks):
        by_group.setdefault(known.first(name), []).append(name)
    _refuse_contradictions(by_group, marks)
    never = known.alike(known.shared | known.learned)
    left_out = [name for name in sorted(marks) if marks[name] == 0 and name in known.shared]
    parts = {}
    for label in KINDS:
        own = [each for each in by_group.values() if marks[each[0]] == label and each[0] not in left_out]
        parts[label] = _halved(own, never, seed=seed, label=label)
    return Roles(
        fitted_anomalous=parts[1].fitted,
        fitted_normal=parts[0].fitted,
        judged_anomalous=parts[1].judged,
        judged_normal=parts[0].judged,
        left_out=sorted([*left_out, *parts[1].copies, *parts[0].copies]),
    )


def check(marks: Mapping[str, int], known: Known) -> None:
    """Raise InputError unless the marks are of known images, 0 or 1, with enough anomalous ones among them."""
    if unknown := sorted(set(marks) - set(known.names)):
        raise InputError(
            f"{len(unknown)} of {len(marks)} marked paths are not in the run's scores.csv, e.g. {unknown[0]}: "
            f"give paths as they are named there, e.g. {known.names[0]}."
        )
    if strange := [(name, label) for name, label in sorted(marks.items()) if label not in KINDS]:
        name, label = strange[0]
        raise InputError(f"a mark must be 0 (normal) or 1 (anomalous): got {label!r} for {name}.")
    anomalous = known.different(name for name, label in marks.items() if label == 1)
    if not anomalous:
        raise InputError(
            f"none of the {len(marks)} marked images is marked anomalous: mark at least {FEWEST} with 1, there is "
            "nothing to learn from normal ones alone."
        )
    if len(anomalous) < FEWEST:
        different = "1 different image is" if len(anomalous) == 1 else f"{len(anomalous)} different images are"
        raise InputError(f"{different} marked anomalous: at least {FEWEST} are needed. Mark more of them.")


def _refuse_contradictions(by_group: Mapping[str, list[str]], marks: Mapping[str, int]) -> None:
    for names in by_group.values():
        if len({marks[name] for name in names}) > 1:
            one, other = (next(name for name in names if marks[name] == label) for label in KINDS)
            raise InputError(
                f"{one} is marked normal and {other} anomalous, yet they are the same pixel for pixel: mark them alike."
            )


@dataclass(frozen=True)
class _Parts:
    """The paths of one kind: to learn from, to judge by, and copies of the latter."""

    fitted: list[str]
    judged: list[str]
    copies: list[str]


def _halved(groups: list[list[str]], never: frozenset[str], *, seed: int, label: int) -> _Parts:
    """Divide groups of copies of one kind; none of those with a path in `never` judges."""
    free = [each for each in groups if each[0] not in never]
    kept = len(free) // JUDGED if len(groups) >= FEWEST_TO_JUDGE else 0
    order = numpy_stream(seed, "marks", KINDS[label]).permutation(len(free))
    judged = [free[i] for i in np.sort(order[:kept])]
    names = {name for each in judged for name in each}
    return _Parts(
        fitted=sorted(name for each in groups for name in each if name not in names),
        judged=sorted(each[0] for each in judged),
        copies=[name for each in judged for name in each[1:]],
    )
