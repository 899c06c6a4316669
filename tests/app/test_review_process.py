"""`feint review` as a process: one page on one run, nothing lost when it is killed, a clean end by Ctrl-C."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from feint.app.review import process
from feint.app.server import Address
from feint.runs.progress import Silent
from feint.runs.run import Run

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "FEINT_TOKEN"}


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished.path, tmp_path / "run")


@contextmanager
def started(run, *more):
    """Run `feint review` without a browser; yield the process and what it said first."""
    words = [sys.executable, "-m", "feint", "review", run, "--port", "0", "--no-browser", *map(str, more)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        yield process, process.stderr.readline()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def client_of(said):
    address = re.search(r"http://\S+:\d+", said)[0]
    key = re.search(r"X-Feint-Key&#34;: &#34;([^&]+)|X-Feint-Key\": \"([^\"]+)", httpx.get(address, timeout=60).text)
    return httpx.Client(base_url=address, headers={"X-Feint-Key": key[1] or key[2]}, timeout=60)


def test_marks_outlive_a_kill_and_a_second_page_is_refused_in_a_sentence(copied, tmp_path):
    before = {each: each.stat().st_mtime_ns for each in copied.iterdir()}
    with started(copied) as (process, said), client_of(said) as client:
        assert client.post("/marks/7?label=anomalous").status_code == 200
        (tmp_path / "link").symlink_to(copied)
        with started(tmp_path / "link") as (second, refusal):
            assert second.wait(60) == 4
        with started(copied, "--port", client.base_url.port) as (same_port, same_refusal):
            assert same_port.wait(60) == 4
        address = str(client.base_url).rstrip("/")
        assert refusal.startswith(f"feint: {tmp_path / 'link'} is being reviewed already on {address}")
        assert f"already on {address}" in same_refusal
        process.send_signal(signal.SIGKILL)
        process.wait()
    with started(copied) as (process, said), client_of(said) as client:
        assert client.get("/marks.csv").text.count(",1\n") == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read().splitlines()[-1] == "Stopped."
    assert before == {each: each.stat().st_mtime_ns for each in copied.iterdir()}
    assert not (copied.parent / "run.review" / "address").exists()


def test_what_cannot_be_reviewed_is_said_in_a_sentence(command, copied, tmp_path, monkeypatch):
    monkeypatch.delenv("FEINT_TOKEN", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = command("review", copied, "--port", port, "--no-browser")
    assert (outcome.code, "the port is in use" in outcome.sentence) == (2, True)
    outcome = command("review", copied, "--host", "0.0.0.0", "--no-browser")
    assert (outcome.code, "FEINT_TOKEN" in outcome.sentence) == (2, True)
    assert command("review", tmp_path / "nothing", "--no-browser").code == 3
    assert command("review", copied, tmp_path / "nothing", "--port", 0, "--no-browser").code == 3
    (copied / "model.safetensors").write_bytes(b"cut short")
    assert command("review", copied, "--port", 0, "--no-browser").code == 5


def test_other_images_are_scored_first(copied, folders):
    with started(copied, folders[1]) as (process, first):
        assert first == "scoring ...\n"
        with client_of(process.stderr.readline()) as client:
            assert "60 images" in client.get("/").text


def test_the_marks_are_closed_however_it_ends(copied, monkeypatch):
    desks = []
    configured = process.configured

    def failing(desk, token):
        desks.append(desk)
        desk.refits.last = lambda: 1 / 0
        return configured(desk, token)

    monkeypatch.setattr(process, "configured", failing)
    monkeypatch.setattr(process.asyncio, "run", lambda serving: serving.close())
    with pytest.raises(ZeroDivisionError):
        process.review(Run(copied), None, address=Address(port=0), monitor=Silent(), browse=False, say=lambda _: None)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        desks[0].marks.undo()
