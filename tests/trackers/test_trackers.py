"""Each tracker by itself: where it writes, what it refuses, and that a failing one harms nobody."""

import os
import resource
import socket
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tracked_runs import artifacts, events, in_mlflow, in_tensorboard, mlflow_runs

import feint
from feint.core.errors import SettingError
from feint.runs.progress import Silent
from feint.runs.tracking import Following
from feint.trackers import Guarded, MLflow, TensorBoard, Tracked, Tracker, trackers_of

COLOUR = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def tracked(folder: Path, *, key: str = "0123456789ab", resumed: bool = False, name: str = "run") -> Tracked:
    return Tracked(command="tune", out=folder / name, settings={"seed": 0}, key=key, resumed=resumed)


def tell(tracker: Tracker, run: Tracked, *, steps: int = 3) -> None:
    tracker.begin(run)
    for step in range(steps):
        tracker.numbers({"loss": 1 / (1 + step), "rate": 0.5}, step=step)
    tracker.end([], finished=True)


class Failing(Tracker):
    """A tracker that fails at one of its methods and remembers what it was told."""

    name = "failing"

    def __init__(self, at: str) -> None:
        self.at, self.told = at, []

    def begin(self, run):
        self._hear("begin")

    def numbers(self, values, *, step):
        self._hear("numbers")

    def picture(self, name, image):
        self._hear("picture")

    def end(self, files, *, finished):
        self._hear("end")

    def _hear(self, method):
        self.told.append(method)
        if method == self.at:
            raise ConnectionError("the server is gone.\nand more")


@pytest.mark.parametrize("at", ["begin", "numbers", "picture", "end"])
def test_a_failing_tracker_is_named_once_and_harms_no_other(tmp_path, at):
    said = []
    failing, board = Failing(at), TensorBoard(tmp_path)
    with Guarded(said.append, [failing, board]) as both:
        both.begin(tracked(tmp_path))
        for step in range(3):
            both.numbers({"loss": 1.0}, step=step)
        both.picture("picture", COLOUR)
    assert said == ["failing failed and is told no more; the run goes on. ConnectionError: the server is gone."]
    assert failing.told.count(at) == 1
    assert failing.told[-1] == at
    assert len(in_tensorboard(tmp_path / "run")) == 3


