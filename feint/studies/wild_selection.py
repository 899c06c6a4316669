"""Choosing among checkpoints without labels: what a choice by each criterion costs, and by none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np

from feint.metrics.arrays import FloatArray
from feint.records.wild import Agreement, Confirmation, Criterion, Estimate, Reference, WildVerdict
from feint.stats.selection_regret import (
    best_elsewhere_regret,
    confirmed_regret,
    mean_rank,
    random_regret,
    top_one_regret,
)
from feint.studies.wild_criteria import POOL, agreement, criteria_of
from feint.studies.wild_table import PROBE, over_units

if TYPE_CHECKING:
    import pandas as pd

COMBINED = (
    ("rankme_centred", "lidar"),
    ("rankme_centred", "alpha_req"),
    ("alignment", "uniformity"),
    ("rankme_centred", "lidar", "alpha_req", "uniformity"),
)
USEFUL = 0.5
FIXED = "simclr"


@final
@dataclass(frozen=True, kw_only=True)
class Selection:
    """What the study says of choosing without labels; `excess` is each criterion's regret minus half of random's."""

    criteria: Sequence[Criterion] = ()
    references: Sequence[Reference] = ()
    confirmation: Confirmation | None = None
    excess: Mapping[str, Estimate] = field(default_factory=dict)
    tasks: int = 0
    left_out: Sequence[str] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Choices:
    """The choices to be made: among all arms, on one unit, level and seed each.

    `auroc` (A, T); `criteria` by name (A, T), higher = claimed to be better, NaN where an arm has none; `members` are
    the criteria that a combination takes the mean rank of; `sets` and `units` (T,).
    """

    arms: list[str]
    auroc: FloatArray
    criteria: dict[str, FloatArray]
    members: dict[str, Sequence[str]]
    sets: list[str]
    units: list[str]

    def mean(self, values: FloatArray) -> Estimate:
        """Return the mean of one value per choice, with its interval over units."""
        import pandas as pd

        return over_units(pd.Series(values, index=self.units))


def select(trained: pd.DataFrame) -> Selection:
    """Return agreement and regret of every label-free metric in the table of trained checkpoints.

    Choices are among all arms of one unit, level and seed; those that some arm has not finished are left out.
    """
    table, names = criteria_of(trained)
    agreements = {name: agreement(table, name) for name in names}
    counts = {name: int(np.isfinite(table[name]).sum()) for name in names}
    choices, left = _choices(table, names)
    if choices is None:
        criteria = [
            Criterion(name=name, members=(name,), checkpoints=counts[name], agreement=agreements[name], regret=None)
            for name in names
        ]
        return Selection(criteria=criteria, left_out=left)
    regrets = {name: top_one_regret(choices.auroc, m) for name, m in choices.criteria.items()}
    able = {name: regret for name, regret in regrets.items() if np.isfinite(regret).all()}
    half = USEFUL * random_regret(choices.auroc)
    mute = [f"{name}: no regret, as on some choice no checkpoint has it" for name in regrets if name not in able]
    return Selection(
        criteria=_ordered(choices, able, agreements, counts),
        references=_references(choices),
        confirmation=_confirmation(choices, able, half),
        excess={name: choices.mean(regret - half) for name, regret in able.items()},
        tasks=len(choices.units),
        left_out=[*left, *mute],
    )


def _choices(table: pd.DataFrame, names: Sequence[str]) -> tuple[Choices | None, list[str]]:
    """Return the choices, and in words which were left out; None with fewer than two arms or no complete choice."""
    key = ["data", *POOL]
    wide = table.pivot_table(index="arm", columns=key, values=PROBE)
    complete = wide.dropna(axis=1)
    gone = len(wide.columns) - len(complete.columns)
    left = [f"{gone} of {len(wide.columns)} choices: some arm has no result there"] if gone else []
    if len(complete) < 2 or complete.empty:
        return None, left
    criteria = {
        name: table.pivot_table(index="arm", columns=key, values=name)
        .reindex(index=complete.index, columns=complete.columns)
        .to_numpy(dtype=np.float64)
        for name in names
    }
    members: dict[str, Sequence[str]] = {name: (name,) for name in criteria}
    for several in COMBINED:
        if set(several) <= set(criteria):
            name = f"mean rank of {', '.join(several[:-1])} and {several[-1]}"
            members[name] = several
            criteria[name] = mean_rank([criteria[each] for each in several])
    at = complete.columns.to_frame(index=False)
    found = Choices(
        arms=[str(each) for each in complete.index],
        auroc=complete.to_numpy(dtype=np.float64),
        criteria=criteria,
        members=members,
        sets=[str(each) for each in at["data"]],
        units=[str(each) for each in at["unit"]],
    )
    return found, left


def _ordered(
    choices: Choices,
    able: Mapping[str, FloatArray],
    agreements: Mapping[str, Mapping[str, Agreement]],
    counts: Mapping[str, int],
) -> list[Criterion]:
    """Return the criteria, those of least regret first, then those that could not choose."""
    found = [
        Criterion(
            name=name,
            members=members,
            checkpoints=counts.get(name, 0),
            agreement=agreements.get(name, {}),
            regret=choices.mean(able[name]) if name in able else None,
        )
        for name, members in choices.members.items()
    ]
    return sorted(found, key=lambda each: (each.regret is None, each.regret.value if each.regret else 0.0, each.name))


def _references(choices: Choices) -> list[Reference]:
    """Return the regrets of ways to choose that look at no criterion."""
    found = [Reference(name="random pick", regret=choices.mean(random_regret(choices.auroc)))]
    fixed = [i for i, arm in enumerate(choices.arms) if arm.split("/")[0] == FIXED]
    if fixed:
        regret = choices.auroc.max(axis=0) - choices.auroc[fixed].mean(axis=0)
        found.append(Reference(name="always SimCLR", regret=choices.mean(regret)))
    if len(set(choices.sets)) > 1:
        regret = best_elsewhere_regret(choices.auroc, choices.sets)
        found.append(Reference(name="always the best arm of the other sets", regret=choices.mean(regret)))
    return found


ANSWERS: dict[WildVerdict, str] = {
    "holds here": "A criterion chosen on other sets costs at most half of what a random pick costs",
    "does not hold here": "No criterion chosen on other sets brings the cost down to half of that of a random pick",
    "this size cannot decide": "Whether a criterion chosen on other sets halves the cost of a random pick stays open",
}


def _confirmation(choices: Choices, able: Mapping[str, FloatArray], half: FloatArray) -> Confirmation | None:
    """Return what choosing the criterion on the other sets costs; None with one set or no criterion."""
    if not able or len(set(choices.sets)) < 2:
        return None
    found = confirmed_regret(choices.auroc, {name: choices.criteria[name] for name in able}, choices.sets)
    regret, excess = choices.mean(found.regret), choices.mean(found.regret - half)
    random = choices.mean(half).value / USEFUL
    verdict: WildVerdict = "this size cannot decide"
    if excess.trusted and excess.high <= 0:
        verdict = "holds here"
    if excess.trusted and excess.low > 0:
        verdict = "does not hold here"
    share = f" ({regret.value / random:.0%} of it)" if random > 0 else ""
    return Confirmation(
        chosen={str(name): criterion for name, criterion in found.chosen.items()},
        regret=regret,
        excess=excess,
        verdict=verdict,
        sentence=f"{ANSWERS[verdict]}: {regret.value:.3f} AUROC is lost, against {random:.3f} by a random pick{share}, "
        f"on the mean over {excess.repetitions} units.",
    )
