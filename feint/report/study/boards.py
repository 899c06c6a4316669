"""What the page shows of one comparison: the table with its drawing, the mean ranks, the p-values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from feint.metrics.arrays import FloatArray
from feint.report import words
from feint.report.study import charts, marks, numbers
from feint.report.study.analysis import VANILLA, Arm, Comparison
from feint.report.study.downloads import Download, download
from feint.stats.clusters import ClusterInterval

if TYPE_CHECKING:
    import pandas as pd

SHADES = (0.005, 0.02, 0.05, 0.1)
LEVELS = (0.05, 0.01, 0.001)
MOST_KINDS = 12


@final
@dataclass(frozen=True)
class Cell:
    """One mean of the heat chart; `aligned` where the augmentation is what made the anomalies."""

    value: float
    shade: str
    aligned: bool


@final
@dataclass(frozen=True)
class Row:
    """One augmentation of a board."""

    augmentation: str
    mark: marks.Mark
    mean: ClusterInterval
    whisker: tuple[float, float, float] | None
    cells: list[Cell]
    hurt: float
    beyond_doubt: float
    outcomes: tuple[int, int, int]
    rank: float
    tasks: int

    @property
    def shade(self) -> str:
        return shade(self.mean.value)


@final
@dataclass(frozen=True)
class Matrix:
    """A heat map of p-values: `rows` are (name, [(shade, text)])."""

    title: str
    note: str
    names: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]


@final
@dataclass(frozen=True)
class Board:
    """Everything shown of one comparison."""

    id: str
    title: str
    comparison: Comparison
    kinds: list[str]
    rows: list[Row]
    scale: charts.Whiskers
    file: Download
    legend: list[marks.Mark]
    diagram: charts.RankDiagram | None
    matrices: list[Matrix]
    pairs: Download | None
    notes: list[str]

    @property
    def framed(self) -> bool:
        """Whether any augmentation makes the very anomalies of a column."""
        return any(cell.aligned for row in self.rows for cell in row.cells)

    @property
    def caption(self) -> str:
        what = "Mean relative AUROC" if self.comparison.relative else "Mean AUROC"
        return f"{what} of {self.comparison.detector} on {self.comparison.testbed}, {self.title}; best first."


def board(comparison: Comparison, *, categories: Mapping[str, str], identity: str) -> Board:
    """Return the board of one comparison, best mean first."""
    kinds = _kinds(comparison)
    means = {name: arm.harm.mean for name, arm in comparison.arms.items()}
    reach = [v for mean in means.values() for v in mean[:3]]
    scale = charts.whiskers(np.array(reach if comparison.relative else [0.5]))
    ranks: dict[str, float] = {}
    if comparison.comparable:
        ranks = dict(zip(map(str, comparison.common), comparison.ranks.ranks.tolist(), strict=True))
    rows = [
        _row(name, arm, comparison=comparison, kinds=kinds, scale=scale, categories=categories, rank=ranks.get(name))
        for name, arm in sorted(comparison.arms.items(), key=lambda item: -means[item[0]].value)
    ]
    names = (comparison.detector, comparison.testbed, *comparison.sets[: 1 if not comparison.pooled else 0])
    return Board(
        id=identity,
        title=f"{numbers.listed(list(comparison.sets))} together" if comparison.pooled else comparison.sets[0],
        comparison=comparison,
        kinds=list(kinds),
        rows=rows,
        scale=scale,
        file=download(_frame(rows, list(kinds), relative=comparison.relative), "mean", *names),
        legend=marks.legend(categories, comparison.arms),
        diagram=_diagram(ranks, comparison, categories) if comparison.comparable else None,
        matrices=_matrices(comparison) if comparison.comparable else [],
        pairs=download(_pairs(comparison), "pairs", *names) if comparison.comparable else None,
        notes=_notes(comparison),
    )


def _kinds(comparison: Comparison) -> dict[str, dict[str, str]]:
    """Return the columns of the heat chart: by kind of anomaly where that has a meaning, else by data set."""
    by_anomaly = {each: {"anomaly": each} for each in sorted(comparison.tasks["anomaly"].unique())}
    if comparison.testbed in {"controlled", "defect-types"} and 1 < len(by_anomaly) <= MOST_KINDS:
        return by_anomaly
    return {each: {"data": each} for each in comparison.sets} if 1 < len(comparison.sets) <= MOST_KINDS else {}


def _row(
    name: str,
    arm: Arm,
    *,
    comparison: Comparison,
    kinds: Mapping[str, Mapping[str, str]],
    scale: charts.Whiskers,
    categories: Mapping[str, str],
    rank: float | None,
) -> Row:
    mean, relative = arm.harm.mean, comparison.relative
    low, high = (v if math.isfinite(v) else mean.value for v in (mean.low, mean.high))
    doubt = arm.harm.beyond_doubt
    return Row(
        augmentation=name,
        mark=marks.category(categories.get(name, "uncategorised")),
        mean=mean,
        whisker=(scale.axis.at(low), scale.axis.at(mean.value), scale.axis.at(high)) if relative else None,
        cells=[_cell(arm, kind, wanted, augmentation=name, relative=relative) for kind, wanted in kinds.items()],
        hurt=arm.harm.hurt.value if relative else math.nan,
        beyond_doubt=doubt.value if doubt and relative else math.nan,
        outcomes=arm.outcomes,
        rank=math.nan if rank is None else rank,
        tasks=mean.tasks,
    )


def _cell(arm: Arm, kind: str, wanted: Mapping[str, str], *, augmentation: str, relative: bool) -> Cell:
    part = arm.only(wanted)
    value = float(part.auroc.value.mean()) if part else math.nan
    return Cell(value, shade(value) if relative else "", aligned="anomaly" in wanted and kind == augmentation)


def shade(value: float) -> str:
    """Return the class that colours a relative AUROC: `gain1` to `gain4`, `loss1` to `loss4`, or none near zero."""
    level = sum(abs(value) >= least for least in SHADES) if math.isfinite(value) else 0
    return f"{'gain' if value > 0 else 'loss'}{level}" if level else ""


def _frame(rows: list[Row], kinds: list[str], *, relative: bool) -> pd.DataFrame:
    import pandas as pd

    what = "mean_relative_auroc" if relative else "mean_auroc"
    return pd.DataFrame(
        [
            {"augmentation": row.augmentation, "category": row.mark.title, what: row.mean.value}
            | {"low": row.mean.low, "high": row.mean.high, "clusters": row.mean.clusters, "tasks": row.tasks}
            | {f"{what}:{kind}": cell.value for kind, cell in zip(kinds, row.cells, strict=True)}
            | {"share_hurt": row.hurt, "share_hurt_beyond_doubt": row.beyond_doubt}
            | (dict(zip(("wins", "ties", "losses"), row.outcomes, strict=True)) if relative else {})
            | {"mean_rank": row.rank}
            for row in rows
        ]
    )


def _diagram(ranks: Mapping[str, float], comparison: Comparison, categories: Mapping[str, str]) -> charts.RankDiagram:
    names, result = [str(name) for name in comparison.common], comparison.ranks
    return charts.rank_diagram(
        ranks,
        categories={VANILLA: VANILLA, **categories},
        critical_difference=result.critical_difference,
        groups=[[names[i] for i in group] for group in result.groups],
    )


def _matrices(comparison: Comparison) -> list[Matrix]:
    tests, names = comparison.tests, [str(name) for name in comparison.common]
    order, tasks = list(comparison.ranks.order), len(comparison.common)
    classes = numbers.counted(tests.clusters, "normal class", "normal classes")
    adjusted = min(1.0, tests.floor * len(names) * (len(names) - 1))
    alone = f"Each pair on its own. With {classes}, no p can be below {words.trimmed(tests.floor)}."
    all_at_once = f"Holds for all pairs at once. With {classes}, no p can be below {words.trimmed(adjusted)}"
    all_at_once += ", so nothing can be decided here." if adjusted >= LEVELS[0] else "."
    return [
        _matrix("By normal class, after Holm", tests.clustered_holm, all_at_once, names, order),
        _matrix("By normal class", tests.clustered, alone, names, order),
        _matrix("By task, after Holm", tests.holm, f"Takes {tasks} tasks for independent: optimistic.", names, order),
        _matrix("By task", tests.p, f"Takes {tasks} tasks for independent: the most optimistic.", names, order),
    ]


def _matrix(title: str, p: FloatArray, note: str, names: list[str], order: list[int]) -> Matrix:
    def cell(i: int, j: int) -> tuple[str, str]:
        level = sum(p[i, j] < least for least in LEVELS)
        return "d" if i == j else f"p{level}" if level else "", numbers.small(float(p[i, j]))

    return Matrix(title, note, [names[j] for j in order], [(names[i], [cell(i, j) for j in order]) for i in order])


def _pairs(comparison: Comparison) -> pd.DataFrame:
    """Return a row for every ordered pair of arms: p-values and, for the leading comparison, effect sizes."""
    import pandas as pd

    tests, names = comparison.tests, np.array(list(comparison.common))
    i, j = np.nonzero(~np.eye(len(names), dtype=bool))
    columns = {
        "better": names[i], "than": names[j], "p": tests.p[i, j], "p_holm": tests.holm[i, j],
        "p_clustered": tests.clustered[i, j], "p_clustered_holm": tests.clustered_holm[i, j],
    }  # fmt: skip
    if not comparison.leading:
        return pd.DataFrame(columns)
    effects = comparison.effects
    for name, effect in (("median_difference", effects.median), ("rank_biserial", effects.rank_biserial)):
        columns |= {name: effect.value[i, j], f"{name}_low": effect.low[i, j], f"{name}_high": effect.high[i, j]}
    columns |= {"wins": effects.wins[i, j], "ties": effects.ties[i, j], "losses": effects.losses[i, j]}
    return pd.DataFrame(columns)


def _notes(comparison: Comparison) -> list[str]:
    """Return what a reader must know before believing the numbers."""
    classes = len(set(comparison.clusters))
    notes = []
    if not comparison.relative:
        counterpart = f"the vanilla counterpart {comparison.reference!r}" if comparison.reference else "a counterpart"
        notes.append(f"There is no result of {counterpart} here, so absolute AUROC is shown, not relative.")
    if comparison.unpaired:
        notes.append(f"{numbers.counted(comparison.unpaired, 'task')} without a vanilla result count for nothing here.")
    if classes == 1:
        notes.append("All tasks share one normal class: one training says nothing of another, so there is no interval.")
    elif classes < 5:
        notes.append(f"Only {classes} normal classes: the intervals are rough, and the tests can hardly decide.")
    left = [name for name in comparison.arms if name not in comparison.common]
    if left:
        notes.append(f"Not ranked, for want of tasks: {numbers.listed(left)}.")
    if comparison.comparable and len(comparison.common) < len(comparison.tasks):
        notes.append(f"Ranks and tests are over the {len(comparison.common)} tasks that all augmentations have.")
    return notes
