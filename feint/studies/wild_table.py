"""The rows of a study of representations as one table of checkpoints, and how its numbers are summed up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from feint.records.wild import Arm, Estimate, Unit
from feint.stats.clusters import ClusterInterval
from feint.stats.student import student_interval

if TYPE_CHECKING:
    import pandas as pd

KEY = ["detector", "augmentation", "data", "testbed", "normal", "anomaly", "seed"]
PROBE = "auroc"
FREE = "free:"
SUPERVISED_PROBES = ("auroc:probe-", "auroc:few-", "auroc:natural")
FEWEST_UNITS = 3
UNTRAINED, SUPERVISED = "untrained", "supervised"
MASKED = "mae"


def checkpoints(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per finished checkpoint that has a linear probe: what it is, and a column for each metric.

    The columns `arm`, `method`, `encoder`, `kind`, `unit`, `level` and `seed` say what it is; a metric that a
    checkpoint does not have is NaN.

    Args:
        rows: a table with the columns `ROW_COLUMNS`; the detector is METHOD/ENCODER, the testbed the level.
    """
    done = rows[(rows["status"] == "done") & rows["value"].notna()]
    wide = done.pivot_table(index=KEY, columns="metric", values="value").reset_index()
    wide = wide[wide[PROBE].notna()] if PROBE in wide else wide.iloc[:0].assign(**{PROBE: 0.0})
    parts = [str(detector).partition("/") for detector in wide["detector"]]
    methods = [method for method, _, _ in parts]
    views = wide.groupby(["detector", "data"])["augmentation"].nunique()
    several = wide["detector"].isin(views[views > 1].index.get_level_values("detector"))
    arm = wide["detector"].where(~several, wide["detector"] + " (" + wide["augmentation"] + ")")
    named = wide.assign(arm=arm, method=methods, encoder=[encoder for _, _, encoder in parts], kind=_kinds(methods))
    named = named.assign(level=wide["testbed"], unit=_titles(named))
    named.columns.name = None
    return named.reset_index(drop=True)


def _kinds(methods: Iterable[str]) -> list[str]:
    return [
        UNTRAINED if each == UNTRAINED else SUPERVISED if each.startswith(SUPERVISED) else "method" for each in methods
    ]


def _titles(table: pd.DataFrame) -> list[str]:
    """Return the shortest title of each unit: the set, with its normal class and anomaly where it has several."""
    normals = table.groupby("data")["normal"].nunique().to_dict()
    anomalies = table.groupby(["data", "normal"])["anomaly"].nunique().to_dict()
    return [
        " ".join(
            [data]
            + ([normal] if normals[data] > 1 else [])
            + ([f"against {anomaly}"] if anomalies[data, normal] > 1 else [])
        )
        for data, normal, anomaly in table[["data", "normal", "anomaly"]].astype(str).itertuples(index=False)
    ]


def arms_of(table: pd.DataFrame) -> list[Arm]:
    """Return the arms, methods first and by name."""
    order = {"method": 0, SUPERVISED: 1, UNTRAINED: 2}
    found = table.drop_duplicates("arm")[["arm", "method", "encoder", "kind"]].itertuples(index=False)
    arms = [Arm(name=arm, method=method, encoder=encoder, kind=kind) for arm, method, encoder, kind in found]
    return sorted(arms, key=lambda each: (order[each.kind], each.method, each.encoder, each.name))


def units_of(table: pd.DataFrame) -> list[Unit]:
    """Return the units of inference, by title."""
    found = table.drop_duplicates("unit")[["data", "normal", "anomaly", "unit"]].astype(str).sort_values("unit")
    return [
        Unit(data=data, normal=normal, anomaly=anomaly, title=title)
        for data, normal, anomaly, title in found.itertuples(index=False)
    ]


def levels_of(table: pd.DataFrame) -> list[str]:
    """Return the levels from the fewest anomalies to the most; those that name no percentage come last."""
    return sorted(set(table["level"]), key=lambda level: (share_of(level), level))


def share_of(level: str) -> float:
    """Return the share of anomalies that a level names, infinite where it names none.

    Example:
        >>> share_of("2%"), share_of("natural")
        (0.02, inf)
    """
    try:
        return float(level.removesuffix("%")) / 100 if level.endswith("%") else float("inf")
    except ValueError:
        return float("inf")


def over_units(values: pd.Series) -> Estimate:
    """Return the mean over units, each with its own mean of `values` (index: unit), with Student's interval.

    It is trusted with three units or more.
    """
    means = values.groupby(level=0).mean().to_numpy(dtype=np.float64)
    return repeated(means, fewest=FEWEST_UNITS)


def repeated(values: np.ndarray, *, fewest: int = 2) -> Estimate:
    """Return the mean of repetitions with Student's interval; NaN without any."""
    if not values.size:
        nan = float("nan")
        return Estimate(value=nan, low=nan, high=nan, repetitions=0, trusted=False)
    value, low, high = student_interval(values)
    return Estimate(value=value, low=low, high=high, repetitions=values.size, trusted=values.size >= fewest)


def drawn(found: ClusterInterval) -> Estimate:
    """Return the bootstrap interval over units as the page shows it."""
    return Estimate(
        value=found.value, low=found.low, high=found.high, repetitions=found.clusters, trusted=found.trusted
    )
