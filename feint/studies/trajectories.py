"""The paths that tuned magnitudes took, from the arrays of the cells into one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from feint.studies.scoring import TUNING
from feint.studies.store import Store

if TYPE_CHECKING:
    import pandas as pd

CELL = ("detector", "augmentation", "data", "normal", "task", "seed")
PATH = ("start", "status", "variance", "chosen", "update", "loss", "magnitude", "value")


def read_trajectories(store: Path) -> pd.DataFrame:
    """Return the tuned magnitudes of a study, one row per cell, start, update and magnitude.

    Columns: detector, augmentation, data, normal, task, seed; start, its status, its variance S and whether it was
    chosen; update, loss (L_val), magnitude (its name) and value. A study that tuned nothing gives no rows.
    """
    import pandas as pd

    with Store(store) as opened:
        cells = opened.cells()
        parts = [
            _table(path).assign(**{name: getattr(cell, name) for name in CELL})
            for cell in cells[cells["status"] == "done"].itertuples()
            if (path := opened.arrays_of(str(cell.key))).exists()
        ]
    columns = [*CELL, *PATH]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def _table(path: Path) -> pd.DataFrame:
    """Return the paths in the arrays of one cell; no rows where it tuned nothing."""
    import pandas as pd

    with np.load(path, allow_pickle=False) as arrays:
        if f"{TUNING}chosen" not in arrays.files:
            return pd.DataFrame(columns=list(PATH))
        found = {name.removeprefix(TUNING): arrays[name] for name in arrays.files if name.startswith(TUNING)}
    start, update, magnitude = (each.ravel() for each in np.indices(found["magnitudes"].shape))
    table = pd.DataFrame(
        {
            "start": start,
            "status": found["statuses"][start],
            "variance": found["variances"][start],
            "chosen": start == int(found["chosen"]),
            "update": update,
            "loss": found["losses"][start, update],
            "magnitude": found["names"][magnitude],
            "value": found["magnitudes"].ravel(),
        }
    )
    return table.dropna(subset="value")