@contextmanager
def files_of_at_most(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("tracker", [TensorBoard, MLflow])
def test_a_disk_that_is_full_in_the_middle(tmp_path, tracker):
    said = []
    with Guarded(said.append, [tracker(tmp_path / "kept")]) as guarded:
        guarded.begin(tracked(tmp_path))
        guarded.numbers({"loss": 1.0}, step=0)
        with files_of_at_most(2_000):
            for step in range(1, 200):
                guarded.numbers({"loss": 1.0}, step=step)
    (sentence,) = said
    assert sentence.startswith(f"{tracker.name} failed and is told no more")


@pytest.mark.usefixtures("small")
def test_a_run_outlives_its_trackers(folders, finished, tmp_path, capsys):
    (tmp_path / "file").touch()
    failing = Failing("picture")
    spoken = []

    class Monitor:
        say = staticmethod(spoken.append)

        def phase(self, name):
            pass

        def advance(self, done, total):
            pass

    trackers = [failing, TensorBoard(tmp_path / "file"), MLflow(tmp_path / "file")]
    run = feint.tune(
        *folders, out=tmp_path / "run", budget="quick", augmentations=["cutdiff"], trackers=trackers, monitor=Monitor()
    )
    assert (run.path / "scores.csv").read_bytes() == (finished.path / "scores.csv").read_bytes()
    assert sorted(each.split()[0] for each in spoken if "is told no more" in each) == [
        "failing", "mlflow", "tensorboard",
    ]  # fmt: skip


def test_no_server_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        said = []
        Guarded(said.append, [MLflow(f"http://127.0.0.1:{taken.getsockname()[1]}")]).begin(tracked(tmp_path))
    assert len(said) == 1
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_replaces_what_the_same_run_has_told_and_nothing_else(tmp_path):
    tell(TensorBoard(), tracked(tmp_path), steps=5)
    tell(TensorBoard(), tracked(tmp_path, resumed=True), steps=3)
    assert in_tensorboard(tmp_path / "tensorboard/run").keys() == {(n, i) for n in ("loss", "rate") for i in range(3)}
    tell(TensorBoard(), tracked(tmp_path, key="another"), steps=1)
    assert len(in_tensorboard(tmp_path / "tensorboard/run")) == 6
    assert len(in_tensorboard(tmp_path / "tensorboard/run-another")) == 2
    tell(TensorBoard(), tracked(tmp_path, key="another", resumed=True), steps=2)
    assert len(in_tensorboard(tmp_path / "tensorboard/run-another")) == 4


def test_mlflow_takes_up_the_run_of_an_earlier_attempt(tmp_path):
    store = tmp_path / "mlruns"
    tell(MLflow(), tracked(tmp_path), steps=2)
    tell(MLflow(), tracked(tmp_path, resumed=True), steps=4)
    (run,) = mlflow_runs(store, "tune")
    assert in_mlflow(store, run) == {(n, i): v for i in range(4) for n, v in (("loss", 1 / (1 + i)), ("rate", 0.5))}
    tell(MLflow(), tracked(tmp_path, key="another", resumed=True), steps=1)
    tell(MLflow(), tracked(tmp_path), steps=1)
    assert len(mlflow_runs(store, "tune")) == 3


def test_pictures_grey_and_coloured(tmp_path):
    for tracker in (TensorBoard(), MLflow()):
        tracker.begin(tracked(tmp_path))
        tracker.picture("grey/01", COLOUR[..., 0])
        tracker.picture("colour", COLOUR)
        tracker.end([], finished=True)
    read = events(tmp_path / "tensorboard/run")
    assert {name: (read.Images(name)[0].width, read.Images(name)[0].height) for name in read.Tags()["images"]} == {
        "grey/01": (6, 4), "colour": (6, 4),
    }  # fmt: skip
    (run,) = mlflow_runs(tmp_path / "mlruns", "tune")
    kept = artifacts(tmp_path / "mlruns", run) / "pictures"
    assert sorted(str(path.relative_to(kept)) for path in kept.rglob("*.png")) == ["colour.png", "grey/01.png"]


@pytest.mark.parametrize("name", ["µ=1?", "../../up", "/absolute", "a//b", "a/../b", "x" * 999, "100 %", "n: 1"])
def test_mlflow_takes_any_name_and_stays_in_its_folder(tmp_path, name):
    tracker = MLflow(tmp_path / "in" / "store")
    tracker.begin(tracked(tmp_path))
    tracker.numbers({name: 0.5}, step=0)
    tracker.picture(name, COLOUR)
    tracker.end([], finished=True)
    (run,) = mlflow_runs(tmp_path / "in" / "store", "tune")
    assert list(in_mlflow(tmp_path / "in" / "store", run).values()) == [0.5]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert len(list(artifacts(tmp_path / "in" / "store", run).rglob("*.png"))) == 1


@pytest.mark.parametrize("odd", ["with space", "a#b", "a?b=c", "ünï", "100%41"])
def test_folders_of_any_name(tmp_path, odd):
    folder = tmp_path / odd
    for tracker in (TensorBoard(), MLflow()):
        tell(tracker, tracked(folder))
    assert len(in_tensorboard(folder / "tensorboard/run")) == 6
    assert [path.name for path in tmp_path.iterdir()] == [odd]
    assert sorted(path.name for path in folder.iterdir()) == ["mlruns", "tensorboard"]


def test_a_log_is_followed_line_by_line_as_it_grows(tmp_path):
    (tmp_path / "logs").mkdir()
    log, told = tmp_path / "logs/train-0-a.jsonl", []
    with Guarded(told.append, [TensorBoard(tmp_path / "board")]) as tracking:
        tracking.begin(tracked(tmp_path))
        monitor = Following(Silent(), tracking, tmp_path / "logs")
        monitor.advance(0, 1)
        for written in ('{"job": "a", "step": 0, ', '"loss": 0.5}\n{"jo', 'b": "a", "step": 1, "loss": 0.25}\n', ""):
            with log.open("a") as file:
                file.write(written)
            monitor.advance(0, 1)
        assert in_tensorboard(tmp_path / "board/run") == {("loss/a", 0): 0.5, ("loss/a", 1): 0.25}
    assert told == []


@pytest.mark.parametrize(("module", "name"), [("tensorboard", "TensorBoard"), ("mlflow", "MLflow")])
def test_a_tracker_that_is_not_installed_is_named_before_anything_is_made(command, tmp_path, monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module, None)
    for words in (["tune", tmp_path, tmp_path], ["pretrain", tmp_path]):
        outcome = command(*words, "--out", tmp_path / "run", "--track", module)
        assert outcome.code == 2
        assert outcome.sentence == f"{name} is not installed: pip install 'feint[{module}]'."
    plan = tmp_path / "plan.toml"
    outcome = command("study", "run", plan, "--store", tmp_path / "store", "--track", f"{module}:{tmp_path}")
    assert outcome.sentence == f"{name} is not installed: pip install 'feint[{module}]'."
    assert list(tmp_path.iterdir()) == []


def test_unknown_trackers_are_refused():
    with pytest.raises(SettingError) as refused:
        trackers_of(["wandb"])
    assert str(refused.value) == (
        "'wandb' is not a tracker: give mlflow or tensorboard, with a place as in mlflow:PLACE. "
        "To install them: pip install 'feint[mlflow,tensorboard]'."
    )
    given = Failing("never")
    board, server, same = trackers_of(["tensorboard:/some/where", "mlflow:http://127.0.0.1:5000", given])
    assert (board.place, server.place, same) == (Path("/some/where"), "http://127.0.0.1:5000", given)


@pytest.mark.parametrize("place", ["sqlite:///runs.db", "mysql+pymysql://host/runs", "postgresql://host/runs"])
def test_a_database_needs_all_of_mlflow(monkeypatch, place):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(SettingError, match="pip install mlflow"):
        trackers_of([f"mlflow:{place}"])


@pytest.mark.parametrize("place", ["mysql-runs", "sqlite", "postgresql/runs", "databricks-runs", "./databricks"])
def test_a_folder_called_like_a_database_or_a_server_is_a_folder(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    tell(*trackers_of([f"mlflow:{place}"]), tracked(tmp_path))
    assert len(mlflow_runs(tmp_path / place, "tune")) == 1


@pytest.mark.parametrize("place", ["databricks", "databricks://profile", "http://host:5000", "file:/runs", "arn:aws:a"])
def test_a_tracking_uri_is_passed_on_as_it_is(tmp_path, monkeypatch, place):
    def client(*, tracking_uri):
        raise ConnectionError(tracking_uri)

    monkeypatch.setattr("mlflow.tracking.MlflowClient", client)
    with pytest.raises(ConnectionError, match=f"^{place}$"):
        MLflow(place).begin(tracked(tmp_path))


def test_telemetry_is_off(tmp_path):
    MLflow().begin(tracked(tmp_path))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
