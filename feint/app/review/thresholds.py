"""What a threshold means, in words: how many normal images it rejects, and how many of these it flags."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor
from typing import final

import numpy as np

from feint.calibration.conformal import realised_rate
from feint.metrics.ranks import exact_rate
from feint.records.run import CalibrationRecord
from feint.report import words

EVERY, FURTHER = 20, 50
OPTIONS = {"--false-alarm-rate", "--fdr"}


@final
@dataclass(frozen=True, eq=False)
class Thresholds:
    """Every threshold that n calibration images tell apart, each known by its level.

    At level k = 0..n an image is flagged when p <= k / (n + 1), that is, when fewer than k calibration images score as
    high. Of normal images like these k / (n + 1) are then rejected on average.

    Args:
        calibration: scores of the n calibration normals on the scale of the images' scores; None where cross-fitting
            left several scales, so that no single score tells which images are flagged.
        p: p-values (m,) of the images reviewed, NaN where there is none.
        record: calibration of the run.
        what: what the images reviewed are called, e.g. 'unlabelled images'.
        learned: whether the run has learned from each image (m,), None for none. Such images move no line of a false
            discovery rate, and are not counted among those that are found.
    """

    calibration: np.ndarray | None
    p: np.ndarray
    record: CalibrationRecord
    what: str
    learned: np.ndarray | None = None

    @property
    def n(self) -> int:
        """The number of calibration images."""
        return self.record.images

    @cached_property
    def levels(self) -> np.ndarray:
        """The lowest level (m,) at which each image is flagged; n + 2 for those without a p-value."""
        rank = np.ceil(np.nan_to_num(self.p, nan=2.0) * (self.n + 1) - 1e-6)
        found: np.ndarray = np.minimum(rank, self.n + 2).astype(int)
        return found

    @cached_property
    def _counts(self) -> np.ndarray:
        """Which images (m,) have a p-value and were not learned from."""
        known: np.ndarray = np.isfinite(self.p)
        return known if self.learned is None else known & ~self.learned

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """The levels of the slider: each one up to 20, then ever fewer up to half of the calibration images."""
        most = max(self.own, (self.n + 1) // 2, 1)
        coarse = np.geomspace(min(EVERY, most), most, FURTHER).round().astype(int).tolist()
        return tuple(sorted({0, self.own, *range(min(EVERY, most) + 1), *coarse}))

    @cached_property
    def own(self) -> int:
        """The level of the run itself."""
        if self.record.mode == "false_alarm_rate":
            return floor(exact_rate(self.record.rate) * (self.n + 1))
        return self._of_discoveries()

    def _of_discoveries(self) -> int:
        """Return the level at which Benjamini and Hochberg's rule draws the line among these images."""
        from feint.calibration.decision import decide

        known = self._counts
        flagged = decide(self.p[known], fdr=self.record.rate) if known.any() else np.zeros(0, bool)
        return int(self.levels[known][flagged].max(initial=0))

    def nearest(self, level: int) -> int:
        """Return the step of the slider that is nearest to a level."""
        return min(self.steps, key=lambda step: abs(step - level))

    def flagged(self, level: int) -> int:
        """Return how many images are flagged at a level, but for those that were learned from."""
        return int((self.levels[self._counts] <= level).sum())

    def rejected(self, level: int) -> str:
        """Return how many normal images are rejected at a level, in words."""
        share = level / (self.n + 1)
        base = next((each for each in (100, 1000, 10_000) if share * each >= 1), 100_000)
        number = share * base
        about = "" if abs(number - round(number)) < 0.05 else "about "
        return f"Of {base:,} normal images like yours {about}{number:,.0f} would be rejected ({self._counted(level)})."

    def found(self, level: int) -> str:
        """Return how many of the images are flagged at a level, in words."""
        judged, left_out = int(self._counts.sum()), int((np.isfinite(self.p) & ~self._counts).sum())
        flagged = self.flagged(level)
        more = f" {left_out:,} more are left out: the run has learned from them." if left_out else ""
        return f"{flagged:,} of {judged:,} {self.what} {'is' if flagged == 1 else 'are'} flagged.{more}"

    def score(self, level: int) -> float | None:
        """Return the score above which an image is flagged; None where no single score says so."""
        if self.calibration is None or not 1 <= level <= self.n:
            return None
        return float(np.sort(self.calibration)[self.n - level])

    def guarantee(self, level: int) -> str:
        """Return what is guaranteed at a level, and what is not."""
        if level == 0:
            return (
                f"Nothing is rejected. The smallest rate that {self.n:,} calibration images support is "
                f"{words.percent(1 / (self.n + 1))}: for a lower one, give more normal images."
            )
        if level == self.own:
            return f"The run's own threshold. {self.record.guarantee}"
        low, high = (words.percent(each) for each in realised_rate(self.n, level / (self.n + 1)))
        return (
            f"The rate is {words.percent(level / (self.n + 1))} on average over calibration sets; with these "
            f"{self.n:,}, between {low} and {high} in nine of ten cases. A threshold chosen by looking at these images "
            "or at their marks has no guarantee beyond that: fix a rate beforehand."
        )

    def rate(self, level: int) -> str:
        """Return the shortest decimal rate that gives this level."""
        for digits in range(3, 8):
            rate = ceil(level / (self.n + 1) * 10**digits - 1e-9) / 10**digits
            if floor(exact_rate(rate) * (self.n + 1)) == level:
                break
        return f"{rate:.7f}".rstrip("0")

    def command(self, level: int, *, of_run: str, out: str) -> str | None:
        """Return the `feint tune` of `of_run` with this level as its rate and `out` as its run.

        None at level 0, and where `of_run` is another command: a refit keeps the rate of the run it began with.
        """
        given, kept = shlex.split(of_run), list[str]()
        if not level or given[:2] != ["feint", "tune"]:
            return None
        while given:
            word = given.pop(0)
            if word in OPTIONS:
                given.pop(0)
            else:
                kept.append(out if word == "RUN" and kept[-1] == "--out" else word)
        return shlex.join([*kept, "--false-alarm-rate", self.rate(level)])

    def _counted(self, level: int) -> str:
        if self.calibration is None:
            return (
                f"cross-fitting: fewer than {level:,} of {self.n:,} calibration images score as high as a flagged one"
            )
        tau = self.score(level)
        above = 0 if tau is None else int((self.calibration > tau).sum())
        return f"calibration: {above:,} of {self.n:,}"
