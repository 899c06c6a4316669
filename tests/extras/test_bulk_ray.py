"""A bulk job on two Ray nodes, one of which is killed in the middle, ends with the table of a serial one."""

import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import small_bulk
from small_bulk import PART, MeanJudge, job, table, write_images, write_model

from feint.runs.bulk import run_bulk

ray = pytest.importorskip("ray")

IMAGES = 300
BEFORE = 40


@pytest.fixture(scope="module", autouse=True)
def the_judge_travels():
    """The nodes cannot import it, as they could not on another machine."""
    ray.cloudpickle.register_pickle_by_value(small_bulk)
    yield
    ray.cloudpickle.unregister_pickle_by_value(small_bulk)


class Killer:
    """Kills a node, once some images are done, at a moment in which a part is scored on it."""

    def __init__(self, node) -> None:
        self.raylet = node.all_processes["raylet"][0].process.pid
        self.done_when_killed: int | None = None

    def __call__(self, progress) -> None:
        if self.done_when_killed is None and progress.done >= BEFORE and self._scores_a_part():
            os.kill(self.raylet, signal.SIGKILL)
            self.done_when_killed = progress.done

    def _scores_a_part(self) -> bool:
        children = Path(f"/proc/{self.raylet}/task/{self.raylet}/children").read_text().split()
        return any("ray::perform" in Path(f"/proc/{pid}/cmdline").read_text() for pid in children)


def test_a_node_killed_in_mid_job_loses_and_doubles_no_image(two_nodes, tmp_path):
    model, images, out = write_model(tmp_path / "model", slow=0.4), write_images(tmp_path / "images", IMAGES), tmp_path
    (images / "03/0077.png").write_bytes(b"no image")
    killer = Killer(two_nodes.other)
    summary = run_bulk(
        MeanJudge, model, str(images), out=out / "ray.parquet", backend="ray", address=two_nodes.address,
        part_size=PART, tell=killer,
    )  # fmt: skip
    assert killer.done_when_killed is not None
    assert killer.done_when_killed < IMAGES
    assert (summary.images, summary.unreadable) == (IMAGES, 1)

    job(model, images, out / "serial.parquet")
    found = table(out / "ray.parquet")
    pd.testing.assert_frame_equal(found, table(out / "serial.parquet"), check_exact=True)
    assert found.path.tolist() == sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
