"""Measured in a process of its own: that of the tests holds more, and may free some of it meanwhile."""

import json
import mmap
import subprocess
import sys
import time
from pathlib import Path

from feint.backends import PeakMemory, ProcessExecutor, memory_total_and_available_mib

MIB = 2**20


def hold(mib: int) -> int:
    ballast = bytearray(mib * MIB)
    time.sleep(0.6)
    return len(ballast)


def touch_mapped(path: Path) -> int:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        total = sum(mapped[i] for i in range(0, len(mapped), 4096))
        time.sleep(1.0)
        return total


def alone() -> list[float]:
    """Return the peaks before and while this process holds 200 MiB, in MiB."""
    with PeakMemory(interval=0.05) as before:
        pass
    with PeakMemory(interval=0.05) as peak:
        hold(200)
    return [before.mib, peak.mib]


def with_workers(path: Path) -> list[float]:
    """Return the peaks while two workers idle, hold 150 MiB each, and map a file of 300 MiB, in MiB."""
    path.write_bytes(b"\1" * (300 * MIB))
    with ProcessExecutor(2, threads=1) as executor:
        list(executor.map(time.sleep, [0.5, 0.5]))
        with PeakMemory(interval=0.05) as idle:
            time.sleep(0.1)
        with PeakMemory(interval=0.05) as private:
            list(executor.map(hold, [150, 150]))
        with PeakMemory(interval=0.05) as shared:
            list(executor.map(touch_mapped, [path, path]))
    return [idle.mib, private.mib, shared.mib]


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
    idle, private, shared = measured(f"with_workers(Path({str(tmp_path / 'pixels')!r}))")
    assert 290 < private - idle < 360
    assert 290 < shared - idle < 360


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
