"""What trackers hold of a run, read back with their own libraries; and what its folder holds, under the same names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from feint.runs.tracking import row_of

EVERYTHING = {"scalars": 0, "images": 0, "tensors": 0}
Numbers = dict[tuple[str, int], float]


def events(folder: Path) -> EventAccumulator:
    """Return all that TensorBoard reads in a folder."""
    return EventAccumulator(str(folder), size_guidance=EVERYTHING).Reload()


def in_tensorboard(folder: Path) -> Numbers:
    """Return the numbers in a folder of event files; none may be there twice."""
    read = events(folder)
    rows = [(tag, each.step, each.value) for tag in read.Tags()["scalars"] for each in read.Scalars(tag)]
    return once(rows)


def mlflow_runs(store: Path, command: str) -> list[Run]:
    """Return the runs of a command in a store of files."""
    client = MlflowClient(tracking_uri=str(store))
    return list(client.search_runs([client.get_experiment_by_name(f"feint {command}").experiment_id]))


def in_mlflow(store: Path, run: Run) -> Numbers:
    """Return the numbers of an MLflow run; none may be there twice."""
    client = MlflowClient(tracking_uri=str(store))
    names = run.data.metrics
    return once(
        [(name, each.step, each.value) for name in names for each in client.get_metric_history(run.info.run_id, name)]
    )


def artifacts(store: Path, run: Run) -> Path:
    """Return the folder of an MLflow run's artifacts."""
    return Path(store) / run.info.experiment_id / run.info.run_id / "artifacts"


def in_log(path: Path) -> Numbers:
    """Return the numbers of a log of JSON lines, under the names that trackers are told."""
    rows = [row_of(line) for line in path.read_text().splitlines()]
    return once([(name, step, value) for step, numbers in rows for name, value in numbers.items()])


def once(rows: list[tuple[str, int, float]]) -> Numbers:
    """Return numbers by name and step."""
    often = Counter((name, step) for name, step, _ in rows)
    assert {key for key, n in often.items() if n > 1} == set()
    return {(name, step): value for name, step, value in rows}
