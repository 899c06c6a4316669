"""From the rows of a study of representations learned under imbalance to what its page shows.

The unit of inference is a data set with its normal class. Gains are paired: the same unit, level and seed, with and
without training. On one data set their interval is Student's over seeds; over units it is Student's over the units'
means. Correlations and variance shares have bootstrap intervals, units drawn with all of their checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from feint.records.wild import Arm, Beaten, Estimate, Gain, Point, Spread, WildCell, WildRecord
from feint.studies.wild_claims import claims
from feint.studies.wild_selection import select
from feint.studies.wild_splits import splits
from feint.studies.wild_table import (
    FREE,
    PROBE,
    SUPERVISED_PROBES,
    UNTRAINED,
    arms_of,
    checkpoints,
    levels_of,
    over_units,
    repeated,
    units_of,
)

if TYPE_CHECKING:
    import pandas as pd

CELL = ["arm", "unit", "level"]
PAIR = ["unit", "level", "seed", "encoder"]


def read_wild(rows: pd.DataFrame, *, name: str, version: str, plan: str) -> WildRecord:
    """Return everything the page of the study shows.

    Args:
        rows: a table with the columns `ROW_COLUMNS`: detector METHOD/ENCODER (METHOD also `untrained`, `supervised`,
            `supervised-weighted`), augmentation the views, testbed the level, metrics `auroc` (linear probe),
            `auroc:SCORER` and `free:KEY`, `free:KEY@projector`.
        name: of the study. version: of the program. plan: as it was written.

    Cost: 4 s on one core for 9 arms, 4 levels, 6 units, 3 seeds and 9 metrics; 1 s for 4 arms and 2 levels.
    """
    table = paired(checkpoints(rows))
    trained = table[table["kind"] == "method"]
    arms = arms_of(table)
    gains = [gain for arm in arms if arm.kind != UNTRAINED for gain in _gains(table[table["arm"] == arm.name], arm)]
    found, leading = splits(trained)
    selection = select(trained)
    return WildRecord(
        name=name,
        version=version,
        plan=plan,
        arms=arms,
        units=units_of(table),
        levels=levels_of(table),
        seeds=sorted({int(each) for each in table["seed"]}),
        cells=list(_cells(table)),
        gains=gains,
        beaten=[_beaten(arm, gains) for arm in arms if arm.kind == "method"],
        splits=found,
        criteria=selection.criteria,
        references=selection.references,
        confirmation=selection.confirmation,
        claims=claims(table, leading=leading, rankme=selection.excess.get("rankme")),
        points=list(_points(trained)),
        tasks=selection.tasks,
        left_out=[*_missing(rows, table), *selection.left_out],
    )


def paired(table: pd.DataFrame) -> pd.DataFrame:
    """Return the checkpoints with their best label-free scorer and their gains over the untrained encoder.

    New columns: `scorer`, the scorer with the highest mean over the seeds of a cell, and `scored`, its AUROC; `gain`
    and `scored_gain`, minus the same of the untrained encoder on the same unit, level and seed. The best is picked with
    labels, for the untrained encoder too, among the scorers that both have: no arm has more to pick from.
    """
    plain = table[table["kind"] == UNTRAINED]
    scorers = [
        each
        for each in table.columns
        if each.startswith("auroc:") and not each.startswith(SUPERVISED_PROBES) and plain[each].notna().any()
    ]
    best = table[CELL].drop_duplicates().assign(scorer="")
    if scorers:
        means = table.groupby(CELL)[scorers].mean()
        means = means[means.notna().any(axis=1)]
        best = means.idxmax(axis=1).rename("scorer").reset_index()
    found = table.merge(best, on=CELL, how="left").fillna({"scorer": ""})
    found["scored"] = [
        values.get(name, np.nan)
        for name, values in zip(found["scorer"], found[scorers].to_dict("records"), strict=True)
    ]
    plain = found[found["kind"] == UNTRAINED][[*PAIR, PROBE, "scored"]]
    both = found.merge(plain, on=PAIR, how="left", suffixes=("", " untrained"))
    return both.assign(
        gain=both[PROBE] - both[f"{PROBE} untrained"], scored_gain=both["scored"] - both["scored untrained"]
    )


def _cells(table: pd.DataFrame) -> Iterator[WildCell]:
    for (arm, unit, level), mine in table.groupby(CELL):
        reference = (mine["kind"] == UNTRAINED).any()
        yield WildCell(
            arm=str(arm),
            unit=str(unit),
            level=str(level),
            probe=_spread(mine[PROBE]),
            probe_gain=None if reference else _repeated(mine["gain"]),
            scorer=str(mine["scorer"].iloc[0]).removeprefix("auroc:"),
            scored=_spread(mine["scored"]) if mine["scored"].notna().any() else None,
            scored_gain=None if reference else _repeated(mine["scored_gain"]),
        )


def _spread(values: pd.Series) -> Spread:
    kept = values.dropna()
    return Spread(mean=float(kept.mean()), sd=float(kept.std(ddof=1)), seeds=len(kept))


def _over_seeds(table: pd.DataFrame, column: str) -> Estimate | None:
    """Return the mean of a column with Student's interval over seeds, each with its mean; None without values."""
    return _repeated(table.groupby("seed")[column].mean())


def _repeated(values: pd.Series) -> Estimate | None:
    kept = values.dropna()
    return repeated(kept.to_numpy()) if len(kept) else None


def _gains(mine: pd.DataFrame, arm: Arm) -> Iterator[Gain]:
    """Yield the gain of an arm on every data set, then on all."""
    mine = mine[mine["gain"].notna()]
    for data, there in mine.groupby("data"):
        if (probe := _over_seeds(there, "gain")) is not None:
            yield Gain(arm=arm.name, data=str(data), probe=probe, scored=_over_seeds(there, "scored_gain"))
    if len(mine):
        by_unit = mine.set_index("unit")
        scored = by_unit["scored_gain"].dropna()
        yield Gain(
            arm=arm.name, data="", probe=over_units(by_unit["gain"]), scored=over_units(scored) if len(scored) else None
        )


def _beaten(arm: Arm, gains: list[Gain]) -> Beaten:
    mine = [each for each in gains if each.arm == arm.name and each.data]
    by_probe = [each.data for each in mine if each.probe.above_zero]
    by_scorer = [each.data for each in mine if each.scored is not None and each.scored.above_zero]
    return Beaten(
        arm=arm.name,
        by_probe=by_probe,
        by_scorer=by_scorer,
        by_both=[each for each in by_probe if each in by_scorer],
    )


def _points(trained: pd.DataFrame) -> Iterator[Point]:
    free = [each for each in trained.columns if each.startswith(FREE)]
    for row in trained.to_dict("records"):
        yield Point(
            method=row["method"],
            encoder=row["encoder"],
            unit=row["unit"],
            level=row["level"],
            seed=int(row["seed"]),
            auroc=row[PROBE],
            metrics={each.removeprefix(FREE): row[each] for each in free if np.isfinite(row[each])},
        )


def _missing(rows: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    """Yield in words what the rows lack."""
    failed = rows[rows["status"] == "failed"]
    for detector, count in failed.groupby("detector").size().items():
        yield f"{detector}: {count} cells failed"
    trained = table[table["kind"] == "method"]
    for arm, count in trained[trained["gain"].isna()].groupby("arm").size().items():
        yield f"{arm}: {count} checkpoints without an untrained encoder of the same unit, level and seed"
