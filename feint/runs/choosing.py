"""The choice among candidates, by normals held out of training against the unlabelled images. No label is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from feint.core.errors import CollapseError
from feint.detectors.discriminator import SCORES, ScoreName
from feint.metrics.guards import guard_scores
from feint.metrics.two_sample import TWO_SAMPLE_AUROC, excess, two_sample_auroc
from feint.records.run import CandidateRecord, ChoiceRecord, Estimate
from feint.runs.jobs import Making, Trained, TrainingJob
from feint.stats.paired_bootstrap import Comparison, compare
from feint.stats.resampling import Interval

DRAWS = 1000
COMMITTEE = 3
SMALLEST_SPREAD = 1e-6
ORIGINS: dict[str, Literal["none", "tuned", "start", "dynamic"]] = {
    "none": "none",
    "-tuned": "tuned",
    "-start": "start",
    "-random": "dynamic",
}
DEFAULT_SCORE: ScoreName = "pooled"


@dataclass(frozen=True)
class Row:
    """One candidate: a training and one of its scores, with scores per rotation of held-out and unlabelled images."""

    name: str
    jobs: tuple[TrainingJob, ...]
    score: ScoreName
    held_out: tuple[np.ndarray, ...]
    unlabelled: tuple[np.ndarray, ...]

    @property
    def id(self) -> str:
        level = self.jobs[0].id.split("-", 2)[2].removeprefix(f"{self.name}-")
        return f"{self.name}/{self.score}/{level}"

    @property
    def making(self) -> Making:
        """How the pseudo-anomalies were made, in the first rotation."""
        return self.jobs[0].making

    def unit(self, rotation: int) -> tuple[float, float]:
        """Return the median and the quartile distance of its scores on selection normals."""
        low, middle, high = np.quantile(self.held_out[rotation], [0.25, 0.5, 0.75])
        return float(middle), max(float(high - low), SMALLEST_SPREAD)

    def two_sample_auroc(self, rotation: int) -> float:
        """Return the criterion in one rotation; 0.5 where the scores are unsound."""
        if _unsound(self):
            return 0.5
        return two_sample_auroc(self.unlabelled[rotation], self.held_out[rotation])


@dataclass(frozen=True)
class Choice:
    """The rows, how they compare, and which are chosen: the best overall, and the committee of each rotation."""

    rows: list[Row]
    failed: dict[str, str]
    comparison: Comparison
    best: int
    per_rotation: list[list[Row]]

    @property
    def row(self) -> Row:
        return self.rows[self.best]


def choose(rows: list[Row], *, seed: int) -> Choice:
    """Return the choice by the two-sample AUROC; rows whose scores are constant or not finite are left out.

    The best row with the pooled score is chosen, together with at most two more that cannot be told apart from it
    (they vote: `Committee`), unless the best row of all is better beyond doubt (its paired 95 %
    interval excludes 0): where anomalies are rare the criterion is noisy, and the fewer rows compete, the less luck
    decides. Measured in `benchmarks/selection.py`.

    Each rotation of cross-fitting chooses for itself, since its calibration normals take part in the choices of the
    others; the overall choice, by the mean, is what the report shows.
    """
    failed = {row.id: found for row in rows if (found := _unsound(row))}
    sound = [row for row in rows if row.id not in failed]
    if not sound:
        raise CollapseError(
            f"no candidate gave scores that can rank images, e.g. {rows[0].id}: {failed[rows[0].id]} "
            "Are the images all but identical?"
        )
    comparisons = [
        compare(
            np.stack([row.held_out[r] for row in sound]),
            np.stack([row.unlabelled[r] for row in sound]),
            criterion=TWO_SAMPLE_AUROC,
            seed=seed + r,
            draws=DRAWS,
        )
        for r in range(len(sound[0].jobs))
    ]
    joint = Comparison(
        values=np.mean([each.values for each in comparisons], axis=0),
        draws=np.mean([each.draws for each in comparisons], axis=0),
    )
    committees = [_committee(sound, each, _best(sound, each)) for each in comparisons]
    return Choice(sound, failed, joint, _best(sound, joint), committees)


def _best(rows: list[Row], comparison: Comparison) -> int:
    """Return the index of the row to choose."""
    usual = [c for c, row in enumerate(rows) if row.score == DEFAULT_SCORE]
    if not usual:
        return comparison.best
    best = max(usual, key=lambda c: comparison.values[c])
    return comparison.best if comparison.gap(comparison.best, best).low > 0 else best


def _committee(rows: list[Row], comparison: Comparison, best: int) -> list[Row]:
    """Return the best row, and the next ones with its score and size that cannot be told apart from it."""
    like = rows[best]
    order = sorted(range(len(rows)), key=lambda c: (c != best, -comparison.values[c]))
    tied = [
        rows[c]
        for c in order
        if rows[c].score == like.score
        and rows[c].jobs[0].normal == like.jobs[0].normal
        and rows[c].jobs[0].detector.width == like.jobs[0].detector.width
        and (c == best or comparison.gap(best, c).low <= 0)
    ]
    return tied[:COMMITTEE]


def _unsound(row: Row) -> str:
    for scores in (*row.held_out, *row.unlabelled):
        for finding in guard_scores(scores):
            return finding.sentence
    return ""


def candidate_records(
    choice: Choice, failed: dict[str, str], sizes: dict[str, tuple[int, int]]
) -> list[CandidateRecord]:
    """Return the table of candidates, best first; `failed` are makings that were never trained, with the reason."""
    order = np.argsort(-choice.comparison.values, kind="stable")
    found = [_record(choice, int(c), sizes) for c in order]
    found += [
        CandidateRecord(
            id=name, augmentation=name.split("-")[0], origin="tuned", magnitudes={}, size=next(iter(sizes.values())),
            score="-", criterion=None, two_sample_auroc=None, excess_95=None, excess_99=None, gap=None,
            status="failed" if name in choice.failed else "identity", note=note,
        )
        for name, note in (failed | choice.failed).items()
    ]  # fmt: skip
    return found


def _record(choice: Choice, c: int, sizes: dict[str, tuple[int, int]]) -> CandidateRecord:
    row = choice.rows[c]
    estimate = _estimate(choice.comparison.estimate(c))
    ranges = row.making.ranges
    held_out = [np.asarray(h) for h in row.held_out]
    return CandidateRecord(
        id=row.id,
        augmentation=row.making.augmentation,
        origin=next(origin for kind, origin in ORIGINS.items() if kind in row.name),
        magnitudes=ranges,
        size=sizes[row.jobs[0].id],
        score=row.score,
        criterion=estimate,
        two_sample_auroc=estimate,
        excess_95=_mean_excess(held_out, row.unlabelled, 0.95),
        excess_99=_mean_excess(held_out, row.unlabelled, 0.99),
        gap=None if c == choice.best else _estimate(choice.comparison.gap(choice.best, c)),
        chosen=c == choice.best,
    )


def _mean_excess(held_out: list[np.ndarray], unlabelled: tuple[np.ndarray, ...], level: float) -> float | None:
    if min(len(h) for h in held_out) < round(1 / (1 - level)) - 1:
        return None
    return float(np.mean([excess(u, h, level=level) for h, u in zip(held_out, unlabelled, strict=True)]))


def choice_record(choice: Choice, sizes: dict[str, tuple[int, int]]) -> ChoiceRecord:
    """Return the verdict: an augmentation, `none`, or abstain where the best of each cannot be told apart."""
    row = choice.row
    values = choice.comparison.values
    none = [c for c, each in enumerate(choice.rows) if each.making.augmentation == "none"]
    some = [c for c, each in enumerate(choice.rows) if each.making.augmentation != "none"]
    best_none, best_some = (max(group, key=lambda c: values[c], default=None) for group in (none, some))
    advantage = None
    verdict = "abstain"
    if best_none is not None and best_some is not None:
        advantage = _estimate(choice.comparison.gap(best_some, best_none))
        verdict = "augmentation" if advantage.low > 0 else "none" if advantage.high < 0 else "abstain"
    return ChoiceRecord(
        candidate=row.id,
        verdict=verdict,
        sentence=_sentence(verdict, row, advantage),
        committee=[each.id for each in choice.per_rotation[0]],
        augmentation=row.making.augmentation,
        magnitudes=row.making.ranges,
        score=row.score,
        size=sizes[row.jobs[0].id],
        advantage_over_none=advantage,
    )


def _sentence(verdict: str, row: Row, advantage: Estimate | None) -> str:
    name = row.making.augmentation
    if advantage is None:
        return f"Only one kind of candidate was there to compare; {name} is used."
    numbers = (
        f"{advantage.value:+.3f} in the two-sample AUROC, 95 % interval {advantage.low:+.3f} to {advantage.high:+.3f}"
    )
    if verdict == "augmentation":
        return f"Training with {name} fits these images better than no training: {numbers}."
    if verdict == "none":
        return f"No augmentation tried fits these images: the untrained encoder beats the best of them ({numbers})."
    used = name if name != "none" else "no augmentation"
    return (
        f"The best augmentation and the untrained encoder cannot be told apart on these images ({numbers}); "
        f"{used} is used because it scored highest, without evidence that it is better."
    )


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)


def rows_of(name: str, jobs: tuple[TrainingJob, ...], found: list[Trained]) -> list[Row]:
    """Return one row per score of a training, from what it left behind in each rotation."""
    return [
        Row(
            name=name,
            jobs=jobs,
            score=score,
            held_out=tuple(each.held_out[score] for each in found),
            unlabelled=tuple(each.unlabelled[score] for each in found),
        )
        for score in SCORES
    ]
