"""From a store to what the report shows, and to tables for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import OutputError, SettingError
from feint.core.files import atomic
from feint.records.study import Panel, StudyRecord
from feint.records.wild import WildRecord
from feint.studies.against_random import TUNED_BEATS_RANDOM, beats_random
from feint.studies.findings import GENERATING, excluded_tasks, find, relative_rows
from feint.studies.plan import category_of_augmentation
from feint.studies.plan_file import parse_plan
from feint.studies.store import Store
from feint.studies.wild_findings import read_wild
from feint.studies.wild_plan import WildPlan

if TYPE_CHECKING:
    import pandas as pd

EXTREMES = 3
CLOSE = "close."
CASE = ["detector", "augmentation", "data", "testbed", "normal", "anomaly"]


def export_rows(store: Path, out: Path) -> int:
    """Write one row per cell, task and metric to `out`, .csv or .parquet; returns how many rows.

    Raises: SettingError for another ending; OutputError where Parquet needs an extra, or the disk is full.
    """
    with Store(store) as opened:
        return write_table(opened.rows(), out)


def write_table(rows: pd.DataFrame, out: Path) -> int:
    """Write a table to `out`, .csv or .parquet; returns how many rows. Raises: as `export_rows`."""
    if out.suffix not in {".csv", ".parquet"}:
        raise SettingError(f"a table is written as .csv or .parquet: got {out.name}.")
    with atomic(out) as temporary:
        if out.suffix == ".csv":
            rows.to_csv(temporary, index=False)
        else:
            try:
                rows.to_parquet(temporary, index=False)
            except ImportError as error:
                raise OutputError("Parquet needs pyarrow: pip install 'feint[parquet]', or write .csv.") from error
    return len(rows)


def read_study(store: Path) -> StudyRecord | WildRecord:
    """Return everything the report of a study shows, with the findings on the hypotheses that its plan declares."""
    with Store(store) as opened:
        about, rows, cells, notes = opened.about(), opened.rows(), opened.cells(), opened.notes()
    plan = parse_plan(about["plan"], folder=Path(about["folder"]), check_data=False)
    if isinstance(plan, WildPlan):
        record = read_wild(rows, name=plan.study.name, version=about["version"], plan=about["plan"])
        return replace(record, left_out=[*notes, *record.left_out])
    reference = plan.references()
    categories = {name: category_of_augmentation(name) for name in dict.fromkeys(rows["augmentation"])}
    relative = relative_rows(rows, reference)
    excluded = excluded_tasks(relative, plan.rules.exclude_vanilla_at_least)
    relative, rows = _without(relative, excluded), _without(rows, excluded)
    return StudyRecord(
        name=plan.study.name,
        plan=about["plan"],
        version=about["version"],
        reference=reference,
        categories=categories,
        rows=rows,
        cells=cells,
        findings=[
            beats_random(each, rows) if each.name == TUNED_BEATS_RANDOM else find(each, relative, categories)
            for each in plan.hypotheses
        ],
        excluded=[f"{each.task} for {each.detector}" for each in excluded.itertuples()],
        left_out=json.loads(about["left_out"]),
        panels=list(_panels(store, relative, cells, categories)),
    )


def _without(rows: pd.DataFrame, excluded: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose detector and task are not excluded."""
    import pandas as pd

    left_out = pd.MultiIndex.from_frame(excluded)
    return rows[~pd.MultiIndex.from_frame(rows[["detector", "task"]]).isin(left_out)]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A detector with an augmentation on one task; `value` is its AUROC, the mean over seeds."""

    detector: str
    augmentation: str
    data: str
    testbed: str
    normal: str
    anomaly: str
    value: float
    relative: float


def _panels(store: Path, relative: pd.DataFrame, cells: pd.DataFrame, categories: dict[str, str]) -> Iterator[Panel]:
    """Yield what is looked at closely: where each detector was helped and hurt most, and typical controlled cases."""
    if relative.empty:
        return
    seed = int(cells["seed"].iloc[0])
    with Store(store) as opened:
        keys = opened.keys(seed=seed)
    means = relative.groupby(CASE, as_index=False)[["value", "relative"]].mean()
    for row in _chosen(means, categories).to_dict("records"):
        case = Case(**{str(name): value for name, value in row.items()})
        key = keys.get((case.detector, case.augmentation, case.data, case.normal, case.testbed, case.anomaly))
        path = Store(store).arrays_of(str(key))
        if key is not None and path.exists() and (panel := _panel(path, case, seed, categories)) is not None:
            yield panel


def _chosen(means: pd.DataFrame, categories: dict[str, str]) -> pd.DataFrame:
    """Return the cases to look at, of every detector: the extremes, and the median class of each controlled anomaly."""
    import pandas as pd

    found = []
    for _, mine in means.groupby("detector", sort=False):
        ordered = mine.sort_values("relative", ascending=False)
        found += [ordered.head(EXTREMES), ordered.tail(EXTREMES)[::-1]]
        controlled = mine[mine["testbed"] == "controlled"]
        for kind, category in GENERATING.items():
            tasks = controlled[controlled["anomaly"] == kind]
            aligned = tasks[tasks["augmentation"] == kind].sort_values("relative")
            if not len(aligned):
                continue
            typical = aligned.iloc[[len(aligned) // 2]]
            same = tasks[tasks["normal"].isin(typical["normal"]) & tasks["data"].isin(typical["data"])]
            other = same[same["augmentation"].map(categories) != category].sort_values("relative")
            found += [typical, other.iloc[[len(other) // 2]] if len(other) else other]
    return pd.concat(found).drop_duplicates() if found else means


def _panel(path: Path, case: Case, seed: int, categories: dict[str, str]) -> Panel | None:
    """Return the close-up of one case from the arrays of its cell; None where the cell has none."""
    with np.load(path, allow_pickle=False) as arrays:
        parts = {name.removeprefix(CLOSE): arrays[name] for name in arrays.files if name.startswith(CLOSE)}
    if not parts:
        return None

    def groups(part: str) -> dict[str, NDArray[Any]]:
        normal = f"{part}.test:{case.normal}"
        anomalous = [parts[name] for name in parts if name == f"{part}.test:{case.anomaly}"]
        if not anomalous:  # the rest: all kinds of anomaly
            anomalous = [parts[name] for name in parts if name.startswith(f"{part}.test:") and name != normal]
        found = {
            "train normal": parts[f"{part}.train"],
            "pseudo-anomalous": parts.get(f"{part}.pseudo"),
            "test normal": parts[normal],
            "test anomalous": np.concatenate(anomalous),
        }
        return {name: each for name, each in found.items() if each is not None}

    return Panel(
        detector=case.detector,
        augmentation=case.augmentation,
        data=case.data,
        normal=case.normal,
        anomaly=case.anomaly,
        seed=seed,
        aligned=categories[case.augmentation] == GENERATING[case.anomaly] if case.testbed == "controlled" else None,
        auroc=case.value,
        relative=case.relative,
        scores=groups("scores"),
        embeddings=groups("embeddings"),
        pictures=groups("pictures"),
        maps=groups("maps"),
    )
