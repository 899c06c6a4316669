"""What a refit changed, for people: numbers side by side, and the images whose verdict is another one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from feint.app.review.subject import Subject
from feint.core.errors import IntegrityError
from feint.records.refit import RefitRecord
from feint.runs.refit_marks import Known
from feint.runs.run import Run

MOST_SHOWN = 120


@dataclass(frozen=True)
class Change:
    """An image whose verdict is another one: its row in the review, and its p-values by the old and the new run."""

    row: int
    name: str
    old_p: float
    new_p: float
    used: str


@final
@dataclass(frozen=True)
class Comparison:
    """Old and new run side by side; `now_flagged` and `no_longer` hold the first 120 each, with their counts.

    `flagged`, by the old and the new run, is of the `images` that the new one has not learned from.
    """

    record: RefitRecord
    new: Run
    now_flagged: list[Change]
    no_longer: list[Change]
    counts: tuple[int, int]
    flagged: tuple[int, int]
    images: int


def compare(subject: Subject, out: Path) -> Comparison:
    """Return what the run in `out` changed against the run that is reviewed.

    Raises: InputError where it is no run, IntegrityError where one of its files is damaged.
    """
    new = Run(out)
    record = new.refitted
    if record is None:
        raise IntegrityError(f"{out} has no refit.json: it is no refit. Refit again.")
    both = subject.run.scores.merge(new.scores, on="path", suffixes=("", "_new"))
    changed = both[both.flagged != both.flagged_new].sort_values("p_value_new")
    known = Known.of(new)
    others = both[~both.path.isin(known.alike(known.learned))]
    row_of = {name: row for row, name in enumerate(subject.names)}
    roles = record.roles
    used = dict.fromkeys(roles.fitted, "learned from")
    used |= dict.fromkeys([*roles.judged_anomalous, *roles.judged_normal], "judged on")
    turned: dict[int, list[Change]] = {0: [], 1: []}
    for name, old_p, new_p, flag in zip(
        changed.path, changed.p_value, changed.p_value_new, changed.flagged_new, strict=True
    ):
        if name in row_of:
            turned[int(flag)].append(Change(row_of[name], name, float(old_p), float(new_p), used.get(name, "")))
    return Comparison(
        record=record, new=new, now_flagged=turned[1][:MOST_SHOWN], no_longer=turned[0][:MOST_SHOWN],
        counts=(len(turned[1]), len(turned[0])), flagged=(int(others.flagged.sum()), int(others.flagged_new.sum())),
        images=len(others),
    )  # fmt: skip
