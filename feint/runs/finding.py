"""What was found among the unlabelled images, in words: flags, whether they are more than chance, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feint.calibration.conformal import smallest_rate
from feint.calibration.decision import too_high_together, too_many_flagged
from feint.metrics.ranks import allowed_exceedances
from feint.records.run import FoundRecord, WarningRecord
from feint.report.words import p_value
from feint.runs.model import Model
from feint.runs.settings import DEFAULT_RATE

SIGNIFICANT = 0.05
BEYOND_DOUBT = 0.01
MORE_RATES = (0.1, 0.2, 0.3)
NAMED = 5


@dataclass(frozen=True)
class Calibration:
    """The calibration normals: their names (n,), and their scores (n,) on the scale of the model's."""

    names: Sequence[str]
    scores: np.ndarray

    def highest(self, n: int) -> list[str]:
        """Return the names of the n with the highest scores, the highest first."""
        return [self.names[i] for i in np.argsort(-self.scores, kind="stable")[:n]]


def find(
    p_values: np.ndarray, model: Model, normals: Calibration, *, known: int, learned: int = 0
) -> tuple[FoundRecord, list[WarningRecord]]:
    """Return what was found, in one sentence, and what to do where no image alone shows what all together do.

    Args:
        p_values: of the unlabelled images (m,) that the detector has not learned from, 1 for those that also stand
            among the normal ones.
        model: flags by its rate. normals: those that calibrate it.
        known: how many of the m also stand among the normal ones. learned: how many more images it has learned from.
    """
    total, n = len(p_values), len(normals.scores)
    tested = total - known
    flagged = int(model.flags(p_values).sum())
    fixed = model.mode == "false_alarm_rate"
    rate = model.rate if fixed else max(DEFAULT_RATE, smallest_rate(n))
    chance = _chance(p_values, tested, n, rate)
    together = too_high_together(np.sort(p_values)[:tested], calibration=n) if tested else 1.0
    expected = model.rate * (tested if fixed else flagged)
    images = f"{total:,} {'other ' if learned else ''}unlabelled images"
    nothing = "Nothing more found" if learned else "Nothing found"
    stand, look, are = ("stands", "looks", "is") if flagged == 1 else ("stand", "look", "are")
    by_chance = f"{stand} above the threshold, within what chance explains (about {expected:.0f})"
    warnings = []
    if not total:
        sentence = f"Nothing can be said: the detector has learned from all {learned:,} unlabelled images."
    elif not tested:
        sentence = f"{nothing}: all {images} also stand among the normal ones."
    elif flagged and not fixed:
        sentence = f"{flagged:,} of {images} {are} anomalous; about {expected:.0f} of them may be false alarms."
    elif flagged and chance <= SIGNIFICANT:
        sentence = f"{flagged:,} of {images} {look} anomalous; if all were normal, about {expected:.0f} would."
    elif together < BEYOND_DOUBT:
        alone = f"{flagged:,} of {images} {by_chance}" if flagged else f"None of the {images} can be told apart alone"
        sentence = f"{alone}, but together they look less normal than the normal ones."
        warnings.append(_advice(p_values, normals, tested=tested, rate=rate, together=together))
    elif flagged > expected:
        sentence = (
            f"{flagged:,} of {images} {stand} out, but that may be chance: if all were normal, about {expected:.0f} "
            f"would, and the threshold rests on {n:,} normal images."
        )
    elif flagged:
        sentence = f"{nothing}: {flagged:,} of {images} {by_chance}."
    else:
        sentence = f"{nothing}: none of the {images} stands out from the normal ones."
    if learned and total:
        sentence += f" {learned:,} more are left out: the detector has learned from them."
    record = FoundRecord(
        flagged=flagged, unlabelled=total, learned_from=learned, expected_false_alarms=expected, sentence=sentence,
        any_anomaly_p_value=chance, together_p_value=together,
    )  # fmt: skip
    return record, warnings


def _chance(p_values: np.ndarray, tested: int, n: int, rate: float) -> float:
    exceeding = int((p_values <= rate).sum())
    return too_many_flagged(exceeding, unlabelled=tested, calibration=n, rate=rate) if tested else 1.0


def _advice(p_values: np.ndarray, normals: Calibration, *, tested: int, rate: float, together: float) -> WarningRecord:
    """Return why no image alone can be flagged, the rate at which some can, and the normal images in the way."""
    n = len(normals.scores)
    said = [
        f"Images that are all normal would hardly score so high together ({p_value(together)}): there are anomalies "
        f"among them, or they come from another source. {n} normal images give a coarse threshold; more make it finer."
    ]
    larger = [each for each in MORE_RATES if each > rate and _chance(p_values, tested, n, each) <= SIGNIFICANT]
    if larger:
        flagged = int((p_values <= larger[0]).sum())
        said.append(
            f"With --false-alarm-rate {larger[0]:g}, {flagged:,} would be flagged, of which chance explains "
            f"{larger[0] * tested:.0f}."
        )
        above = allowed_exceedances(n, larger[0]) - 1
        if 0 < above <= NAMED:
            names = normals.highest(above)
            said.append(f"Of the normal images these score highest: {', '.join(names)}. Take out what is not normal.")
    return WarningRecord(code="together", message=" ".join(said))
