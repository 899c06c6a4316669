"""The geometry of the charts, in the units of their viewBox; the templates draw it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from feint.report import words

if TYPE_CHECKING:
    from feint.records.run import StartRecord


@dataclass(frozen=True)
class Axis:
    """A straight line from the values `low`..`high` to the places `start`..`end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of `value`, rounded to a tenth."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return at most `most` round values within the axis, as (place, text)."""
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        values = [i * step for i in range(first, last + 1)]
        return [(self.at(v), f"{v:,.{digits}f}".replace("-", words.MINUS)) for v in values]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))


@dataclass(frozen=True)
class Bar:
    """One bar of the unlabelled images: its place, and whether it lies above the threshold."""

    x: float
    y: float
    width: float
    height: float
    above: bool


@dataclass(frozen=True)
class Histogram:
    """Shares of unlabelled (bars) and calibration images (outline) by score."""

    bars: list[Bar]
    outline: str
    threshold: float | None
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    gathered: int

    WIDTH = 640
    HEIGHT = 330
    LEFT, RIGHT, TOP, BOTTOM = 56, 628, 34, 274


def histogram(
    scores: NDArray[np.floating], calibration_scores: NDArray[np.floating], *, threshold: float | None
) -> Histogram | None:
    """Return the histogram of both sets over common bins, of which one begins at the threshold; None without scores.

    The longest hundredth of the tail is gathered in the last bin where it would squeeze all others together.
    """
    unlabelled, calibration = (np.asarray(x, dtype=float)[np.isfinite(x)] for x in (scores, calibration_scores))
    pooled = np.concatenate([unlabelled, calibration])
    if not len(pooled):
        return None
    edges = _edges(pooled, threshold)
    shares = [
        np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0] / max(len(x), 1) for x in (unlabelled, calibration)
    ]
    x = Axis(edges[0], edges[-1], Histogram.LEFT, Histogram.RIGHT)
    y = Axis(0, 105 * max(share.max() for share in shares), Histogram.BOTTOM, Histogram.TOP)
    return Histogram(
        bars=[
            Bar(
                x=x.at(edges[i]),
                y=y.at(100 * share),
                width=round(x.at(edges[i + 1]) - x.at(edges[i]), 1),
                height=round(y.at(0) - y.at(100 * share), 1),
                above=threshold is not None and edges[i] >= threshold - 1e-9 * (edges[-1] - edges[0]),
            )
            for i, share in enumerate(shares[0])
            if share > 0
        ],
        outline=_steps(edges, 100 * shares[1], x, y) if len(calibration) else "",
        threshold=None if threshold is None else x.at(threshold),
        x_ticks=x.ticks(8),
        y_ticks=y.ticks(5),
        gathered=int((pooled > edges[-1]).sum()),
    )


def _edges(pooled: NDArray[np.floating], threshold: float | None) -> NDArray[np.floating]:
    low, high = float(pooled.min()), float(pooled.max())
    tail = float(np.quantile(pooled, 0.99))
    if high - low > 1.5 * (tail - low) > 0:
        high = tail
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(math.sqrt(len(pooled)), 12, 44))
    width = (high - low) / bins
    anchor = low if threshold is None else threshold
    first = math.floor((low - anchor) / width + 1e-9)
    last = max(math.ceil((high - anchor) / width - 1e-9), 1)
    return anchor + width * np.arange(first, last + 1)


def _steps(edges: NDArray[np.floating], heights: NDArray[np.floating], x: Axis, y: Axis) -> str:
    places = [f"M{x.at(edges[0])} {y.at(0)}"]
    for i, height in enumerate(heights):
        places += [f"V{y.at(height)}", f"H{x.at(edges[i + 1])}"]
    return "".join([*places, f"V{y.at(0)}"])


@dataclass(frozen=True)
class Line:
    """One start in one panel."""

    letter: str
    path: str
    end: tuple[float, float]
    label_y: float
    kind: str


@dataclass(frozen=True)
class Panel:
    """One quantity over the tuning steps, a line per start."""

    title: str
    hint: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]

    WIDTH = 320
    HEIGHT = 200
    LEFT, RIGHT, TOP, BOTTOM = 46, 294, 12, 172


def letters(n: int) -> list[str]:
    """Return n names for starts: A to Z, then A1, B1 and so on."""
    return [chr(65 + i % 26) + (str(i // 26) if i >= 26 else "") for i in range(n)]


ALIGNMENT = words.Unit("Alignment loss", meaning="lower: closer to your unlabelled images")
TRAINING = words.Unit("Training loss", meaning="lower: told apart from normal more easily")


def panels(starts: list[StartRecord], *, chosen: StartRecord | None) -> list[Panel]:
    """Return a panel per magnitude and one per loss, for the starts of one augmentation."""
    names = dict.fromkeys(name for start in starts for name in start.trajectory)
    quantities = [(words.unit(name), [start.trajectory.get(name, []) for start in starts]) for name in names]
    quantities += [
        (ALIGNMENT, [start.validation_loss for start in starts]),
        (TRAINING, [start.training_loss for start in starts]),
    ]
    drawn = (_panel(starts, values, unit=unit, chosen=chosen) for unit, values in quantities)
    return [panel for panel in drawn if panel is not None]


def _panel(
    starts: list[StartRecord], values: list[list[float]], *, unit: words.Unit, chosen: StartRecord | None
) -> Panel | None:
    """Return the panel of one quantity; None where no start has a finite value."""
    points = [
        [(step, v * unit.factor) for step, v in zip(start.steps, series, strict=False) if math.isfinite(v)]
        for start, series in zip(starts, values, strict=True)
    ]
    flat = [point for series in points for point in series]
    if not flat:
        return None
    x = Axis(*_padded([step for step, _ in flat], 0), Panel.LEFT, Panel.RIGHT)
    y = Axis(*_padded([v for _, v in flat], 0.08), Panel.BOTTOM, Panel.TOP)
    kept = [i for i, series in enumerate(points) if series]
    ends = [(x.at(points[i][-1][0]), y.at(points[i][-1][1])) for i in kept]
    places = _apart([end[1] for end in ends], least=12, low=Panel.TOP, high=Panel.BOTTOM)
    names = letters(len(starts))
    return Panel(
        title=unit.label + (f", {unit.suffix.strip()}" if unit.suffix else ""),
        hint=unit.meaning,
        lines=[
            Line(
                letter=names[i],
                path=_path(points[i], x, y, wrap=unit.wrap),
                end=end,
                label_y=place,
                kind="failed" if starts[i].status != "ok" else "chosen" if starts[i] is chosen else "other",
            )
            for i, end, place in zip(kept, ends, places, strict=True)
        ],
        x_ticks=x.ticks(4),
        y_ticks=y.ticks(5),
    )


def _path(points: list[tuple[int, float]], x: Axis, y: Axis, *, wrap: float) -> str:
    """Return the path through the points, lifted where a value steps by more than `wrap`."""
    lifted = [True, *(abs(after[1] - before[1]) > wrap for before, after in pairwise(points))]
    return "".join(f"{'M' if up else 'L'}{x.at(step)} {y.at(v)}" for up, (step, v) in zip(lifted, points, strict=True))


def _padded(values: list[float] | list[int], share: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        return low - 0.5 * max(abs(low), 1), high + 0.5 * max(abs(high), 1)
    return low - share * (high - low), high + share * (high - low)


def _apart(places: list[float], *, least: float, low: float, high: float) -> list[float]:
    """Move places apart until neighbours are `least` from each other, within `low`..`high` as far as they fit."""
    least = min(least, (high - low) / max(len(places) - 1, 1))
    moved = list(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    floor = low
    for i in order:
        moved[i] = max(moved[i], floor)
        floor = moved[i] + least
    ceiling = high
    for i in reversed(order):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - least
    return [round(place, 1) for place in moved]
