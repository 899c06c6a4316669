"""The choice among candidates, by normals held out of training against the unlabelled images. No label is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from feint.core.errors import CollapseError
from feint.detectors.committee import Unit
from feint.metrics.guards import guard_scores
from feint.metrics.two_sample import TWO_SAMPLE_AUROC, excess
from feint.records.run import CandidateRecord, ChoiceRecord, Estimate, LandscapeRecord, ShareRecord, WarningRecord
from feint.report.words import listed
from feint.runs.candidates import Candidate, default_rows
from feint.runs.recipes import Range
from feint.stats.bulk_shift import bulk_shift
from feint.stats.mixture import mixture_proportion
from feint.stats.paired_bootstrap import Comparison, compare
from feint.stats.resampling import Interval
from feint.stats.unlabelled_auroc import unlabelled_auroc
from feint.tuning.selection import Selection, select

ENSEMBLE = "ensemble"
SHIFTED = 0.01
ENOUGH, HARDLY_ANY = 10, 0.05


@dataclass(frozen=True)
class Choice:
    """The sound candidates, how they compare, and who votes: overall, and in each rotation.

    The last row of `comparison` is the ensemble of the voters, where there are several.
    """

    candidates: list[Candidate]
    left_out: list[tuple[Candidate, str]]
    selection: Selection
    comparison: Comparison
    per_rotation: list[list[Candidate]]

    @property
    def failed(self) -> dict[str, str]:
        """Why a candidate was left out, by its name."""
        return {each.name: reason for each, reason in self.left_out}

    @property
    def voters(self) -> list[Candidate]:
        """Who votes, best first."""
        return [self.candidates[c] for c in self.selection.voters]

    @property
    def row(self) -> int:
        """The chosen row of `comparison`."""
        return len(self.candidates) if len(self.selection.voters) > 1 else self.selection.voters[0]

    @property
    def name(self) -> str:
        """The name of what is chosen."""
        return ENSEMBLE if len(self.selection.voters) > 1 else self.voters[0].name

    @property
    def names(self) -> list[str]:
        """The name of each row of `comparison`."""
        return [each.name for each in self.candidates] + [ENSEMBLE] * (len(self.selection.voters) > 1)

    @property
    def none(self) -> int | None:
        """The row of the untrained encoder, at the size where it does best; None where it failed."""
        rows = [c for c, each in enumerate(self.candidates) if each.kind == "none"]
        return max(rows, key=lambda c: float(self.comparison.values[c]), default=None)


def choose(candidates: list[Candidate], *, seed: int, single: bool = False) -> Choice:
    """Return the choice by the two-sample AUROC; candidates whose scores are constant or not finite are left out.

    With `single`, only the best of those that would vote is the answer.

    Each rotation of cross-fitting chooses for itself, since its calibration normals take part in the choices of the
    others; the choice of the first is what the report shows.
    """
    left_out = [(each, found) for each in candidates if (found := _unsound(each))]
    sound = [each for each in candidates if all(each is not other for other, _ in left_out)]
    if not sound:
        first, reason = left_out[0]
        raise CollapseError(
            f"no candidate gave scores that can rank images, e.g. {first.name}: {reason} "
            "Are the images all but identical?"
        )
    defaults = default_rows(sound)
    rotations = range(len(sound[0].held_out))
    selections = [select(*stacked(sound, r), defaults=defaults, seed=seed + r) for r in rotations]
    if single:
        selections = [replace(each, voters=each.voters[:1]) for each in selections]
    return Choice(
        candidates=sound,
        left_out=left_out,
        selection=selections[0],
        comparison=_with_ensemble(sound, selections[0].voters, seed=seed),
        per_rotation=[[sound[c] for c in each.voters] for each in selections],
    )


def stacked(candidates: list[Candidate], rotation: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of held-out (C, m) and of unlabelled images (C, n) in one rotation."""
    return (
        np.stack([each.held_out[rotation] for each in candidates]),
        np.stack([each.unlabelled[rotation] for each in candidates]),
    )


def vote(scores: list[np.ndarray], units: list[Unit]) -> np.ndarray:
    """Return what a `Committee` of members with these scores and units says."""
    voted: np.ndarray = np.mean(
        [np.arcsinh((each - centre) / spread) for each, (centre, spread) in zip(scores, units, strict=True)], axis=0
    )
    return voted


