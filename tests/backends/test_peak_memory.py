"""Measured in a process of its own: that of the tests holds more, and may free some of it meanwhile."""

import json
import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from feint.backends import PeakMemory, ProcessExecutor, memory_total_and_available_mib

MIB = 2**20


KEPT: list[bytearray | mmap.mmap] = []  # of a worker, until it ends


def meet(here: Path) -> None:
    """Wait until two workers have come here."""
    (here / str(os.getpid())).touch()
    while len(list(here.iterdir())) < 2:
        time.sleep(0.01)


def let_go(here: Path) -> None:
    KEPT.clear()
    meet(here)


def hold(here: Path) -> None:
    KEPT.append(bytearray(150 * MIB))
    meet(here)


def map_file(here: Path) -> None:
    with (here.parent / "mapped").open("rb") as file:
        KEPT.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    assert sum(KEPT[0][::4096]) == 300 * MIB // 4096
    meet(here)


def alone() -> list[float]:
    """Return the peaks before and while this process holds 200 MiB, in MiB."""
    with PeakMemory(interval=0.05) as before:
        pass
    with PeakMemory(interval=0.05) as peak:
        ballast = bytearray(200 * MIB)
        until = time.monotonic() + 20
        while peak.mib < before.mib + 150 and time.monotonic() < until:
            time.sleep(0.01)
        del ballast
    return [before.mib, peak.mib]


def with_workers(folder: Path) -> list[float]:
    """Return the peaks while two workers idle, hold 150 MiB each, and map a file of 300 MiB, in MiB."""
    (folder / "mapped").write_bytes(b"\1" * (300 * MIB))
    peaks = []
    with ProcessExecutor(2, threads=1) as executor:
        for k, stage in enumerate([let_go, hold, let_go, map_file]):
            here = folder / str(k)
            here.mkdir()
            with PeakMemory(interval=0.05) as peak:
                list(executor.map(stage, [here, here]))
            peaks.append(peak.mib)
    return peaks


def measured(call: str) -> list[float]:
    """Return what a function of this module returns in a process of its own."""
    code = f"import json; from pathlib import Path; import {Path(__file__).stem} as own; print(json.dumps(own.{call}))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(found.stdout)


def test_a_passing_peak_of_this_process_is_seen():
    before, peak = measured("alone()")
    assert 190 < peak - before < 260


def test_workers_count_and_pages_they_share_count_once(tmp_path):
    idle, private, _, shared = measured(f"with_workers(Path({str(tmp_path)!r}))")
    assert 290 < private - idle < 360
    assert 290 < shared - idle < 360


def test_pages_that_pass_from_one_process_to_another_while_they_are_read_count_once(monkeypatch):
    counts, read = [100.0, 100.0, 450.0, 300.0, 310.0, 305.0], threading.Event()

    def count() -> float:
        if len(counts) == 1:
            read.set()
        return counts.pop(0) if counts else 0.0

    monkeypatch.setattr("feint.backends.memory._resident_mib", count)
    with PeakMemory(interval=0.001) as peak:
        assert read.wait(20)
    assert peak.mib == 305


def test_memory_is_that_of_the_machine_or_less_in_a_container(tmp_path):
    total, available = memory_total_and_available_mib()
    assert 0 < available <= total
    for name, text in {
        "proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 3145728 kB",
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": str(1024 * MIB),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_total_and_available_mib(tmp_path) == (1024.0, 1024.0)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max")
    assert memory_total_and_available_mib(tmp_path) == (4096.0, 3072.0)
    assert memory_total_and_available_mib(tmp_path / "nowhere") is None
