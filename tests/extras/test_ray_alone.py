"""Ray on this machine alone, started and ended by a script: nothing is printed, nothing is left behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from feint.backends import RayExecutor
from feint.core.errors import SettingError

pytest.importorskip("ray")

SCRIPT = """
import sys, time
from pathlib import Path
from feint.backends import open_named

here = Path(sys.argv[1])

def work(job):
    (here / job).touch()
    {body}
    return job * 2

with open_named("ray", workers=2) as backend:
    home = Path(backend._home)
    (here / "home").write_text(str(home))
    print(list(backend.map(work, "abc")), flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Start the script with this body of its job; afterwards end it and remove what a killed one leaves."""
    started = []

    def script(body: str) -> subprocess.Popen[str]:
        (tmp_path / "script.py").write_text(SCRIPT.format(body=body))
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield script
    for process in started:
        process.kill()
        process.communicate()
    if (tmp_path / "home").exists():
        shutil.rmtree((tmp_path / "home").read_text(), ignore_errors=True)


def processes_of(home: str) -> list[str]:
    """Return the command lines, other than a test's own, that name the folder of a cluster."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if home in line:
            found.append(line)
    return found


def wait_until(happened, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_a_script_gets_its_results_and_nothing_else(start, tmp_path):
    out, err = start("print('a job prints')").communicate(timeout=60)
    assert (out, err) == ("['aa', 'bb', 'cc']\n", "")
    home = (tmp_path / "home").read_text()
    assert not Path(home).exists()
    assert processes_of(home) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_no_process_outlives_the_script(start, tmp_path, name):
    script = start("time.sleep(60)")
    wait_until((tmp_path / "a").exists, 30)
    home = (tmp_path / "home").read_text()
    assert processes_of(home)
    if name == "SIGINT":
        os.killpg(script.pid, signal.SIGINT)  # the terminal sends Ctrl-C to the whole group
    else:
        script.send_signal(signal.Signals[name])
    began = time.monotonic()
    _, err = script.communicate(timeout=20)
    wait_until(lambda: not processes_of(home), 10)
    assert time.monotonic() - began < 10
    assert err.count("Traceback") == (1 if name == "SIGINT" else 0), err
    assert Path(home).exists() == (name == "SIGKILL")


def test_an_address_where_no_cluster_answers_is_told_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(SettingError, match=rf"no Ray cluster answers at {address}.*ray start"):
        RayExecutor(address=address)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("address", ["somewhere", "10.0.0.1:", ":6379", "10.0.0.1:port"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(SettingError, match="HOST:PORT.*got"):
        RayExecutor(address=address)
