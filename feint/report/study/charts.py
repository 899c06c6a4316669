"""The geometry of the study's charts, in the units of their viewBox; the templates draw it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.records.study import GROUPS
from feint.report.charts import Axis
from feint.report.study import marks

BINS = 15
Tick = tuple[float, str]


@final
@dataclass(frozen=True)
class Whiskers:
    """The common axis of all mean relative AUROCs of a table, with zero on it."""

    axis: Axis
    zero: float
    ticks: list[Tick]

    WIDTH = 168
    LEFT, RIGHT = 14, 154


def whiskers(values: NDArray[np.floating]) -> Whiskers:
    """Return the axis that holds zero and all finite `values`."""
    finite = values[np.isfinite(values)]
    low, high = min([-0.02, *finite]), max([0.02, *finite])
    axis = Axis(low, high, Whiskers.LEFT, Whiskers.RIGHT)
    return Whiskers(axis, axis.at(0.0), axis.ticks(3))


@final
@dataclass(frozen=True)
class RankLabel:
    """One augmentation of a critical-difference diagram: its place on the axis, its line and its text."""

    name: str
    rank: float
    mark: marks.Mark
    x: float
    y: float
    left: bool


@final
@dataclass(frozen=True)
class RankDiagram:
    """Mean ranks on one axis, best on the left; a bar joins those that cannot be told apart."""

    labels: list[RankLabel]
    bars: list[tuple[float, float, float]]
    ticks: list[Tick]
    critical: tuple[float, float]
    height: float

    WIDTH = 680
    LEFT, RIGHT = 190, 490
    AXIS = 62
    TEXT_LEFT, TEXT_RIGHT = 164, 516


def rank_diagram(
    ranks: Mapping[str, float],
    *,
    categories: Mapping[str, str],
    critical_difference: float,
    groups: Sequence[Sequence[str]],
) -> RankDiagram:
    """Return the critical-difference diagram of mean ranks (1 is best).

    Args:
        ranks: mean rank of each augmentation.
        categories: category of each augmentation.
        critical_difference: Nemenyi's; two mean ranks further apart than this differ at the 5 % level.
        groups: augmentations that cannot be told apart, a maximal group each.
    """
    names = sorted(ranks, key=lambda name: (ranks[name], name))
    axis = Axis(1, max(len(names), 2), RankDiagram.LEFT, RankDiagram.RIGHT)
    joined = [[axis.at(ranks[name]) for name in group] for group in groups if len(group) > 1]
    bars = [(min(xs) - 4, max(xs) + 4, RankDiagram.AXIS + 12.0 + 8 * i) for i, xs in enumerate(sorted(joined))]
    first = RankDiagram.AXIS + 30 + 8 * len(bars)
    half = math.ceil(len(names) / 2)
    labels = []
    for i, name in enumerate(names):
        left = i < half
        row = i if left else len(names) - 1 - i
        mark = marks.category(categories.get(name, "uncategorised"))
        labels.append(RankLabel(name, ranks[name], mark, axis.at(ranks[name]), first + 25 * row, left))
    end = min(axis.at(1 + critical_difference), RankDiagram.RIGHT + 150.0)
    ticks = [(axis.at(i), str(i)) for i in _whole(len(names))]
    return RankDiagram(labels, bars, ticks, (axis.at(1), end), first + 25 * half)


def _whole(n: int) -> list[int]:
    step = 1 if n <= 15 else math.ceil(n / 10)
    return list(range(1, max(n, 2) + 1, step))


@final
@dataclass(frozen=True)
class ScoreCurve:
    """The scores of one group over the shared bins."""

    mark: marks.Mark
    line: str
    area: str
    count: int


@final
@dataclass(frozen=True)
class ScoreHistogram:
    """How the scores of each group are spread: filled lines over 15 shared bins, in per cent of the group."""

    curves: list[ScoreCurve]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    gathered: int

    WIDTH = 360
    HEIGHT = 236
    LEFT, RIGHT, TOP, BOTTOM = 46, 350, 12, 192


def score_histogram(scores: Mapping[str, NDArray[np.floating]]) -> ScoreHistogram | None:
    """Return the histograms of all groups over common bins; None where no score is finite.

    The highest hundredth is gathered in the last bin where it would squeeze all others together.
    """
    groups = {name: np.asarray(scores[name], dtype=float) for name in GROUPS if name in scores}
    groups = {name: x[np.isfinite(x)] for name, x in groups.items() if np.isfinite(x).any()}
    if not groups:
        return None
    pooled = np.concatenate(list(groups.values()))
    low, high, tail = float(pooled.min()), float(pooled.max()), float(np.quantile(pooled, 0.99))
    if high - low > 1.5 * (tail - low) > 0:
        high = tail
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    shares = {name: 100 * np.histogram(np.clip(x, low, high), edges)[0] / len(x) for name, x in groups.items()}
    x = Axis(low, high, ScoreHistogram.LEFT, ScoreHistogram.RIGHT)
    y = Axis(0, 1.05 * max(share.max() for share in shares.values()), ScoreHistogram.BOTTOM, ScoreHistogram.TOP)
    centres = (edges[:-1] + edges[1:]) / 2
    curves = []
    for name, share in shares.items():
        line = _line(list(zip(centres, share, strict=True)), x, y)
        area = f"{line}L{x.at(centres[-1])} {y.at(0)}L{x.at(centres[0])} {y.at(0)}z"
        curves.append(ScoreCurve(marks.GROUP_MARKS[name], line, area, len(groups[name])))
    return ScoreHistogram(curves, x.ticks(4), y.ticks(4), int((pooled > high).sum()))


def _line(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    return "".join(f"{'L' if i else 'M'}{x.at(a)} {y.at(b)}" for i, (a, b) in enumerate(points))


@final
@dataclass(frozen=True)
class Sweep:
    """Mean relative AUROC against the value of one hyperparameter, with its interval."""

    title: str
    line: str
    band: str
    points: list[tuple[float, float, float, float]]
    zero: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]

    WIDTH = 360
    HEIGHT = 220
    LEFT, RIGHT, TOP, BOTTOM = 56, 346, 14, 176


Curve = Mapping[float, tuple[float, float, float]]


def sweep_charts(curves: Mapping[str, Curve]) -> list[Sweep]:
    """Return a chart for each title, all on the same axes, of (mean, low, high) by value in rising order.

    An end that is not finite is drawn as the mean.
    """
    closed = {
        title: {v: [each if math.isfinite(each) else bound[0] for each in bound] for v, bound in curve.items()}
        for title, curve in curves.items()
    }
    values = [v for curve in closed.values() for v in curve]
    reach = [0.0, *(each for curve in closed.values() for bound in curve.values() for each in bound)]
    if not values:
        return []
    margin = 0.05 * (max(values) - min(values)) or 0.05
    pad = 0.08 * (max(reach) - min(reach)) or 0.01
    x = Axis(min(values) - margin, max(values) + margin, Sweep.LEFT, Sweep.RIGHT)
    y = Axis(min(reach) - pad, max(reach) + pad, Sweep.BOTTOM, Sweep.TOP)
    return [_sweep(title, curve, x, y) for title, curve in closed.items()]


def _sweep(title: str, curve: dict[float, list[float]], x: Axis, y: Axis) -> Sweep:
    there = [(v, high) for v, (_, _, high) in curve.items()]
    back = [(v, low) for v, (_, low, _) in reversed(curve.items())]
    return Sweep(
        title=title,
        line=_line([(v, mean) for v, (mean, _, _) in curve.items()], x, y),
        band=_line(there + back, x, y) + "z",
        points=[(x.at(v), y.at(mean), y.at(low), y.at(high)) for v, (mean, low, high) in curve.items()],
        zero=y.at(0.0),
        x_ticks=[(x.at(v), f"{v:g}") for v in curve],
        y_ticks=y.ticks(4),
    )
