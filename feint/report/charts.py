"""The geometry of the charts, in the units of their viewBox; the templates draw it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feint.report import words


@dataclass(frozen=True)
class Axis:
    """A straight line from the values `low`..`high` to the places `start`..`end`; `log` needs low > 0."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the place of `value`, rounded to a tenth."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return at most `most` round values within the axis, as (place, text)."""
        if self.log:
            return self._log_ticks(most)
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        values = [i * step for i in range(first, last + 1)]
        return [(self.at(v), f"{v:,.{digits}f}".replace("-", words.MINUS)) for v in values]

    def _log_ticks(self, most: int) -> list[tuple[float, str]]:
        """Return the densest of 1-2-5, 1-3 and 1 times powers of ten that fits; every second or third if none does."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for leading in ((1, 2, 5), (1, 3), (1,)):
            values = [m * 10.0**power for power in powers for m in leading]
            values = [v for v in values if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
            if len(values) <= most:
                break
        return [(self.at(v), words.trimmed(v)) for v in values[:: math.ceil(len(values) / most) or 1]]


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
