"""A bulk job that is killed, all of its processes at once, ends in the table of one that never was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import small_bulk
from small_bulk import job, table, write_images, write_model

from feint.backends import available_cores

IMAGES = 400
WORKERS = min(2, available_cores())
CALLS = 8  # of each of two workers, twice: not all of the 40 parts are done, however late a job is killed


def start(model, images, out, *, calls: int = CALLS) -> subprocess.Popen:
    words = [sys.executable, small_bulk.__file__, model, images, out, 2]
    variables = os.environ | {"FEINT_CORES": "2", small_bulk.CALLS: str(calls)}
    return subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True, env=variables)


def children(pid: int) -> list[int]:
    return [int(each) for task in Path(f"/proc/{pid}/task").glob("*/children") for each in task.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(happened, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.005)


def parts(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}


@pytest.mark.parametrize("mode", ["false_alarm_rate", "fdr"])
def test_killed_twice_and_resumed(tmp_path, mode):
    model = write_model(tmp_path / "model", mode=mode, rate=0.2, slow=0.03)
    images, out = write_images(tmp_path / "images", IMAGES), tmp_path / "out.parquet"
    scored = out if mode == "false_alarm_rate" else out / "_unflagged"
    (images / "03/0077.png").write_bytes(b"no image")
    kept: dict[str, int] = {}
    for _ in range(2):
        process = start(model, images, out)
        before = len(kept)
        wait_until(lambda before=before: len(parts(scored)) >= before + 5)
        workers = children(process.pid)
        assert len(workers) == WORKERS
        for pid in (process.pid, *workers):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
        wait_until(lambda workers=workers: not any(map(alive, workers)))
        assert kept.items() <= parts(scored).items()
        kept = parts(scored)
        assert before < len(kept) < IMAGES / small_bulk.PART

    process = start(model, images, out, calls=IMAGES)
    _, told = process.communicate(timeout=200)
    assert process.returncode == 0, told
    if mode == "false_alarm_rate":
        assert kept.items() <= parts(out).items(), "a finished part was written again"
    job(write_model(tmp_path / "model", mode=mode, rate=0.2), images, tmp_path / "whole.parquet")
    found, whole = table(out), table(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    assert sorted(found.path) == sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    assert found.path.is_unique
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith("part-")) == ["_job.json"]


def test_the_workers_of_a_killed_job_end(tmp_path):
    model = write_model(tmp_path / "model", slow=0.03)
    process = start(model, write_images(tmp_path / "images", IMAGES), tmp_path / "out.parquet")
    wait_until(lambda: parts(tmp_path / "out.parquet"))
    workers = children(process.pid)
    process.kill()
    process.communicate()
    assert len(workers) == WORKERS
    wait_until(lambda: not any(map(alive, workers)))


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    model = write_model(tmp_path / "model", slow=0.03)
    images, out = write_images(tmp_path / "images", IMAGES), tmp_path / "out.parquet"
    process = start(model, images, out)
    wait_until(lambda: len(parts(out)) >= 3)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in told
    kept = parts(out)
    assert 3 <= len(kept) < IMAGES / small_bulk.PART
    assert job(model, images, out).images == IMAGES
    assert kept.items() <= parts(out).items()
