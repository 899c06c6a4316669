"""A study on two Ray nodes, one of which is killed in the middle, ends with the records of a serial one."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from feint.studies.run import run_study
from feint.studies.store import Store

pytest.importorskip("ray")

PLAN = """
[study]
name = "tiny"
seeds = [0]
[data]
path = "images"
size = 32
tasks = "one-vs-one"
normal = ["dark", "grey"]
[arms]
detectors = ["ae", "dae"]
augmentations = ["none", "rotate", "cutout"]
[train]
epochs = 3
"""
CELLS = 6
BEFORE = 2


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a plan of a few small cells, to be run with one thread each."""
    chance = np.random.default_rng(0)
    for grey, name in ((60, "dark"), (120, "grey"), (180, "light")):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = chance.normal(grey, 30, (32, 32)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    monkeypatch.setenv("FEINT_CORES", "1")
    threads = torch.get_num_threads()
    yield path
    torch.set_num_threads(threads)


class Killer:
    """Kills a node, while a cell runs on it, as soon as a few cells are recorded."""

    def __init__(self, node) -> None:
        self.raylet = node.all_processes["raylet"][0].process.pid
        self.done_when_killed: int | None = None

    def __call__(self, progress) -> None:
        if self.done_when_killed is None and progress.counts.done >= BEFORE:
            deadline = time.monotonic() + 30
            while not self._runs_a_cell():
                assert time.monotonic() < deadline, "no cell ever ran on the node"
                time.sleep(0.01)
            os.kill(self.raylet, signal.SIGKILL)
            self.done_when_killed = progress.counts.done

    def _runs_a_cell(self) -> bool:
        children = Path(f"/proc/{self.raylet}/task/{self.raylet}/children").read_text().split()
        return any("ray::perform" in Path(f"/proc/{pid}/cmdline").read_text() for pid in children)


def records(store: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    """Return rows, cells without their times, and every cell's arrays, of a store."""
    with Store(store) as opened:
        cells = opened.cells().drop(columns="seconds")
        arrays = {}
        for key in cells["key"]:
            with np.load(opened.arrays_of(key)) as found:
                arrays |= {f"{key}/{name}": found[name] for name in found.files}
        return opened.rows(), cells, arrays


def test_a_node_killed_in_mid_study_changes_no_record(plan, two_nodes, tmp_path):
    killer = Killer(two_nodes.other)
    counts = run_study(plan, tmp_path / "ray", backend="ray", address=two_nodes.address, tell=killer)
    assert (counts.done, counts.failed, counts.left) == (CELLS, 0, 0)
    assert killer.done_when_killed is not None
    assert killer.done_when_killed < CELLS

    run_study(plan, tmp_path / "serial", backend="serial")
    (rows, cells, arrays), (wanted_rows, wanted_cells, wanted_arrays) = map(
        records, (tmp_path / "ray", tmp_path / "serial")
    )
    pd.testing.assert_frame_equal(rows, wanted_rows, check_exact=True)
    pd.testing.assert_frame_equal(cells, wanted_cells)
    assert arrays.keys() == wanted_arrays.keys()
    assert all(np.array_equal(arrays[name], wanted_arrays[name]) for name in arrays)
