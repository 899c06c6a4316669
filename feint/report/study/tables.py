"""The plain tables of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from feint.report import words
from feint.report.study.analysis import METRIC, VANILLA, usable
from feint.report.study.downloads import Download, download

if TYPE_CHECKING:
    import pandas as pd

    from feint.records.study import StudyRecord

FAILED_COLUMNS = ["key", "detector", "augmentation", "data", "normal", "seed", "reason", "seconds"]
LISTED = 300


@final
@dataclass(frozen=True)
class Table:
    """A table as text and as a file; `numeric` are the columns set to the right; `more` rows only in the file."""

    caption: str
    heads: list[str]
    rows: list[list[str]]
    numeric: set[int]
    file: Download
    more: int = 0


def table(frame: pd.DataFrame, caption: str, *, name: str) -> Table | None:
    """Return `frame` as a table: numbers with three decimals, whole ones as counts; None where it is empty."""
    from pandas.api.types import is_float_dtype, is_numeric_dtype

    if frame.empty:
        return None
    texts = [
        [words.DASH if not np.isfinite(v) else words.decimals(float(v)) for v in column]
        if is_float_dtype(column)
        else [str(v) for v in column]
        for _, column in frame.head(LISTED).items()
    ]
    return Table(
        caption=caption,
        heads=[str(column).replace("_", " ") for column in frame.columns],
        rows=[list(row) for row in zip(*texts, strict=True)],
        numeric={i for i, (_, column) in enumerate(frame.items()) if is_numeric_dtype(column)},
        file=download(frame, name),
        more=max(len(frame) - LISTED, 0),
    )


def absolute(record: StudyRecord) -> Table | None:
    """Return the AUROC of every detector that was run without augmentation, vanilla ones and baselines, best first."""
    rows = usable(record)
    rows = rows[rows["augmentation"] == VANILLA]
    if rows.empty:
        return None
    vanilla = set(record.reference.values())
    found = (
        rows.groupby(["testbed", "data", "detector"])
        .agg(mean_auroc=("value", "mean"), lowest=("value", "min"), highest=("value", "max"), tasks=("task", "nunique"))
        .reset_index()
        .sort_values(["testbed", "data", "mean_auroc"], ascending=[True, True, False])
    )
    found.insert(3, "role", ["vanilla counterpart" if each in vanilla else "baseline" for each in found["detector"]])
    return table(found, "AUROC of the detectors that use no augmentation, best first.", name="baselines")


def metrics(record: StudyRecord) -> Table | None:
    """Return the mean of every other metric by detector, testbed and augmentation."""
    rows = record.rows
    rows = rows[~rows["metric"].isin([METRIC, ""]) & rows["value"].notna() & (rows["status"] != "failed")]
    if rows.empty:
        return None
    keys = ["detector", "testbed", "data", "augmentation"]
    wide = rows.pivot_table(index=keys, columns="metric", values="value").reset_index()
    return table(wide, "Means of the other metrics.", name="metrics")


def failures(record: StudyRecord) -> Table | None:
    """Return every failed cell with its reason."""
    cells = record.cells
    found = cells[cells["status"] == "failed"][FAILED_COLUMNS]
    return table(found.assign(seconds=found["seconds"].astype(float).round(1)), "Failed cells and why.", name="failed")
