"""Workers die, parents die, users press Ctrl-C: with real processes and real signals."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from feint.backends import ProcessExecutor
from feint.core.errors import WorkerError

# No `if __name__ == "__main__"`: a worker that imported this script again would start workers of its own.
SCRIPT = """
import os, sys, time
from pathlib import Path
from feint.backends import ProcessExecutor

here = Path(sys.argv[1])
with open(here / "imports", "a") as file:
    file.write("x")

class Job:
    def __init__(self, name):
        self.name = name

def work(job):
    {body}
    return job.name * 2

with ProcessExecutor(2, threads=1) as executor:
    print(list(executor.map(work, [Job("a"), Job("b"), Job("c")])), flush=True)
"""
BEGIN = "(here / str(os.getpid())).touch()"
SLEEP = f"{BEGIN}; time.sleep(60)"
LOOP = f"{BEGIN}\n    while True: pass"
TORCH = f"import torch; x = torch.rand(1500, 1500); {BEGIN}\n    while True: x = x @ x / 1e3"


def start(folder: Path, body: str) -> subprocess.Popen[str]:
    script = folder / "script.py"
    script.write_text(SCRIPT.format(body=body))
    return subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def workers_of(folder: Path, count: int = 2) -> list[int]:
    """Wait until `count` workers have begun a job and return their process ids."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise TimeoutError("the workers did not start")


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and running(int(entry.name)):
            with suppress(OSError):
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                found += [int(entry.name)] * (int(words[1]) == parent)
    return found


def gone_within(seconds: float, pids: list[int]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(running(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_a_script_without_a_guard_works_and_is_silent(tmp_path):
    out, err = start(tmp_path, "pass").communicate(timeout=120)
    assert out == "['aa', 'bb', 'cc']\n"
    assert err == ""
    assert (tmp_path / "imports").read_text() == "x", "a worker imported the user's script"


def test_what_jobs_print_goes_to_standard_error(tmp_path):
    body = "print('from python'); os.write(1, b'from C\\n'); print(repr(sys.stdin.read()))"
    out, err = start(tmp_path, body).communicate(timeout=120)
    assert out == "['aa', 'bb', 'cc']\n"
    assert sorted(err.split("\n")) == sorted([*["from python", "from C", "''"] * 3, ""])


def test_lines_of_two_workers_never_mix(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")  # else every piece of a line would be a write of its own
    _, err = start(tmp_path, "[print('one', 'two') for _ in range(2000)]").communicate(timeout=120)
    assert set(err.splitlines()) == {"one two"}
    assert len(err.splitlines()) == 6000


def test_a_notebook_works(tmp_path):
    """Functions and classes of a `__main__` without a file, as in a notebook's cells."""
    code = SCRIPT.format(body="pass")
    found = subprocess.run(
        [sys.executable, "-", str(tmp_path)], input=code, capture_output=True, text=True, timeout=120, check=True
    )
    assert (found.stdout, found.stderr) == ("['aa', 'bb', 'cc']\n", "")


def test_modules_beside_the_script_are_found_and_files_of_the_working_folder_do_no_harm(tmp_path):
    (tmp_path / "beside.py").write_text("def double(x):\n    return 2 * x\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "signal.py").write_text("raise SystemExit('a file of the working folder was imported')\n")
    script = tmp_path / "main.py"
    script.write_text(
        "from beside import double\nfrom feint.backends import ProcessExecutor\n"
        "with ProcessExecutor(1, threads=1) as executor:\n    print(executor.submit(double, 4).result())\n"
    )
    found = subprocess.run(
        [sys.executable, str(script)], cwd=elsewhere, capture_output=True, text=True, timeout=120, check=False
    )
    assert (found.stdout, found.stderr) == ("8\n", "")


@pytest.mark.parametrize(
    ("name", "body"),
    [*((name, body) for name in ("SIGINT", "SIGTERM", "SIGKILL") for body in (SLEEP, LOOP)), ("SIGKILL", TORCH)],
)
def test_no_worker_outlives_its_parent(tmp_path, name, body):
    parent = start(tmp_path, body)
    workers = workers_of(tmp_path)
    if name == "SIGINT":
        os.killpg(parent.pid, signal.SIGINT)  # the terminal sends Ctrl-C to the whole group
    else:
        parent.send_signal(signal.Signals[name])
    _, err = parent.communicate(timeout=30)
    assert gone_within(20, workers)
    assert err.count("Traceback") == (1 if name == "SIGINT" else 0), err
    assert "resource_tracker" not in err


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1])
def test_ctrl_c_while_the_workers_start(tmp_path, delay):
    parent = start(tmp_path, SLEEP)
    deadline = time.monotonic() + 120
    while not children_of(parent.pid) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(delay)
    workers = children_of(parent.pid)
    os.killpg(parent.pid, signal.SIGINT)
    _, err = parent.communicate(timeout=30)
    assert gone_within(20, workers)
    assert err.count("Traceback") == 1, err
    assert err.rstrip().endswith("KeyboardInterrupt")


def die(how: str, job: str) -> str:
    if job == "bad":
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.Signals[how])
    time.sleep(0.2)
    return job


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", r"die\('exit', 'bad'\) ended itself with exit code 3"),
        ("SIGKILL", r"die\('SIGKILL', 'bad'\) was killed by SIGKILL.*memory"),
        ("SIGSEGV", r"die\('SIGSEGV', 'bad'\) was killed by SIGSEGV"),
    ],
)
def test_a_dying_worker_loses_its_job_by_name_and_no_other(how, message):
    jobs = ["one", "bad", "two", "three", "four"]
    with ProcessExecutor(2, threads=1) as executor:
        futures = {job: executor.submit(die, how, job) for job in jobs}
        for job, future in futures.items():
            if job == "bad":
                with pytest.raises(WorkerError, match=message):
                    future.result(timeout=120)
            else:
                assert future.result(timeout=120) == job


def stay(begun: Path) -> None:
    begun.touch()
    time.sleep(60)


def test_an_error_in_the_with_block_stops_running_and_waiting_jobs_at_once(tmp_path):
    with pytest.raises(LookupError), ProcessExecutor(1, threads=1) as executor:
        worker = executor.submit(os.getpid).result()
        running_job, waiting_job = (executor.submit(stay, tmp_path / name) for name in ("running", "waiting"))
        while not (tmp_path / "running").exists():
            time.sleep(0.01)
        began = time.monotonic()
        raise LookupError
    assert time.monotonic() - began < 30
    assert not running(worker)
    assert waiting_job.cancelled()
    with pytest.raises(WorkerError, match=r"stay\(.*\) was stopped"):
        running_job.result()


def test_workers_end_with_the_block():
    with ProcessExecutor(2, threads=1) as executor:
        workers = set(executor.map(lambda _: (time.sleep(0.2), os.getpid())[1], range(4)))
    assert len(workers) == 2
    assert not any(running(pid) for pid in workers)
