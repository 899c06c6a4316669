"""Landscapes in panels and in words: the criterion over the magnitudes, and the AUROC where labels were read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feint.report import words
from feint.report.charts import Axis

if TYPE_CHECKING:
    from feint.records.run import LandscapeRecord, PointRecord, RunRecord

LOG_FROM = 10
CHANCE = 0.5

Place = tuple[float, float]
Tick = tuple[float, str]


@dataclass(frozen=True)
class Series:
    """Values on a vertical axis of their own: a dot for each setting, joined where there is but one magnitude."""

    dots: list[Place]
    path: str
    ticks: list[Tick]


@dataclass(frozen=True)
class Panel:
    """The criterion, and the AUROC if known, over one magnitude; `chosen` is the place of the setting chosen."""

    title: str
    hint: str
    x_ticks: list[Tick]
    criterion: Series
    auroc: Series | None
    chosen: Place | None
    chance: float | None

    WIDTH = 264
    HEIGHT = 200
    LEFT, RIGHT, TOP, BOTTOM = 40, 224, 12, 172


@dataclass(frozen=True)
class Landscape:
    """One landscape as it is shown: panels, sentences, and the settings as numbers, best first."""

    kind: str
    size: str
    votes: bool
    sentences: list[str]
    panels: list[Panel]
    names: list[str]
    rows: list[tuple[PointRecord, float | None]]


def landscapes(run: RunRecord, *, aurocs: dict[tuple[str, tuple[int, int]], list[float]]) -> list[Landscape]:
    """Return the landscapes of a run, the most telling first; `aurocs` are those of the points, where known."""
    voting = {share.candidate for share in run.choice.shares}
    tuned = {(each.augmentation, each.size) for each in run.candidates if each.kind == "tuned" and each.name in voting}
    ordered = sorted(run.landscapes, key=lambda each: each.smoothed, reverse=True)
    return [
        _landscape(
            each, auroc=aurocs.get((each.augmentation, each.size)), votes=(each.augmentation, each.size) in tuned
        )
        for each in ordered
    ]


def _landscape(record: LandscapeRecord, *, auroc: list[float] | None, votes: bool) -> Landscape:
    known: Sequence[float | None] = auroc if auroc is not None else [None] * len(record.points)
    rows = sorted(zip(record.points, known, strict=True), key=lambda row: -row[0].two_sample_auroc)
    moved = [name for name in record.ranges if len({point.magnitudes[name] for point in record.points}) > 1]
    return Landscape(
        kind=words.kind(record.augmentation, {}),
        size=f"{record.size[1]} × {record.size[0]} px",
        votes=votes,
        sentences=_searched(record) if auroc is None else [_compared(record.points, auroc)],
        panels=[_panel(record, name, auroc, joined=len(moved) == 1) for name in moved],
        names=list(record.ranges),
        rows=rows,
    )


def _searched(record: LandscapeRecord) -> list[str]:
    """Return where the search ended, and what a bound means for it."""
    chosen = words.strengths(record.augmentation, {name: (value, value) for name, value in record.chosen.items()})
    count = f"{len(record.points)} settings were judged" if len(record.points) != 1 else "1 setting was judged"
    told = [f"{count} with one training. Smoothed, the criterion is highest at {chosen}: {record.smoothed:.3f}."]
    if record.widened:
        told.append("The search first ended at a bound, so it was repeated once beyond it.")
    if record.at_bound:
        names = words.listed([words.unit(name).label.lower() for name in record.at_bound])
        told.append(
            f"The best {names} {'lies' if len(record.at_bound) == 1 else 'lie'} at the very end of what can be set: "
            "what would suit these images still better may lie beyond."
        )
    return told


def _compared(points: list[PointRecord], auroc: list[float]) -> str:
    """Return what the setting of the highest criterion has lost against the best one."""
    if not points:
        return "No setting was judged."
    taken = max(range(len(points)), key=lambda i: points[i].two_sample_auroc)
    return (
        f"Of {len(points)} settings, the one of the highest criterion has an AUROC of {auroc[taken]:.3f}; "
        f"the best one has {max(auroc):.3f}, the mean is {sum(auroc) / len(auroc):.3f}."
    )


def _panel(record: LandscapeRecord, name: str, auroc: list[float] | None, *, joined: bool) -> Panel:
    """Return the panel of the magnitude `name`, which not all points share."""
    unit, period = words.unit(name), _period(record, name)
    values = np.array([point.magnitudes[name] for point in record.points])
    chosen = record.chosen.get(name)
    if period and chosen is not None:
        chosen %= period
    ends = [*values, *record.ranges[name], *([] if chosen is None else [chosen])]
    low, high = float(min(ends)), float(max(ends))
    x = Axis(low * unit.factor, high * unit.factor, Panel.LEFT, Panel.RIGHT, log=low > 0 and high > LOG_FROM * low)
    criterion = [point.two_sample_auroc for point in record.points]
    y = _vertical([*criterion, record.smoothed])
    shown = values * unit.factor
    turn = period * unit.factor
    return Panel(
        title=unit.label + (f", {unit.suffix.strip()}" if unit.suffix else ""),
        hint=unit.meaning,
        x_ticks=_quarters(x) if period else x.ticks(5),
        criterion=_series(shown, criterion, x, y, joined=joined, period=turn),
        auroc=_series(shown, auroc, x, _vertical(auroc), joined=joined, period=turn) if auroc else None,
        chosen=None if chosen is None else (x.at(chosen * unit.factor), y.at(record.smoothed)),
        chance=y.at(CHANCE) if y.low <= CHANCE <= y.high else None,
    )


def _period(record: LandscapeRecord, name: str) -> float:
    """Return the period of an angle whose whole turn was searched, 0 for all else."""
    low, high = record.ranges[name]
    period = words.PERIODS.get(record.augmentation, 0.0) if name == "angle" else 0.0
    return period if math.isclose(high - low, period) else 0.0


def _quarters(x: Axis) -> list[Tick]:
    return [(x.at(v), words.trimmed(v)) for v in np.linspace(x.low, x.high, 5)]


def _vertical(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), 0.005)
    return Axis(low - room, high + room, Panel.BOTTOM, Panel.TOP)


def _series(values: np.ndarray, heights: Sequence[float], x: Axis, y: Axis, *, joined: bool, period: float) -> Series:
    dots = [(x.at(v), y.at(h)) for v, h in zip(values, heights, strict=True)]
    return Series(dots=dots, path=_path(values, heights, x, y, period=period) if joined else "", ticks=y.ticks(5))


def _path(values: np.ndarray, heights: Sequence[float], x: Axis, y: Axis, *, period: float) -> str:
    """Return the path through the points from left to right; over a whole turn it reaches both edges."""
    order = np.argsort(values, kind="stable")
    across, up = values[order], np.asarray(heights)[order]
    if period:
        edges = np.interp([x.low, x.high], across, up, period=period)
        across, up = np.array([x.low, *across, x.high]), np.array([edges[0], *up, edges[1]])
    return "M" + "L".join(f"{x.at(v)} {y.at(h)}" for v, h in zip(across, up, strict=True))
