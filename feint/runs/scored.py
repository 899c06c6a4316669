"""What scoring new images gives, whatever program scored them; no torch."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from feint.calibration.drift import drifted
from feint.records.run import Skipped

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike

FEWEST_FOR_DRIFT = 20


@final
@dataclass(frozen=True)
class Scored:
    """The table (path, score, p_value, flagged; highest score first), what was skipped, and a drift warning if any."""

    table: pd.DataFrame
    skipped: list[Skipped] = field(default_factory=list)
    drift: str | None = None


def score_table(names: list[str], scores: np.ndarray, p_values: np.ndarray, flagged: np.ndarray) -> pd.DataFrame:
    """Return the table (path, score, p_value, flagged) of n images, highest score first."""
    import pandas as pd

    table = pd.DataFrame({"path": names, "score": scores, "p_value": p_values, "flagged": flagged.astype(int)})
    return table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)


def csv_text(table: pd.DataFrame) -> str:
    """Return a table with the column path as CSV; a carriage return in a path is quoted, which pandas leaves out."""
    odd = table["path"].str.contains("\r", regex=False).any()
    text: str = table.to_csv(
        index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if odd else csv.QUOTE_MINIMAL
    )
    return text


def drift_warning(calibration: ArrayLike, scores: np.ndarray) -> str | None:
    """Return a sentence if the bulk of new scores (n,) has left the calibration's; None below 20, or without these."""
    import numpy as np

    if len(scores) < FEWEST_FOR_DRIFT or not np.size(calibration):
        return None
    found = drifted(calibration, scores)
    return found.sentence if found.warns else None
