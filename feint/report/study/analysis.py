"""The record's rows sorted into comparisons: one detector on one testbed, over one data set or all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from feint.core.streams import numpy_stream
from feint.metrics.arrays import FloatArray
from feint.stats.clusters import cluster_means
from feint.stats.effect_sizes import EffectSizes, effect_sizes
from feint.stats.mean_ranks import MeanRanks, mean_ranks
from feint.stats.relative import Harm, RelativeAuroc, harm, relative_auroc
from feint.stats.wilcoxon import WilcoxonMatrix, wilcoxon_matrix

if TYPE_CHECKING:
    import pandas as pd

    from feint.records.study import StudyRecord

METRIC = "auroc"
HALF = "half"
VANILLA = "none"
DRAWS = 1000
EFFECT_DRAWS = 200

Cluster = tuple[str, str]


@final
@dataclass(frozen=True, kw_only=True)
class Arm:
    """One augmentation on the tasks (rows of `tasks`: data, normal, anomaly) that it shares with its counterpart."""

    auroc: RelativeAuroc
    tasks: pd.DataFrame

    @property
    def clusters(self) -> list[Cluster]:
        return _clusters(self.tasks)

    @cached_property
    def harm(self) -> Harm:
        """Mean relative AUROC and share of tasks hurt, trainings drawn with all of their tasks."""
        generator = numpy_stream(0, "report", "bootstrap")
        return harm(self.auroc, self.clusters, draws=DRAWS, generator=generator)

    @property
    def outcomes(self) -> tuple[int, int, int]:
        """On how many tasks it helped, made no difference, and hurt."""
        x = self.auroc.value
        return int((x > 0).sum()), int((x == 0).sum()), int((x < 0).sum())

    def only(self, wanted: Mapping[str, str]) -> Arm | None:
        """Return this arm on the tasks whose columns have the `wanted` values; None where there is none."""
        keep = np.all([self.tasks[column] == value for column, value in wanted.items()], axis=0)
        if not keep.any():
            return None
        x = self.auroc
        kept = RelativeAuroc(value=x.value[keep], low=x.low[keep], high=x.high[keep], seeds=x.seeds[keep])
        return Arm(auroc=kept, tasks=self.tasks[keep])


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All augmentations of one detector on one testbed, over the data sets `sets`.

    Where `relative` is False there is no vanilla counterpart, and arms hold AUROC itself. `unpaired` counts the tasks
    that lack a counterpart. A testbed has one `leading` comparison, over all that there is.
    """

    detector: str
    reference: str
    testbed: str
    sets: tuple[str, ...]
    relative: bool
    arms: Mapping[str, Arm]
    unpaired: int
    leading: bool

    @property
    def pooled(self) -> bool:
        return len(self.sets) > 1

    @cached_property
    def values(self) -> pd.DataFrame:
        """Relative AUROC, a row per task and a column per augmentation; NaN where it was not run or failed."""
        import pandas as pd

        return pd.DataFrame({name: pd.Series(arm.auroc.value, arm.tasks.index) for name, arm in self.arms.items()})

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """The data, normal and anomaly of each task that any augmentation has."""
        import pandas as pd

        every = pd.concat([arm.tasks for arm in self.arms.values()])
        return every[~every.index.duplicated()].loc[self.values.index]

    @property
    def clusters(self) -> list[Cluster]:
        return _clusters(self.tasks)

    @property
    def seeds(self) -> int:
        return max(int(arm.auroc.seeds.max()) for arm in self.arms.values())

    @cached_property
    def common(self) -> pd.DataFrame:
        """The values of all arms over the tasks that all of them have: tests and ranks are over these.

        The vanilla counterpart is an arm, `none`. An augmentation that has less than half of the tasks is left out,
        lest it cost the others theirs.
        """
        kept = self.values.loc[:, self.values.notna().mean() >= 0.5].dropna()
        if self.relative and self.reference != HALF:
            kept = kept.assign(**{VANILLA: 0.0})
        return kept

    @property
    def comparable(self) -> bool:
        """Whether there are arms enough, and tasks, for tests and ranks."""
        return self.common.shape[1] >= 2 and len(self.common) >= 2

    @cached_property
    def ranks(self) -> MeanRanks:
        """Mean ranks over trainings, each the mean over its tasks."""
        return mean_ranks(cluster_means(self._matrix, self._common_clusters))

    @cached_property
    def tests(self) -> WilcoxonMatrix:
        generator = numpy_stream(0, "report", "signs")
        return wilcoxon_matrix(self._matrix, self._common_clusters, generator=generator)

    @cached_property
    def effects(self) -> EffectSizes:
        generator = numpy_stream(0, "report", "effects")
        return effect_sizes(self._matrix, self._common_clusters, draws=EFFECT_DRAWS, generator=generator)

    @property
    def _matrix(self) -> FloatArray:
        matrix: FloatArray = self.common.to_numpy().T
        return matrix

    @property
    def _common_clusters(self) -> list[Cluster]:
        return _clusters(self.tasks.loc[self.common.index])


