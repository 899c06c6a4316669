"""Label-free metrics as criteria: turned so that higher is claimed to be better, and how they go with AUROC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from feint.core.streams import numpy_stream
from feint.metrics.representations.directions import DIRECTIONS, better
from feint.metrics.representations.neighbourhoods import clid
from feint.records.wild import Agreement, Estimate
from feint.stats.correlation import Method, rank_correlation, rank_correlation_within
from feint.studies.wild_table import FREE, PROBE, drawn

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ["arm", "method", "encoder", "data", "unit", "level", "seed", PROBE]
POOL = ["unit", "level", "seed"]
PLACES = ("", "@projector")
WITHIN = {"within method": "method", "within level": "level", "within set and class": "unit"}


def criteria_of(trained: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the checkpoints with a column per criterion, higher = claimed to be better, and the criteria's names.

    Directions are those of `DIRECTIONS`, fixed before any result. CLID is made here, of the checkpoints of one unit,
    level and seed: it needs a pool. Metrics without a claimed direction are left out.
    """
    table = trained[IDENTITY].copy()
    for column in (each for each in trained.columns if each.startswith(FREE)):
        name = column.removeprefix(FREE)
        key = name.split("@")[0]
        if DIRECTIONS.get(key, "none") != "none":
            table[name] = [better(key, float(value)) for value in trained[column]]
    for place in PLACES:
        parts = [f"{FREE}{key}{place}" for key in ("cluster_learnability", "intrinsic_dimension")]
        if set(parts) <= set(trained.columns):
            table[f"clid{place}"] = _clid(trained, *parts)
    names = [each for each in table.columns if each not in IDENTITY and table[each].notna().any()]
    return table[[*IDENTITY, *names]], names


def _clid(trained: pd.DataFrame, learnability: str, dimension: str) -> pd.Series:
    import pandas as pd

    found = pd.Series(np.nan, index=trained.index)
    whole = trained.dropna(subset=[learnability, dimension])
    for _, pool in whole.groupby(POOL):
        found.loc[pool.index] = clid(pool[learnability].to_numpy(), pool[dimension].to_numpy())
    return found


def agreement(table: pd.DataFrame, name: str) -> dict[str, Agreement]:
    """Return how the criterion `name` goes with AUROC over the checkpoints that have it, pooled and within groups."""
    table = table[np.isfinite(table[name])]
    if len(table) < 2:
        return {}
    found = {"pooled": Agreement(tau=_over_all(table, name, "kendall"), rho=_over_all(table, name, "spearman"))}
    for title, column in WITHIN.items():
        groups = table[column].tolist()
        if len(set(groups)) < len(groups):
            tau, rho = (_within(table, name, groups, method) for method in ("kendall", "spearman"))
            found[title] = Agreement(tau=tau, rho=rho)
    return found


def _over_all(table: pd.DataFrame, name: str, method: Method) -> Estimate:
    generator = numpy_stream(0, "rank correlation")
    return drawn(rank_correlation(table[name], table[PROBE], table["unit"], method=method, generator=generator))


def _within(table: pd.DataFrame, name: str, groups: Sequence[str], method: Method) -> Estimate:
    generator = numpy_stream(0, "rank correlation")
    found = rank_correlation_within(
        table[name], table[PROBE], groups, table["unit"], method=method, generator=generator
    )
    return drawn(found)