def _with_ensemble(candidates: list[Candidate], voters: tuple[int, ...], *, seed: int) -> Comparison:
    """Return the comparison of all candidates, and of the ensemble of the voters where there are several.

    Values and draws are means over the rotations.
    """
    found = []
    for r in range(len(candidates[0].held_out)):
        held_out, unlabelled = stacked(candidates, r)
        if len(voters) > 1:
            units = [candidates[c].unit(r) for c in voters]
            held_out = np.vstack([held_out, vote([held_out[c] for c in voters], units)])
            unlabelled = np.vstack([unlabelled, vote([unlabelled[c] for c in voters], units)])
        found.append(compare(held_out, unlabelled, criterion=TWO_SAMPLE_AUROC, seed=seed + r))
    return Comparison(
        values=np.mean([each.values for each in found], axis=0), draws=np.mean([each.draws for each in found], axis=0)
    )


def _unsound(candidate: Candidate) -> str:
    """Return why the scores can rank nothing; unlabelled images may be copies of one another and score alike."""
    findings = [each for scores in candidate.held_out for each in guard_scores(scores)]
    findings += [
        each for scores in candidate.unlabelled for each in guard_scores(scores) if each.code == "non_finite_scores"
    ]
    return findings[0].sentence if findings else ""


def candidate_records(choice: Choice, sizes: dict[int, tuple[int, int]]) -> list[CandidateRecord]:
    """Return the table of candidates, best first; those that failed come last, with the reason."""
    rows = [_record(choice, c, sizes) for c in range(len(choice.comparison.values))]
    rows.sort(key=lambda row: -(row.criterion.value if row.criterion else 0.0))
    return rows + [
        CandidateRecord(
            name=each.name, kind=each.kind, augmentation=_augmentation(each), magnitudes=_magnitudes(each),
            size=sizes[each.px], criterion=None, excess_95=None, excess_99=None, estimated_auroc=None, gap=None,
            status="failed", note=reason,
        )
        for each, reason in choice.left_out
    ]  # fmt: skip


def _augmentation(of: Candidate) -> str:
    return " + ".join(each.augmentation for each in of.recipes[0].practised) or "none"


def _magnitudes(of: Candidate) -> Range:
    """Return the magnitudes of a candidate's augmentation, where it has one."""
    makings = of.recipes[0].practised
    return makings[0].ranges if len(makings) == 1 else {}


def _record(choice: Choice, c: int, sizes: dict[int, tuple[int, int]]) -> CandidateRecord:
    ensemble = c == len(choice.candidates)
    of = choice.voters[0] if ensemble else choice.candidates[c]
    held_out, unlabelled = scores_of(choice, c)
    return CandidateRecord(
        name=ENSEMBLE if ensemble else of.name,
        kind="ensemble" if ensemble else of.kind,
        augmentation=_augmentation(of),
        magnitudes=_magnitudes(of),
        size=sizes[of.px],
        members=[each.name for each in choice.voters] if ensemble else [],
        criterion=_estimate(choice.comparison.estimate(c)),
        excess_95=_excess(held_out, unlabelled, 0.95),
        excess_99=_excess(held_out, unlabelled, 0.99),
        estimated_auroc=_estimate(unlabelled_auroc(unlabelled, held_out)) if len(unlabelled) > 1 else None,
        gap=_estimate(choice.comparison.gap(choice.row, c)),
        chosen=c == choice.row,
    )


