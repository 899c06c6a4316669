"""What TensorBoard and MLflow hold of a pretraining is what its log holds, resumed or not."""

import numpy as np
import pytest
from small_pretraining import SETTINGS, StoppedAt, image_folder
from tracked_runs import artifacts, in_log, in_mlflow, in_tensorboard, mlflow_runs

import feint
from feint.runs import chronicle

TRACKERS = ["tensorboard", "mlflow"]


@pytest.fixture
def images(small, tmp_path, monkeypatch):
    monkeypatch.setattr(chronicle, "SAVES", 4)
    return image_folder(tmp_path / "images")


def compare(folder, out):
    logged = in_log(out / "log.jsonl")
    (run,) = mlflow_runs(folder / "mlruns", "pretrain")
    assert run.info.status == "FINISHED"
    assert in_mlflow(folder / "mlruns", run) == logged
    rounded = {key: float(np.float32(value)) for key, value in logged.items()}
    assert in_tensorboard(folder / "tensorboard" / out.name) == rounded
    for name in ("pretraining.json", "log.jsonl", "card.md"):
        assert (artifacts(folder / "mlruns", run) / name).read_bytes() == (out / name).read_bytes()
    return logged


def test_every_step_with_its_alarms(images, tmp_path):
    record = feint.pretrain(images, out=tmp_path / "run", trackers=TRACKERS, **SETTINGS)
    logged = compare(tmp_path, tmp_path / "run")
    steps = range(1, SETTINGS["steps"] + 1)
    assert {(name, step) for name in ("loss", "rate", "images_per_second") for step in steps} <= logged.keys()
    assert logged["alarms", steps[-1]] == len([each for each in record.warnings if f"step {steps[-1]}" in each.message])


@pytest.mark.parametrize("step", [1, 5, 7])
def test_a_resumed_pretraining_is_told_once(images, tmp_path, step):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        feint.pretrain(images, out=out, trackers=TRACKERS, monitor=StoppedAt(step), **SETTINGS)
    (run,) = mlflow_runs(tmp_path / "mlruns", "pretrain")
    assert run.info.status == "KILLED"
    feint.pretrain(images, out=out, trackers=TRACKERS, resume=True, **SETTINGS)
    losses = {key: value for key, value in in_log(out / "log.jsonl").items() if key[0] != "images_per_second"}
    (run,) = mlflow_runs(tmp_path / "mlruns", "pretrain")
    found = in_mlflow(tmp_path / "mlruns", run)
    assert losses == {key: found[key] for key in losses}
    assert found.keys() == in_log(out / "log.jsonl").keys()
    assert in_tensorboard(tmp_path / "tensorboard/run").keys() == found.keys()
