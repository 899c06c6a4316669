"""The geometry of the charts of a study of representations, in the units of their viewBox; the template draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from feint.report.charts import Axis
from feint.report.study import wild_marks
from feint.report.study.marks import Mark

if TYPE_CHECKING:
    from feint.records.wild import Estimate, Point, WildCell, WildRecord

Tick = tuple[float, str]


@final
@dataclass(frozen=True)
class LevelLine:
    """One arm over the levels: a line through its means, and for each the mean with one standard deviation around."""

    mark: Mark
    title: str
    line: str
    points: list[tuple[float, float, float, float]]


@final
@dataclass(frozen=True)
class LevelChart:
    """AUROC by level of all arms of one encoder on one unit."""

    title: str
    lines: list[LevelLine]
    x_ticks: list[Tick]
    y_ticks: list[Tick]

    WIDTH = 360
    HEIGHT = 250
    LEFT, RIGHT, TOP, BOTTOM = 46, 346, 12, 212


def level_charts(record: WildRecord) -> list[LevelChart]:
    """Return one chart per unit and encoder; the charts of one unit share their axes."""
    charts = []
    cells = {(each.arm, each.unit, each.level): each for each in record.cells}
    encoders = list(dict.fromkeys(arm.encoder for arm in record.arms))
    for unit in record.units:
        mine = [each.probe for each in record.cells if each.unit == unit.title]
        sds = [each.sd if math.isfinite(each.sd) else 0.0 for each in mine]
        low = min((each.mean - sd for each, sd in zip(mine, sds, strict=True)), default=0.5)
        high = max((each.mean + sd for each, sd in zip(mine, sds, strict=True)), default=1.0)
        y = Axis(low - 0.01, high + 0.01, LevelChart.BOTTOM, LevelChart.TOP)
        for encoder in encoders:
            lines = []
            for arm in (each for each in record.arms if each.encoder == encoder):
                there = [
                    (i, cells[key])
                    for i, level in enumerate(record.levels)
                    if (key := (arm.name, unit.title, level)) in cells
                ]
                if there:
                    lines.append(_level_line(arm.method, wild_marks.spoken(arm), there, y, len(record.levels)))
            if lines:
                title = f"{unit.title}, {encoder}" if len(encoders) > 1 else unit.title
                ticks = [(_place(i, len(record.levels)), level) for i, level in enumerate(record.levels)]
                charts.append(LevelChart(title, lines, ticks, y.ticks(4)))
    return charts


def _place(i: int, levels: int) -> float:
    """Return the place of the level number `i`: levels stand at equal distances."""
    return Axis(-0.5, levels - 0.5, LevelChart.LEFT, LevelChart.RIGHT).at(i)


def _level_line(method: str, title: str, cells: Sequence[tuple[int, WildCell]], y: Axis, levels: int) -> LevelLine:
    points = []
    for i, cell in cells:
        sd = cell.probe.sd if math.isfinite(cell.probe.sd) else 0.0
        mean = cell.probe.mean
        points.append((_place(i, levels), y.at(mean), y.at(mean - sd), y.at(mean + sd)))
    line = "".join(f"{'L' if k else 'M'}{x} {at}" for k, (x, at, _, _) in enumerate(points))
    return LevelLine(wild_marks.method(method), title, line, points)


@final
@dataclass(frozen=True)
class Scatter:
    """A label-free metric against AUROC, one point per checkpoint."""

    title: str
    x_label: str
    y_label: str
    points: list[tuple[Mark, float, float]]
    x_ticks: list[Tick]
    y_ticks: list[Tick]

    WIDTH = 360
    HEIGHT = 270
    LEFT, RIGHT, TOP, BOTTOM = 52, 350, 10, 216


def scatters(points: Sequence[Point], metric: str) -> list[Scatter]:
    """Return the metric against AUROC, and both about the means of their unit where there are several units.

    In the second chart a set that is easy cannot make or hide a relation.
    """
    kept = [each for each in points if metric in each.metrics]
    if len(kept) < 2:
        return []
    xs = np.array([each.metrics[metric] for each in kept])
    ys = np.array([each.auroc for each in kept])
    units = np.array([each.unit for each in kept])
    marks = [wild_marks.method(each.method) for each in kept]
    charts = [_scatter("All sets together", metric, "AUROC", (marks, xs, ys))]
    if len(set(units)) > 1:
        about = (marks, _about_means(xs, units), _about_means(ys, units))
        title = "Each set and class about its own mean"
        charts.append(_scatter(title, f"{metric} minus its mean there", "AUROC minus its mean there", about))
    return charts


def _about_means(values: NDArray[np.float64], units: NDArray[np.str_]) -> NDArray[np.float64]:
    _, index, counts = np.unique(units, return_inverse=True, return_counts=True)
    about: NDArray[np.float64] = values - (np.bincount(index, weights=values) / counts)[index]
    return about


def _scatter(
    title: str, x_label: str, y_label: str, placed: tuple[list[Mark], NDArray[np.float64], NDArray[np.float64]]
) -> Scatter:
    marks, xs, ys = placed
    x = Axis(*_widened(xs.tolist()), Scatter.LEFT, Scatter.RIGHT)
    y = Axis(*_widened(ys.tolist()), Scatter.BOTTOM, Scatter.TOP)
    points = [(mark, x.at(a), y.at(b)) for mark, a, b in zip(marks, xs.tolist(), ys.tolist(), strict=True)]
    return Scatter(title, x_label, y_label, points, x.ticks(5), y.ticks(4))


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - pad, high + pad


@final
@dataclass(frozen=True)
class Bars:
    """The common axis of horizontal bars that begin at zero, with the values that a dashed line marks."""

    axis: Axis
    ticks: list[Tick]
    lines: list[float]

    WIDTH = 260
    LEFT, RIGHT = 6, 246

    def bar(self, found: Estimate) -> tuple[float, float, float]:
        """Return where a bar ends and its interval begins and ends; an interval that does not exist has no length."""
        low = found.low if math.isfinite(found.low) else found.value
        high = found.high if math.isfinite(found.high) else found.value
        inside = (min(max(each, self.axis.low), self.axis.high) for each in (found.value, low, high))
        value, begin, end = (self.axis.at(each) for each in inside)
        return value, begin, end


def bars(found: Sequence[Estimate], *, lines: Sequence[float] = ()) -> Bars:
    """Return the axis that holds zero and all values with the upper ends of their intervals."""
    ends = [each.high if math.isfinite(each.high) else each.value for each in found]
    axis = Axis(0.0, 1.04 * max([*ends, *lines, 1e-3]), Bars.LEFT, Bars.RIGHT)
    return Bars(axis, axis.ticks(4), [axis.at(each) for each in lines])
