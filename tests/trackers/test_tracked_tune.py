"""What TensorBoard and MLflow hold of a tuning is what its own folder holds; they change nothing of it."""

import socket
from pathlib import Path

import numpy as np
import pytest
import small_runs
import torch
from PIL import Image
from tracked_runs import artifacts, events, in_log, in_mlflow, in_tensorboard, mlflow_runs

import feint
from feint.runs import candidates
from feint.runs.settings import BUDGETS

OPTIONS = {"budget": "quick", "augmentations": [small_runs.AUGMENTATION]}
TRACKERS = ["tensorboard", "mlflow"]


def no_network(*_):
    raise AssertionError("something was sent")


@pytest.fixture(scope="module")
def tracked(tmp_path_factory, folders) -> feint.Run:
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("FEINT_CORES", "1")
        changed.setitem(BUDGETS, "quick", small_runs.BUDGET)
        changed.setattr(candidates, "AUTOENCODER", small_runs.AUTOENCODER)
        changed.setattr(socket.socket, "connect", no_network)
        run = feint.tune(
            *folders, out=tmp_path_factory.mktemp("a place, tracked") / "run", trackers=TRACKERS, **OPTIONS
        )
    torch.set_num_threads(threads)
    return run


@pytest.fixture(scope="module")
def store(tracked) -> Path:
    return tracked.path.parent / "mlruns"


@pytest.fixture(scope="module")
def board(tracked) -> Path:
    return tracked.path.parent / "tensorboard" / "run"


def test_tracking_changes_no_bit_of_the_run(tracked, finished):
    for name in ("scores.csv", "normals.csv", "model.safetensors", "metrics.jsonl"):
        assert (tracked.path / name).read_bytes() == (finished.path / name).read_bytes()


def test_every_row_of_the_log_is_there_once(tracked, store, board):
    logged = in_log(tracked.path / "metrics.jsonl")
    (run,) = mlflow_runs(store, "tune")
    exact, rounded = in_mlflow(store, run), in_tensorboard(board)
    assert len(logged) > 20
    assert logged == {key: exact[key] for key in logged}
    assert {key: float(np.float32(value)) for key, value in logged.items()} == {key: rounded[key] for key in logged}
    assert exact.keys() == rounded.keys()


def test_criteria_magnitudes_and_landscapes(tracked, store):
    (run,) = mlflow_runs(store, "tune")
    found, record = in_mlflow(store, run), tracked.record
    judged = [each for each in record.candidates if each.criterion]
    assert judged
    for each in judged:
        ends = each.criterion.low, each.criterion.value, each.criterion.high
        assert tuple(found[f"criterion/{each.name}{end}", 0] for end in (".low", "", ".high")) == ends
    (landscape,) = record.landscapes
    for i, point in enumerate(landscape.points):
        assert found["landscape/cutdiff-32x32px.criterion", i] == point.two_sample_auroc
        for name, value in point.magnitudes.items():
            assert found[f"landscape/cutdiff-32x32px.{name}", i] == value
    for share in record.choice.shares:
        for name, drawn in share.magnitudes.items():
            key = f"magnitude/{share.candidate}.{name}"
            assert (found[f"{key}-low", 0], found[f"{key}-high", 0]) == drawn
        assert found[f"weight/{share.candidate}", 0] == share.weight
    assert found["final/flagged", 0] == record.found.flagged == tracked.scores.flagged.sum()


def test_the_pictures_of_the_page(store, board):
    (run,) = mlflow_runs(store, "tune")
    read = events(board)
    shown = {str(path.relative_to(artifacts(store, run) / "pictures").with_suffix("")): path
             for path in (artifacts(store, run) / "pictures").rglob("*.png")}  # fmt: skip
    assert shown.keys() == set(read.Tags()["images"])
    assert {"anomalous/01", "anomalous/01-map", "normal/01", "suspicious/01"} <= shown.keys()
    assert any(name.startswith("pseudo-anomalies/") for name in shown)
    for name, path in shown.items():
        (picture,) = read.Images(name)
        with Image.open(path) as image:
            assert (picture.width, picture.height) == image.size


def test_the_files_of_the_run(tracked, store, board):
    (run,) = mlflow_runs(store, "tune")
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    assert run.data.params["seed"] == "0"
    for name in ("run.json", "scores.csv", "metrics.jsonl", "report.html", "card.md"):
        assert (artifacts(store, run) / name).read_bytes() == (tracked.path / name).read_bytes()
    (card,) = events(board).Tensors("files/card.md")
    assert card.tensor_proto.string_val[0].decode() == (tracked.path / "card.md").read_text()


class Stopped:
    """A monitor that presses Ctrl-C as a phase begins."""

    def __init__(self, phase: str) -> None:
        self.stop = phase
        self.told: list[str] = []

    def say(self, text: str) -> None:
        self.told.append(text)

    def phase(self, name: str) -> None:
        if name == self.stop:
            raise KeyboardInterrupt

    def advance(self, done: float, total: float) -> None:
        pass


@pytest.mark.usefixtures("small")
def test_a_resumed_run_is_told_once(folders, tracked, tmp_path):
    out, store = tmp_path / "run", tmp_path / "mlruns"
    with pytest.raises(KeyboardInterrupt):
        feint.tune(*folders, out=out, trackers=TRACKERS, monitor=Stopped("choosing without labels"), **OPTIONS)
    (run,) = mlflow_runs(store, "tune")
    assert run.info.status == "KILLED"
    assert in_mlflow(store, run)
    logs = tmp_path / "run.partial/logs"
    cut = logs / "final-0.jsonl"
    cut.write_text('{"job": "final-0", "voter": 0, "step": 0, "training_loss": 99.0}\n{"job": "fin')

    feint.tune(*folders, out=out, trackers=TRACKERS, resume=True, **OPTIONS)
    (run,) = mlflow_runs(store, "tune")
    logged = in_log(out / "metrics.jsonl")
    assert run.info.status == "FINISHED"
    assert logged == in_log(tracked.path / "metrics.jsonl")
    found = in_mlflow(store, run)
    assert logged == {key: found[key] for key in logged}
    assert found.keys() == in_tensorboard(tmp_path / "tensorboard/run").keys()
    assert len(list((tmp_path / "tensorboard").rglob("events*"))) == 1