def scores_of(choice: Choice, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of held-out and unlabelled images by row c of the comparison, in the first rotation."""
    if c < len(choice.candidates):
        return choice.candidates[c].held_out[0], choice.candidates[c].unlabelled[0]
    units = [each.unit(0) for each in choice.voters]
    return (
        vote([each.held_out[0] for each in choice.voters], units),
        vote([each.unlabelled[0] for each in choice.voters], units),
    )


def _excess(held_out: np.ndarray, unlabelled: np.ndarray, level: float) -> float | None:
    if len(held_out) + 1 < 1 / (1 - level) - 1e-9:
        return None
    return excess(unlabelled, held_out, level=level)


def choice_record(choice: Choice, sizes: dict[int, tuple[int, int]]) -> ChoiceRecord:
    """Return the verdict: an augmentation, none, another candidate, or abstain where the default was kept."""
    none = choice.none
    advantage = None if none is None or none == choice.row else _estimate(choice.comparison.gap(choice.row, none))
    best = choice.voters[0]
    verdict = _verdict(choice, advantage)
    held_out, unlabelled = scores_of(choice, choice.row)
    return ChoiceRecord(
        candidate=choice.name,
        verdict=verdict,
        confidence=choice.selection.confidence,
        sentence=_sentence(verdict, choice, advantage),
        augmentation=_augmentation(best),
        magnitudes=_magnitudes(best),
        size=sizes[best.px],
        shares=[share for each in choice.voters for share in _shares(each, len(choice.voters))],
        advantage_over_none=advantage,
        anomalous_share=_estimate(mixture_proportion(unlabelled, held_out)),
    )


def _verdict(choice: Choice, advantage: Estimate | None) -> Literal["augmentation", "none", "other", "abstain"]:
    kinds = {each.kind for each in choice.voters}
    if kinds == {"none"}:
        return "none"
    if advantage is None or advantage.low <= 0:
        return "abstain"
    return "augmentation" if kinds & {"tuned", "random"} else "other"


def _shares(voter: Candidate, voters: int) -> list[ShareRecord]:
    """Return what a voter is taught by, with its weight; a voter without augmentation is one share of its own."""
    makings = voter.recipes[0].practised
    if not makings:
        return [ShareRecord(candidate=voter.name, augmentation="none", magnitudes={}, weight=1 / voters)]
    return [
        ShareRecord(
            candidate=voter.name,
            augmentation=each.augmentation,
            magnitudes=each.ranges,
            weight=1 / voters / len(makings),
        )
        for each in makings
    ]


def _sentence(verdict: str, choice: Choice, advantage: Estimate | None) -> str:
    names, one = listed([each.name for each in choice.voters]), len(choice.voters) == 1
    numbers = (
        "" if advantage is None
        else f" ({advantage.value:+.3f} in the two-sample AUROC over the untrained encoder, 95 % interval "
        f"{advantage.low:+.3f} to {advantage.high:+.3f})"
    )  # fmt: skip
    if verdict == "abstain":
        be = "is" if one else "are"
        used = f"{names} {be}" if choice.selection.joined else f"the fixed default, {names}, is"
        return f"These images do not tell the candidates from no training at all; {used} used{numbers}."
    if verdict == "none":
        return "No augmentation tried fits these images: the untrained encoder is the best of the candidates."
    if verdict == "other":
        return f"No augmentation is needed here: {names} {'tells' if one else 'tell'} these images apart best{numbers}."
    if choice.selection.decided:
        return f"What fits these images: {names}{numbers}."
    others = " together with what scored a little higher" if choice.selection.joined else ""
    return f"Nothing is better beyond doubt than the fixed default, which is used{others}: {names}{numbers}."


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)


def choice_warnings(choice: Choice, landscapes: list[LandscapeRecord]) -> list[WarningRecord]:
    """Return what a user should know of the choice: failed candidates, magnitudes at a bound, shifted normal images."""
    found = []
    if choice.failed:
        name, reason = next(iter(choice.failed.items()))
        were = "candidate failed and was" if len(choice.failed) == 1 else "candidates failed and were"
        message = f"{len(choice.failed)} {were} left out, e.g. {name}: {reason}"
        found.append(WarningRecord(code="failed-candidates", message=message))
    chosen = {share.augmentation for each in choice.voters for share in _shares(each, 1) if each.kind == "tuned"}
    for each in landscapes:
        if each.at_bound and each.augmentation in chosen:
            message = (
                f"{each.augmentation} was tuned to the very end of what {listed(each.at_bound)} can be: "
                "the real anomalies may lie beyond it."
            )
            found.append(WarningRecord(code="at-bound", message=message))
    held_out, unlabelled = scores_of(choice, choice.row)
    if (p := bulk_shift(unlabelled, held_out)) < SHIFTED:
        message = (
            "The unlabelled images differ from the normal ones as a whole, not in a few images only "
            f"(p = {p:.2g}): another camera, day or light, or many faint anomalies. The choice may reward seeing that. "
            "Compare with normal images from the same source, or name the difference with --nuisance."
        )
        found.append(WarningRecord(code="shift", message=message))
    elif len(unlabelled) >= ENOUGH and (alike := float((unlabelled <= np.median(held_out)).mean())) < HARDLY_ANY:
        message = (
            f"Hardly any unlabelled image looks like the normal ones: {alike:.0%} score as low as half of those do. "
            "Either nearly all are anomalous, or they come from another camera, day or light. "
            "Compare with normal images from the same source."
        )
        found.append(WarningRecord(code="shift", message=message))
    return found
