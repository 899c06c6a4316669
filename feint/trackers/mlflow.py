"""Runs in MLflow: a local store of files, or whatever tracking URI is named."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import SettingError
from feint.core.tracking import Tracked, Tracker

KEY = "feint.key"
URI = re.compile(r".*://|(file|arn):|databricks$")
DATABASE = re.compile(r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://")
LONGEST_NAME, LONGEST_VALUE, PARAMETERS_AT_ONCE = 250, 500, 100
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


@final
class MLflow(Tracker):
    """One MLflow run in the experiment `feint COMMAND` of a store; `place` None is the folder `mlruns` beside the run.

    A resumed run takes up the MLflow run of its earlier attempt, found by the tag `feint.key`, and adds the steps that
    it lacks. Nothing leaves the machine unless `place` is a URI that says so; MLflow's telemetry is switched off.

    Args:
        place: a folder, or a tracking URI: `http://HOST:PORT`, `databricks`, or `sqlite:///FILE`, for which all of
            MLflow is needed. A folder of the name `databricks` is `./databricks`.

    Raises: SettingError where MLflow, or what it needs for a database, is not installed.
    """

    name = "mlflow"

    def __init__(self, place: str | Path | None = None) -> None:
        if find_spec("mlflow") is None:
            raise SettingError("MLflow is not installed: pip install 'feint[mlflow]'.")
        if DATABASE.match(str(place)) and find_spec("sqlalchemy") is None:
            raise SettingError(f"{place} is a database, for which all of MLflow is needed: pip install mlflow.")
        self.place = place

    def begin(self, run: Tracked) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        place = str(self.place or run.out.parent / "mlruns")
        self._client = MlflowClient(tracking_uri=place if URI.match(place) else Path(place).absolute().as_uri())
        experiment = self._experiment(f"feint {run.command}")
        earlier = self._earlier(experiment, run.key) if run.resumed else None
        self._kept: dict[str, set[int]] | None = {} if earlier else None
        if earlier:
            self._client.update_run(earlier, status="RUNNING")
        self._run: str = (
            earlier or self._client.create_run(experiment, run_name=run.name, tags={KEY: run.key}).info.run_id
        )
        values = [Param(_fitting(name), str(value)[:LONGEST_VALUE]) for name, value in run.settings.items()]
        for i in range(0, len(values), PARAMETERS_AT_ONCE):
            self._client.log_batch(self._run, params=values[i : i + PARAMETERS_AT_ONCE])

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = {_fitting(name): value for name, value in values.items()}
        told = [Metric(name, value, now, step) for name, value in new.items() if not self._has(name, step)]
        if told:
            self._client.log_batch(self._run, metrics=told)

    def picture(self, name: str, image: NDArray[np.uint8]) -> None:
        self._client.log_image(self._run, image, f"pictures/{_fitting(name)}.png")

    def end(self, files: Sequence[Path], *, finished: bool) -> None:
        for each in files:
            self._client.log_artifact(self._run, str(each))
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        made: str = found.experiment_id if found else self._client.create_experiment(name)
        return made

    def _earlier(self, experiment: str, key: str) -> str | None:
        """Return the latest MLflow run of this key."""
        found = self._client.search_runs(
            [experiment], f"tags.`{KEY}` = '{key}'", order_by=["attributes.start_time DESC"], max_results=1
        )
        return found[0].info.run_id if found else None

    def _has(self, name: str, step: int) -> bool:
        """Whether an earlier attempt has told this number."""
        if self._kept is None:
            return False
        if name not in self._kept:
            self._kept[name] = {each.step for each in self._client.get_metric_history(self._run, name)}
        return step in self._kept[name]


def _fitting(name: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^\w\-. :/]|\.\.|^[/.]|(?<=/)[/.]", "_", name, flags=re.ASCII)[:LONGEST_NAME]