def _clusters(tasks: pd.DataFrame) -> list[Cluster]:
    return list(zip(tasks["data"], tasks["normal"], strict=True))


def usable(record: StudyRecord) -> pd.DataFrame:
    """Return the rows with an AUROC; those of excluded tasks are not in the record."""
    rows = record.rows
    rows = rows[(rows["metric"] == METRIC) & (rows["status"] != "failed")]
    rows = rows.assign(value=rows["value"].astype(float))
    return rows[rows["value"].notna()]


def comparisons(record: StudyRecord) -> list[Comparison]:
    """Return every detector's comparisons: on each testbed the one over all data sets first, then one for each."""
    rows = usable(record)
    found: list[Comparison] = []
    for (detector, testbed), own in rows[rows["augmentation"] != VANILLA].groupby(["detector", "testbed"]):
        reference = record.reference.get(str(detector), "")
        plain = rows[(rows["augmentation"] == VANILLA) & (rows["testbed"] == testbed)]
        vanilla = _by_seed(plain[plain["detector"] == reference])
        sets = sorted(own["data"].unique())
        for names in ([sets] if len(sets) > 1 else []) + [[each] for each in sets]:
            here = own[own["data"].isin(names)]
            made = _comparison(here, vanilla, reference=reference, sets=names, leading=len(names) == len(sets))
            found += [made] if made else []
    return found


def _by_seed(rows: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Return AUROC with a row per task and a column per seed, or per key and seed."""
    return rows.pivot_table(index="task", columns=[*keys, "seed"], values="value")


def _comparison(
    rows: pd.DataFrame, vanilla: pd.DataFrame, *, reference: str, sets: Sequence[str], leading: bool
) -> Comparison | None:
    about = rows.groupby("task")[["data", "normal", "anomaly"]].first()
    paired = about.index.isin(vanilla.index)
    relative = reference == HALF or bool(paired.any())
    every = _by_seed(rows, "augmentation")
    arms: dict[str, Arm] = {}
    for augmentation in every.columns.unique("augmentation"):
        auroc = every[augmentation].dropna(how="all")
        against: float | FloatArray = 0.5 if relative else 0.0
        if relative and reference != HALF:
            counterpart = vanilla.reindex(index=auroc.index, columns=auroc.columns)
            shared = (auroc.notna() & counterpart.notna()).any(axis=1)
            auroc, against = auroc[shared], counterpart[shared].to_numpy()
        if not auroc.empty:
            arms[str(augmentation)] = Arm(auroc=relative_auroc(auroc.to_numpy(), against), tasks=about.loc[auroc.index])
    if not arms:
        return None
    return Comparison(
        detector=str(rows["detector"].iloc[0]),
        reference=reference,
        testbed=str(rows["testbed"].iloc[0]),
        sets=tuple(sets),
        relative=relative,
        arms=arms,
        unpaired=0 if reference == HALF or not relative else int((~paired).sum()),
        leading=leading,
    )
