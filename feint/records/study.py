"""What a study has found, as the report reads it: plain tables and arrays, no torch.

The table of results (`ROW_COLUMNS`) has one row per cell, task and metric. `task` is unique in a study:
`cifar10/controlled/3/flip`, `mnist/one-vs-one/2/7`, `tile/defect-types/good/crack`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

ROW_COLUMNS = (
    "detector",
    "augmentation",
    "data",
    "testbed",
    "task",
    "normal",
    "anomaly",
    "seed",
    "metric",
    "value",
    "status",
)
CELL_COLUMNS = ("key", "detector", "augmentation", "data", "normal", "seed", "status", "reason", "seconds")
GROUPS = ("train normal", "pseudo-anomalous", "test normal", "test anomalous")

Verdict = Literal["confirmed", "not confirmed", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One hypothesis of the declared family, and what the study says of it.

    `sentence` says the answer in words with its numbers; `low` and `high` bound `value` at 95 %.
    """

    hypothesis: str
    verdict: Verdict
    sentence: str
    value: float
    low: float
    high: float
    clusters: int
    tasks: int


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One cell looked at closely, for one of its tasks; every mapping has the keys `GROUPS`, as far as there are any.

    `scores` (n,), higher = more anomalous; `embeddings` (m, d); `pictures` (k, c, h, w) uint8 and their anomaly `maps`
    (k, h, w). `vanilla` are the scores of the vanilla counterpart on the same images, where it was run.
    `relative` is this task's AUROC minus that of the vanilla counterpart.
    """

    detector: str
    augmentation: str
    data: str
    normal: str
    anomaly: str
    seed: int
    aligned: bool | None
    auroc: float
    relative: float
    scores: Mapping[str, NDArray[np.floating]]
    embeddings: Mapping[str, NDArray[np.floating]]
    pictures: Mapping[str, NDArray[np.uint8]]
    maps: Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """Everything the report of a study shows.

    `rows` has the columns `ROW_COLUMNS`, `cells` the columns `CELL_COLUMNS`; `reference` maps a detector to its vanilla
    counterpart (a detector's name, or "half" for an AUROC of 0.5); `categories` an augmentation to its category.
    `excluded` says which tasks the plan's rule leaves out for which detector: `rows` no longer has them. `left_out` are
    combinations without a meaning.
    """

    name: str
    plan: str
    version: str
    reference: Mapping[str, str]
    categories: Mapping[str, str]
    rows: pd.DataFrame
    cells: pd.DataFrame
    findings: Sequence[Finding] = ()
    excluded: Sequence[str] = ()
    left_out: Sequence[str] = ()
    panels: Sequence[Panel] = field(default=())
