import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feint.backends.cgroup import cpu_quota, memory_limit_mib
from feint.backends.threads import available_cores, core_limits, divide, limit_threads, thread_environment
from feint.core.errors import SettingError


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


V2 = {"proc/self/cgroup": "0::/user/job", "sys/fs/cgroup/user/job/cpu.max": "150000 100000"}
V1 = {
    "proc/self/cgroup": "4:memory:/box\n2:cpu,cpuacct:/box\n0::/",
    "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "50000",
    "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
}


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        (V2, 1.5),
        (V2 | {"sys/fs/cgroup/user/cpu.max": "100000 100000"}, 1.0),
        (V2 | {"sys/fs/cgroup/user/job/cpu.max": "max 100000"}, None),
        (V1, 0.5),
        (V1 | {"sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "-1"}, None),
        # A container that sees its host's path in /proc and its own group at the top.
        ({"proc/self/cgroup": "0::/docker/abc", "sys/fs/cgroup/cpu.max": "300000 100000"}, 3.0),
        ({}, None),
    ],
)
def test_cpu_quota_is_the_least_on_the_way_up(tmp_path, files, quota):
    assert cpu_quota(write(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": str(512 * 2**20)}, 512.0),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "max"}, None),
        ({"proc/self/cgroup": "4:memory:/a", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(2**30)}, 1024.0),
        (
            {"proc/self/cgroup": "4:memory:/a", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712"},
            None,
        ),
    ],
)
def test_memory_limit(tmp_path, files, limit):
    assert memory_limit_mib(write(tmp_path, files)) == limit


def test_quotas_are_rounded_down_but_never_to_nothing(tmp_path):
    assert core_limits(write(tmp_path / "v2", V2))["cgroup"] == 1
    assert core_limits(write(tmp_path / "v1", V1))["cgroup"] == 1
    assert available_cores(tmp_path / "v1") == 1


def test_affinity_counts():
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); from feint.backends.threads import *; print(available_cores())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "FEINT_CORES"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == "1"


def test_environment_variable_caps_and_never_raises_the_cores(monkeypatch):
    monkeypatch.delenv("FEINT_CORES", raising=False)
    free = available_cores()
    monkeypatch.setenv("FEINT_CORES", "1")
    assert available_cores() == 1
    monkeypatch.setenv("FEINT_CORES", "1000")
    assert available_cores() == free


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_senseless_cap_is_refused(monkeypatch, value):
    monkeypatch.setenv("FEINT_CORES", value)
    with pytest.raises(SettingError, match=f"FEINT_CORES.*'{value}'"):
        available_cores()


@given(cores=st.integers(1, 256), workers=st.integers(1, 256))
def test_shares_never_exceed_the_cores(cores, workers):
    share = divide(cores, workers)
    assert share >= 1
    assert share * workers <= cores or share == 1
    assert (share + 1) * workers > cores, "a core is left over that each worker could have"


def test_limit_threads_holds_torch_and_the_libraries(monkeypatch):
    from threadpoolctl import threadpool_info

    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            limit_threads(threads)
            assert torch.get_num_threads() == threads
            assert {each["num_threads"] for each in threadpool_info()} == {threads}
    finally:
        limit_threads(before)


def test_children_inherit_their_share_as_environment():
    found = thread_environment(3)
    assert found["OMP_NUM_THREADS"] == found["MKL_NUM_THREADS"] == found["OPENBLAS_NUM_THREADS"] == "3"
    assert found["FEINT_CORES"] == "3"


def test_waiting_threads_sleep_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert thread_environment(2)["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert thread_environment(2)["OMP_WAIT_POLICY"] == "ACTIVE"
