"""What the tests of whole runs share: a small budget, the command line in this process, one finished run."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import small_bulk
import small_runs
import torch
from hypothesis import HealthCheck, settings

import feint
from feint import cli
from feint.runs import candidates
from feint.runs.settings import BUDGETS

settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code, what it wrote to stdout and to stderr."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line in which it failed."""
        assert "Traceback" not in self.err
        last = self.err.splitlines()[-1]
        assert last.startswith("feint: ")
        return last.removeprefix("feint: ")


@dataclass(frozen=True)
class FinishedRun:
    """A run that only reading tests share, with the folders it was tuned on."""

    path: Path
    normal: Path
    unlabelled: Path


@pytest.fixture
def small(monkeypatch):
    """Make runs small, and serial in this process; the threads of torch are given back."""
    with _small_runs(monkeypatch):
        yield


@contextmanager
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.setenv("FEINT_CORES", "1")
    monkeypatch.setitem(BUDGETS, "quick", small_runs.BUDGET)
    monkeypatch.setattr(candidates, "AUTOENCODER", small_runs.AUTOENCODER)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def command(small, capsys, monkeypatch) -> Callable[..., Outcome]:
    """Return the command line, run in this process with the small budget."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["feint", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.run()
        except SystemExit as left:
            code = left.code
        else:
            code = 0
        found = capsys.readouterr()
        assert "\x1b" not in found.out + found.err
        return Outcome(int(code or 0), found.out, found.err)

    return run


@pytest.fixture
def model(tmp_path) -> Path:
    """Return the folder of the model that bulk jobs are tested with; see `small_bulk`."""
    return small_bulk.write_model(tmp_path / "model")


@pytest.fixture
def out(tmp_path) -> Path:
    """Return where a bulk job is to end."""
    return tmp_path / "out.parquet"


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """Return 110 normal images and 60 unlabelled ones, 24 of them with a defect; not to be changed."""
    root = tmp_path_factory.mktemp("images")
    return small_runs.normal_folder(root / "normal"), small_runs.unlabelled_folder(root / "unlabelled")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, folders) -> FinishedRun:
    """Return one finished run; not to be changed."""
    return _finish(FinishedRun(tmp_path_factory.mktemp("runs") / "run", *folders))


@pytest.fixture(scope="session")
def cross_fitted(tmp_path_factory) -> FinishedRun:
    """Return one finished run on only 40 normal images; not to be changed."""
    root = tmp_path_factory.mktemp("cross")
    unlabelled = small_runs.unlabelled_folder(root / "unlabelled")
    return _finish(FinishedRun(root / "run", small_runs.normal_folder(root / "normal", 40), unlabelled))


def _finish(run: FinishedRun) -> FinishedRun:
    with pytest.MonkeyPatch.context() as monkeypatch, _small_runs(monkeypatch):
        feint.tune(run.normal, run.unlabelled, out=run.path, budget="quick", augmentations=[small_runs.AUGMENTATION])
    return run


@pytest.fixture
def run(finished, tmp_path) -> feint.Run:
    """Return a copy of the finished run, into which results may be written."""
    return feint.Run(shutil.copytree(finished.path, tmp_path / "run"))


@pytest.fixture
def labels(tmp_path) -> Path:
    """Return the labels of the finished run's unlabelled images as a CSV."""
    path = tmp_path / "labels.csv"
    path.write_text("path,label\n" + "".join(f"{i:03d}.png,{int(small_runs.defective(i))}\n" for i in range(60)))
    return path
