"""The hypotheses a plan can declare, and what a study's rows say of each of them.

Every hypothesis is about relative AUROC: an arm's AUROC minus that of its vanilla counterpart on the same task and
seed, seeds averaged first. Intervals are bootstraps over clusters (data set, normal class): the tasks of one trained
model stand or fall together. A hypothesis about an interval is confirmed where all of it lies on the claimed side, not
confirmed where all of it lies on the other, and undecided between, or where fewer than five clusters speak.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feint.core.streams import numpy_stream
from feint.metrics.arrays import FloatArray
from feint.records.study import Finding, Verdict
from feint.stats.aligned_contrast import aligned_contrast
from feint.stats.cluster_bootstrap import cluster_mean
from feint.stats.clusters import ClusterInterval
from feint.studies.plan import Hypothesis, HypothesisName

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 4000
GENERATING = {"flip": "geometric", "cutout": "local", "invert": "color"}
WILD = {"one-vs-one", "one-vs-rest"}
QUIET = {"local", "elementwise"}
WINNER = 0.5
HURT = 0.25


@dataclass(frozen=True, kw_only=True)
class Table:
    """Relative AUROC of one detector: `values` (arms, tasks), and what the arms and tasks are."""

    values: FloatArray
    arms: list[str]
    categories: list[str]
    anomalies: list[str]
    clusters: list[Hashable]


def relative_rows(rows: pd.DataFrame, reference: Mapping[str, str]) -> pd.DataFrame:
    """Return the finished AUROC rows of every detector with a vanilla counterpart, with a column `relative`.

    Args:
        rows: a table with the columns `ROW_COLUMNS`. reference: detector -> vanilla counterpart, or "half".
    """
    done = rows[(rows["status"] == "done") & (rows["metric"] == "auroc")]
    parts = []
    for detector, vanilla in reference.items():
        mine = done[done["detector"] == detector]
        if vanilla == "half":
            parts.append(mine.assign(vanilla=0.5))
            continue
        plain = done[(done["detector"] == vanilla) & (done["augmentation"] == "none")]
        parts.append(
            mine.merge(plain[["task", "seed", "value"]].rename(columns={"value": "vanilla"}), on=["task", "seed"])
        )
    import pandas as pd

    found = pd.DataFrame(pd.concat(parts) if parts else done.iloc[:0].assign(vanilla=0.0))
    found["relative"] = found["value"] - found["vanilla"]
    return found


def excluded_tasks(relative: pd.DataFrame, least: float | None) -> pd.DataFrame:
    """Return the (detector, task) pairs whose vanilla counterpart reaches `least` on the mean over seeds."""
    means = relative.groupby(["detector", "task"], as_index=False).agg({"vanilla": "mean"})
    return means[means["vanilla"] >= (2.0 if least is None else least)][["detector", "task"]]


def find(hypothesis: Hypothesis, relative: pd.DataFrame, categories: Mapping[str, str]) -> Finding:
    """Return what the rows of relative AUROC (excluded tasks left out) say of a hypothesis.

    Tasks that some arm has not finished are left out for all arms, so that all are compared on the same.
    """
    mine = relative[relative["detector"] == hypothesis.detector]
    if hypothesis.data:
        mine = mine[mine["data"].isin(hypothesis.data)]
    claim = CLAIMS[hypothesis.name]
    mine = mine[mine["testbed"].isin({"controlled"} if claim.controlled else WILD)]
    table = _table(mine, categories)
    if table is None:
        return silent(_title(hypothesis), "no task was finished by all arms")
    return told(_title(hypothesis), *claim.judge(table))


def _table(rows: pd.DataFrame, categories: Mapping[str, str]) -> Table | None:
    wide = rows.pivot_table(index="augmentation", columns="task", values="relative").dropna(axis=1)
    if wide.empty:
        return None
    tasks = rows.drop_duplicates("task").set_index("task").loc[wide.columns]
    arms = [str(arm) for arm in wide.index]
    return Table(
        values=wide.to_numpy(),
        arms=arms,
        categories=[categories[arm] for arm in arms],
        anomalies=[str(each) for each in tasks["anomaly"]],
        clusters=list(zip(tasks["data"], tasks["normal"], strict=True)),
    )


Judged = tuple[ClusterInterval, Verdict, str]


def _aligned_category_first(table: Table) -> Judged:
    targets = [GENERATING[each] for each in table.anomalies]
    found = aligned_contrast(
        table.values,
        table.categories,
        targets,
        table.clusters,
        draws=DRAWS,
        generator=numpy_stream(0, "aligned category"),
    )
    sentence = (
        f"The category of the augmentation that made the anomalies is {_lead(found.value)} the best other category "
        f"{between(found)}."
    )
    return found, above_zero(found), sentence


def _aligned_augmentation_first(table: Table) -> Judged:
    found = aligned_contrast(
        table.values, table.arms, table.anomalies, table.clusters, draws=DRAWS, generator=numpy_stream(0, "aligned arm")
    )
    sentence = f"The augmentation that made the anomalies is {_lead(found.value)} the best other one {between(found)}."
    return found, above_zero(found), sentence


def _misaligned_no_gain(table: Table) -> Judged:
    aligned = np.array([[GENERATING[each] == category for each in table.anomalies] for category in table.categories])
    means = np.ma.masked_array(table.values, mask=aligned).mean(axis=0).filled(np.nan)
    found = _mean(means, table, "misaligned")
    sentence = (
        "Augmentations of other categories than the one that made the anomalies change the AUROC by "
        f"{signed(found.value)} {between(found)}."
    )
    return found, _at_most_zero(found), sentence


def _geometric_first(table: Table) -> Judged:
    targets = ["geometric"] * len(table.anomalies)
    found = aligned_contrast(
        table.values, table.categories, targets, table.clusters, draws=DRAWS, generator=numpy_stream(0, "geometric")
    )
    sentence = f"Geometric augmentations are {_lead(found.value)} the best other category {between(found)}."
    return found, above_zero(found), sentence


def _local_and_elementwise_no_gain(table: Table) -> Judged:
    rows = [i for i, category in enumerate(table.categories) if category in QUIET]
    found = _mean(table.values[rows].mean(axis=0), table, "local and elementwise")
    sentence = f"Local and elementwise augmentations change the AUROC by {signed(found.value)} {between(found)}."
    return found, _at_most_zero(found), sentence


def _no_single_winner(table: Table) -> Judged:
    best = int(table.values.mean(axis=1).argmax())
    wins = (table.values.argmax(axis=0) == best).astype(float)
    found = _mean(wins, table, "winner")
    sentence = (
        f"{table.arms[best]} is best on average, and the best of all on {found.value:.0%} of tasks "
        f"{between(found, share=True)}."
    )
    return found, _below(found, WINNER), sentence


def _self_supervision_hurts(table: Table) -> Judged:
    found = _mean((table.values < 0).mean(axis=0), table, "hurt")
    sentence = (
        f"On {found.value:.0%} of pairs of task and augmentation the AUROC is below that of the vanilla detector "
        f"{between(found, share=True)}."
    )
    return found, _turned(_below(found, HURT)), sentence


@dataclass(frozen=True)
class Claim:
    """What a hypothesis says, on which testbeds, and how it is judged."""

    says: str
    controlled: bool
    judge: Callable[[Table], Judged]


CLAIMS: dict[HypothesisName, Claim] = {
    "aligned-category-first": Claim(
        "the category of the augmentation that made the anomalies ranks first", True, _aligned_category_first
    ),
    "aligned-augmentation-first": Claim(
        "the augmentation that made the anomalies ranks first", True, _aligned_augmentation_first
    ),
    "misaligned-no-gain": Claim(
        "augmentations of other categories are at or below zero relative AUROC", True, _misaligned_no_gain
    ),
    "geometric-first": Claim("geometric augmentations rank first in the wild", False, _geometric_first),
    "local-and-elementwise-no-gain": Claim(
        "local and elementwise augmentations do not help in the wild", False, _local_and_elementwise_no_gain
    ),
    "no-single-winner": Claim(
        f"the best augmentation on average is the best one on fewer than {WINNER:.0%} of tasks",
        False,
        _no_single_winner,
    ),
    "self-supervision-hurts": Claim(
        f"self-supervision hurts on more than {HURT:.0%} of pairs of task and augmentation",
        False,
        _self_supervision_hurts,
    ),
}


def _mean(values: FloatArray, table: Table, name: str) -> ClusterInterval:
    return cluster_mean(values, table.clusters, draws=DRAWS, generator=numpy_stream(0, name))


def above_zero(found: ClusterInterval) -> Verdict:
    """Return the verdict on the claim that a value is above zero."""
    return "confirmed" if found.low > 0 else "not confirmed" if found.high <= 0 else "undecided"


def _at_most_zero(found: ClusterInterval) -> Verdict:
    return "confirmed" if found.high <= 0 else "not confirmed" if found.low > 0 else "undecided"


def _below(found: ClusterInterval, level: float) -> Verdict:
    return "confirmed" if found.high < level else "not confirmed" if found.low > level else "undecided"


def _turned(verdict: Verdict) -> Verdict:
    turned: dict[Verdict, Verdict] = {"confirmed": "not confirmed", "not confirmed": "confirmed"}
    return turned.get(verdict, verdict)


def told(title: str, interval: ClusterInterval, verdict: Verdict, sentence: str) -> Finding:
    """Return what was found; `undecided` where too few clusters speak."""
    return Finding(
        hypothesis=title,
        verdict=verdict if interval.trusted else "undecided",
        sentence=sentence,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        clusters=interval.clusters,
        tasks=interval.tasks,
    )


def silent(title: str, why: str) -> Finding:
    """Return the finding that nothing can be said, and why."""
    nan = float("nan")
    return told(title, ClusterInterval(nan, nan, nan, 0, 0), "undecided", f"Nothing can be said: {why}.")


def where(hypothesis: Hypothesis) -> str:
    """Return the detector of a hypothesis and the data sets it is about."""
    return f"{hypothesis.detector}{' on ' + ' and '.join(hypothesis.data) if hypothesis.data else ''}"


def _title(hypothesis: Hypothesis) -> str:
    return f"{where(hypothesis)}: {CLAIMS[hypothesis.name].says}"


def signed(value: float) -> str:
    """Return a number with its sign, to three decimals."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _lead(value: float) -> str:
    return f"{abs(value):.3f} AUROC {'ahead of' if value >= 0 else 'behind'}"


def between(found: ClusterInterval, *, share: bool = False) -> str:
    """Return in brackets the interval and what it rests on."""
    if not np.isfinite(found.low):
        return "(one cluster: no interval)"
    low, high = (f"{each:.0%}" if share else signed(each) for each in (found.low, found.high))
    trusted = "" if found.trusted else ", too few to be trusted"
    return f"(95 % interval {low} to {high}; {found.tasks} tasks of {found.clusters} trained normal classes{trusted})"
