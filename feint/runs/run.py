"""A finished run, as its folder holds it."""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from feint.core.errors import InputError, IntegrityError
from feint.records.refit import RefitRecord
from feint.records.run import RunRecord

if TYPE_CHECKING:
    import pandas as pd

    from feint.runs.model import Model

REFIT = "refit.json"
COLUMNS: dict[Hashable, type] = {"path": str, "score": float, "p_value": float, "flagged": int}


class Run:
    """What `tune` returns: the folder's records and tables, read when asked for.

    Raises: InputError where `path` is no run.

    Attributes:
        path: the folder; `path / "report.html"` is the page for people.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            trouble = "is not a run: it has no run.json" if self.path.exists() else "does not exist"
            hint = (
                f" An unfinished one lies in {self.path}.partial: finish it with --resume."
                if Path(f"{self.path}.partial").exists()
                else ""
            )
            raise InputError(f"{self.path} {trouble}. Give the folder that feint tune wrote.{hint}")

    @cached_property
    def record(self) -> RunRecord:
        """Settings, data, candidates, choice, calibration: run.json."""
        path = self.path / "run.json"
        try:
            return RunRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
            raise IntegrityError(
                f"{path} was cut short or changed: {str(error).splitlines()[0]}. Tune again."
            ) from error

    @cached_property
    def refitted(self) -> RefitRecord | None:
        """How this run compares with the one it was refitted from: refit.json; None where it is no refit."""
        path = self.path / REFIT
        if not path.is_file():
            return None
        try:
            return RefitRecord.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise IntegrityError(f"{path} was cut short or changed: copy it again, or refit again.") from error

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per unlabelled image, highest score first: path, score, p_value, flagged."""
        return self._table("scores.csv")

    @cached_property
    def normals(self) -> pd.DataFrame:
        """The same for the normal images, each scored by a detector that was not trained on it."""
        return self._table("normals.csv")

    @cached_property
    def model(self) -> Model:
        """The detector with its calibration."""
        from feint.runs.model import Model

        return Model.load(self.path)

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        path = self.path / name
        try:
            table = pd.read_csv(path, dtype=COLUMNS, keep_default_na=False)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise IntegrityError(f"{path} is missing, cut short or changed: {reason}. Tune again.") from error
        if list(table) != list(COLUMNS):
            raise IntegrityError(f"{path} was changed: its columns are {', '.join(map(str, table))}. Tune again.")
        return table

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}): {self.record.found.sentence}"
