"""What a person has marked: read, checked, and divided into marks to learn from and marks to judge by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.data.labels import read_labels
from feint.records.refit import Roles

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

    Copies never part. Of fewer than six different images of a kind none is kept. What a run has learned from before, or
    has among its normal images, judges nothing.

    Raises: InputError for paths that the run does not know, other labels, copies that are marked differently, and
    fewer than three different anomalous images.
    """
    check(marks, known)
    first = {name: min(group) for group in known.copies for name in group}
    by_group: dict[str, list[str]] = {}
    for name in sorted(marks):
        by_group.setdefault(first.get(name, name), []).append(name)
    _refuse_contradictions(by_group, marks)
    groups = [sorted(each) for each in by_group.values()]
    left_out = [name for name in sorted(marks) if marks[name] == 0 and name in known.shared]
    parts = {}
    for label in KINDS:
        own = [each for each in groups if marks[each[0]] == label and each[0] not in left_out]
        parts[label] = _halved(own, known.shared | known.learned, seed=seed, label=label)
    return Roles(
        fitted_anomalous=parts[1][0],
        fitted_normal=parts[0][0],
        judged_anomalous=parts[1][1],
        judged_normal=parts[0][1],
        left_out=left_out,
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
    first = {name: min(group) for group in known.copies for name in group}
    anomalous = {first.get(name, name) for name, label in marks.items() if label == 1}
    if not anomalous:
        raise InputError(
            f"none of the {len(marks)} marked images is marked anomalous: mark at least {FEWEST} with 1, there is "
            "nothing to learn from normal ones alone."
        )
    if len(anomalous) < FEWEST:
        raise InputError(
            f"{len(anomalous)} different images are marked anomalous: at least {FEWEST} are needed. Mark more of them."
        )


def _refuse_contradictions(by_group: Mapping[str, list[str]], marks: Mapping[str, int]) -> None:
    for names in by_group.values():
        if len({marks[name] for name in names}) > 1:
            one, other = (next(name for name in names if marks[name] == label) for label in KINDS)
            raise InputError(
                f"{one} is marked normal and {other} anomalous, yet they are the same pixel for pixel: mark them alike."
            )


def _halved(groups: list[list[str]], never: frozenset[str], *, seed: int, label: int) -> tuple[list[str], list[str]]:
    """Return the paths to learn from and those to judge by, of groups of copies of one kind."""
    free = [each for each in groups if not never & set(each)]
    kept = len(free) // JUDGED if len(groups) >= FEWEST_TO_JUDGE else 0
    order = numpy_stream(seed, "marks", KINDS[label]).permutation(len(free))
    judged = sorted(name for i in np.sort(order[:kept]) for name in free[i])
    return sorted({name for each in groups for name in each} - set(judged)), judged
