"""The tables of a study of representations: gains with their drawings, agreement, and all cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from feint.report.study import wild_marks
from feint.report.study.boards import shade
from feint.report.study.charts import Whiskers, whiskers
from feint.report.study.downloads import Download, download
from feint.report.study.marks import Mark
from feint.report.study.tables import Table, table

if TYPE_CHECKING:
    from feint.records.wild import Estimate, Gain, WildRecord

Place = tuple[float, float, float]


@final
@dataclass(frozen=True)
class GainCell:
    """A gain on one data set, with its colour; `beats` where the whole interval lies above zero."""

    estimate: Estimate
    shade: str
    beats: bool


@final
@dataclass(frozen=True)
class GainRow:
    """One arm: its gain over all units with its place on the axis, and on every data set (None where not run)."""

    mark: Mark
    name: str
    mean: Estimate
    place: Place | None
    cells: list[GainCell | None]


@final
@dataclass(frozen=True)
class GainBoard:
    """The gains of all arms by one way of judging them, the largest first."""

    title: str
    sets: list[str]
    rows: list[GainRow]
    scale: Whiskers
    file: Download


def gain_boards(record: WildRecord) -> list[GainBoard]:
    """Return the gains by linear probe and by the best label-free scorer, as far as there are any."""
    probe = [(each, each.probe) for each in record.gains]
    scored = [(each, each.scored) for each in record.gains if each.scored is not None]
    titled = (("Linear probe", probe), ("Best label-free scorer", scored))
    return [_board(record, title, found) for title, found in titled if found]


def _board(record: WildRecord, title: str, found: Sequence[tuple[Gain, Estimate]]) -> GainBoard:
    import pandas as pd

    overall = {gain.arm: estimate for gain, estimate in found if not gain.data}
    by_set = {(gain.arm, gain.data): estimate for gain, estimate in found if gain.data}
    sets = sorted({data for _, data in by_set})
    scale = whiskers(np.array([end for each in overall.values() for end in (each.value, each.low, each.high)]))
    arms = [each for each in record.arms if each.name in overall]
    rows = [
        GainRow(
            mark=wild_marks.method(arm.method),
            name=wild_marks.spoken(arm),
            mean=overall[arm.name],
            place=_place(overall[arm.name], scale),
            cells=[_cell(by_set.get((arm.name, data))) for data in sets],
        )
        for arm in sorted(arms, key=lambda each: -overall[each.name].value)
    ]
    lines = [
        {"arm": gain.arm, "data": gain.data or "all", "gain": each.value, "low": each.low, "high": each.high}
        | {"repetitions": each.repetitions}
        for gain, each in found
    ]
    return GainBoard(title, sets, rows, scale, download(pd.DataFrame(lines), "gain", title))


def _place(found: Estimate, scale: Whiskers) -> Place:
    low, high = (end if np.isfinite(end) else found.value for end in (found.low, found.high))
    return scale.axis.at(low), scale.axis.at(found.value), scale.axis.at(high)


def _cell(found: Estimate | None) -> GainCell | None:
    return GainCell(found, shade(found.value), found.above_zero) if found else None


def cells(record: WildRecord) -> Table | None:
    """Return the AUROC of every arm on every unit and level."""
    import pandas as pd

    frame = pd.DataFrame(
        [
            {
                "arm": each.arm,
                "set_and_class": each.unit,
                "level": each.level,
                "seeds": each.probe.seeds,
                "linear_probe": each.probe.mean,
                "sd": each.probe.sd,
                "gain": each.probe_gain.value if each.probe_gain else np.nan,
                "best_scorer": each.scorer,
                "its_AUROC": each.scored.mean if each.scored else np.nan,
                "its_sd": each.scored.sd if each.scored else np.nan,
                "its_gain": each.scored_gain.value if each.scored_gain else np.nan,
            }
            for each in record.cells
        ]
    )
    return table(frame, "AUROC of every arm on every set, class and level; means over seeds.", name="cells")


def agreements(record: WildRecord) -> Download | None:
    """Return Kendall's tau-b and Spearman's rho of every criterion with AUROC as a file."""
    import pandas as pd

    lines = [
        {"criterion": each.name, "where": where, "statistic": name, "value": found.value}
        | {"low": found.low, "high": found.high, "checkpoints": each.checkpoints}
        for each in record.criteria
        for where, both in each.agreement.items()
        for name, found in (("Kendall tau-b", both.tau), ("Spearman rho", both.rho))
    ]
    return download(pd.DataFrame(lines), "agreement") if lines else None
