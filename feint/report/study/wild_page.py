"""The report of a study of representations under imbalance: one HTML page that needs nothing but itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, final

from jinja2 import Environment
from markupsafe import Markup

from feint.report import words
from feint.report.environment import environment
from feint.report.study import numbers, wild_charts, wild_marks, wild_sentences, wild_tables

if TYPE_CHECKING:
    from feint.records.wild import Criterion, Estimate, Share, Split, WildRecord

HERE = Path(__file__).parent
FIRST = "rankme"
RANDOM = "random pick"


def render_wild(record: WildRecord) -> str:
    """Return the report of a study of representations as one self-contained HTML page: no network, no script.

    What is said of the claims comes first, then drawings, then tables; tables are also CSV files inside the page. The
    same record gives the same page.

    Args:
        record: what the study has found; nothing in it needs to be complete.

    Cost: below 1 s for 9 arms, 4 levels and 8 units.
    """
    charts = wild_charts.level_charts(record)
    return (
        _environment()
        .get_template("wild.html")
        .render(
            study=record,
            words=words,
            numbers=numbers,
            style=Markup(_style()),  # noqa: S704 our own files
            headline=wild_sentences.headline(record),
            beating=wild_sentences.beating(record),
            trusted=wild_sentences.trusted(record),
            agreement=wild_sentences.agreement,
            styles=wild_sentences.STYLES,
            trained=[each for each in record.arms if each.kind == "method"],
            sets=list(dict.fromkeys(each.data for each in record.units)),
            marks=wild_marks.legend(each.method for each in record.arms),
            methods=wild_marks.legend(each.method for each in record.points),
            charts=charts,
            boards=wild_tables.gain_boards(record),
            splits=[_bars_of(each) for each in record.splits],
            regrets=_regrets(record),
            scatters=[_scattered(record, name) for name in _looked_at(record)],
            agreements=wild_tables.agreements(record),
            cells=wild_tables.cells(record),
        )
    )


@final
@dataclass(frozen=True)
class SplitBars:
    """A variance split with the bars of its shares."""

    split: Split
    scale: wild_charts.Bars
    rows: list[tuple[Share, tuple[float, float, float]]]


def _bars_of(split: Split) -> SplitBars:
    scale = wild_charts.bars([each.eta for each in split.shares])
    return SplitBars(split, scale, [(each, scale.bar(each.eta)) for each in split.shares])


@final
@dataclass(frozen=True)
class RegretRow:
    """A way to choose with its regret; `kind` is "criterion", "confirmed" or "reference"."""

    name: str
    kind: str
    regret: Estimate
    place: tuple[float, float, float]


@final
@dataclass(frozen=True)
class Regrets:
    """The regrets of all ways to choose, the least first; the scale marks those of a random pick and of half of it."""

    scale: wild_charts.Bars
    rows: list[RegretRow]


def _regrets(record: WildRecord) -> Regrets | None:
    found = [(each.name, "criterion", each.regret) for each in record.criteria if each.regret is not None]
    found += [(each.name, "reference", each.regret) for each in record.references]
    if record.confirmation is not None:
        found.append(("the criterion that was best on the other sets", "confirmed", record.confirmation.regret))
    if not found:
        return None
    random = [each.regret.value for each in record.references if each.name == RANDOM]
    lines = [*random, *(value / 2 for value in random)]
    scale = wild_charts.bars([regret for _, _, regret in found], lines=lines)
    rows = [RegretRow(name, kind, regret, scale.bar(regret)) for name, kind, regret in found]
    return Regrets(scale, sorted(rows, key=lambda row: (row.regret.value, row.kind, row.name)))


def _looked_at(record: WildRecord) -> list[str]:
    """Return the metrics to draw: RankMe, and the single metric of least regret if it is another."""
    measured = {name for point in record.points for name in point.metrics}
    best = [each.name for each in record.criteria if each.regret is not None and each.name in measured][:1]
    return [name for name in dict.fromkeys([FIRST, *best]) if name in measured]


@final
@dataclass(frozen=True)
class Scattered:
    """One metric against AUROC, with what is known of how they go together."""

    name: str
    charts: list[wild_charts.Scatter]
    criterion: Criterion | None


def _scattered(record: WildRecord, name: str) -> Scattered:
    criterion = next((each for each in record.criteria if each.name == name), None)
    return Scattered(name, wild_charts.scatters(record.points, name), criterion)


def _style() -> str:
    files = (HERE.parent / "style.css", HERE / "study.css", HERE / "wild.css")
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def _environment() -> Environment:
    made = environment(HERE)
    made.filters.update(signed=numbers.signed, ends=numbers.ends)
    return made
