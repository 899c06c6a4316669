"""What a study of representations learned under imbalance has found, as its page shows it: plain numbers and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

WildVerdict = Literal["holds here", "does not hold here", "this size cannot decide"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with the ends of its 95 % interval, NaN where there is none, and how often it was repeated.

    `trusted` is whether there were enough repetitions for the interval to be believed.
    """

    value: float
    low: float
    high: float
    repetitions: int
    trusted: bool = True

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The mean over seeds, the standard deviation (NaN for one seed), and the number of seeds."""

    mean: float
    sd: float
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A method on an encoder, with its views where it was run with several; `kind` says whether it is a reference.

    `name` is unique in the study: `simclr/resnet8`, or `simclr/resnet8 (defect)`.
    """

    name: str
    method: str
    encoder: str
    kind: Literal["method", "untrained", "supervised"]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A data set and its normal class: the unit of inference."""

    data: str
    normal: str
    anomaly: str
    title: str


@dataclass(frozen=True, kw_only=True)
class WildCell:
    """An arm on a unit at a level: AUROC of the linear probe and of the best label-free scorer, named `scorer`.

    The gains are over the untrained encoder of the same seed, level and unit, their intervals Student's over seeds;
    None where there is no such encoder. `scorer` is empty where no scorer was run.
    """

    arm: str
    unit: str
    level: str
    probe: Spread
    probe_gain: Estimate | None
    scorer: str
    scored: Spread | None
    scored_gain: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Gain:
    """An arm's gain over the untrained encoder, on a data set (interval over seeds) or all units (`data` empty)."""

    arm: str
    data: str
    probe: Estimate
    scored: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Beaten:
    """On which data sets an arm beats the untrained encoder: the interval of its gain lies above zero."""

    arm: str
    by_probe: Sequence[str]
    by_scorer: Sequence[str]
    by_both: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one factor accounts for: eta squared, partial eta squared, and eta squared less what chance gives."""

    name: str
    df: int
    eta: Estimate
    partial: float
    adjusted: Estimate


@dataclass(frozen=True, kw_only=True)
class Split:
    """A variance split: its factors, the share that none explains, and over what it was made."""

    title: str
    arms: Sequence[str]
    shares: Sequence[Share]
    residual: float
    cells: int
    observations: int
    balanced: bool


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a criterion goes with AUROC over checkpoints: Kendall's tau-b and Spearman's rho."""

    tau: Estimate
    rho: Estimate


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A label-free metric as a criterion: whether more is claimed to be better, its agreement with AUROC, its regret.

    `agreement` has the keys "pooled", "within method", "within level" and "within set and class", as far as there are
    two checkpoints to compare. `regret` is None where some task has no candidate with a value.
    """

    name: str
    members: Sequence[str]
    checkpoints: int
    agreement: Mapping[str, Agreement]
    regret: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The regret of a way to choose that looks at no criterion."""

    name: str
    regret: Estimate


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The criterion that was best on the other sets, judged on each set left out, against half of a random pick.

    `chosen` is the criterion by set left out; `excess` is its regret minus half of the random pick's.
    """

    chosen: Mapping[str, str]
    regret: Estimate
    excess: Estimate
    verdict: WildVerdict
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper, and what this study says of it, with the number behind it."""

    claim: str
    verdict: WildVerdict
    sentence: str
    estimate: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Point:
    """One checkpoint: its AUROC by linear probe, and its label-free metrics by name."""

    method: str
    encoder: str
    unit: str
    level: str
    seed: int
    auroc: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class WildRecord:
    """Everything the page of the study shows.

    `left_out` says what the rows did not have; `tasks` is the number of sets, classes, levels and seeds on which all
    arms were run, and so candidates could be chosen among.
    """

    name: str
    version: str
    plan: str
    arms: Sequence[Arm]
    units: Sequence[Unit]
    levels: Sequence[str]
    seeds: Sequence[int]
    cells: Sequence[WildCell]
    gains: Sequence[Gain]
    beaten: Sequence[Beaten]
    splits: Sequence[Split]
    criteria: Sequence[Criterion]
    references: Sequence[Reference]
    confirmation: Confirmation | None
    claims: Sequence[Claim]
    points: Sequence[Point]
    tasks: int
    left_out: Sequence[str] = ()
