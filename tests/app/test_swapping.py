"""A new run is served without dropping a request, and the service ends without dropping one."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import small_runs
from safetensors.torch import load_file, save_file

from feint.app.served import Served
from feint.core.files import sha256_of
from feint.runs.model import MANIFEST, WEIGHTS, Manifest


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = small_runs.write(tmp_path_factory.mktemp("pictures"), {"x.png": small_runs.picture(0)})
    return [("files", ("x.png", (folder / "x.png").read_bytes()))]


@pytest.fixture
def process(finished, tmp_path):
    """Return `feint serve` in a process of its own, on a link to a run, and its address."""
    link = tmp_path / "current"
    link.symlink_to(finished.path)
    found = subprocess.Popen(
        [sys.executable, "-m", "feint", "serve", link, "--port", "0"], stderr=subprocess.PIPE, text=True,
        env={name: value for name, value in os.environ.items() if name != "FEINT_TOKEN"},
    )  # fmt: skip
    said = found.stderr.readline()
    yield found, said.split()[-1], link
    found.kill()
    found.wait()
    found.stderr.close()


def other_run(folder: Path, finished) -> Path:
    """Return another run beside the finished one: the same weights as another file."""
    shutil.copytree(finished.path, folder)
    tensors = load_file(folder / WEIGHTS)
    save_file({name: tensors[name] for name in tensors}, folder / WEIGHTS, metadata={"copy": "yes"})
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    seal(folder, manifest.model_copy(update={"sha256": sha256_of(folder / WEIGHTS)}))
    return folder


def seal(folder: Path, manifest: Manifest) -> None:
    changed = manifest.model_copy(update={"own_sha256": ""})
    (folder / MANIFEST).write_text(changed.model_copy(update={"own_sha256": changed.digest()}).model_dump_json())


def point(link: Path, run: Path) -> None:
    """Set a link to another run in one step, as `ln -sfn` and `mv -T` do."""
    new = link.with_name("new")
    new.symlink_to(run)
    new.replace(link)


def test_a_run_is_exchanged_under_load_and_at_the_end_no_request_is_dropped(process, finished, pictures, tmp_path):
    service, address, link = process
    answers, stop = [], threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            while not stop.is_set():
                answers.append(client.post("/v1/score", files=pictures))

    def until(model: str) -> None:
        while httpx.get(f"{address}/healthz", timeout=60).json()["model"] != model:
            time.sleep(0.02)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    while not answers:
        time.sleep(0.02)
    first = httpx.get(f"{address}/healthz", timeout=60).json()["model"]
    point(link, other_run(tmp_path / "other", finished))
    service.send_signal(signal.SIGHUP)
    said = service.stderr.readline()
    second = said.split()[-1].rstrip(".")
    until(second)
    broken = shutil.copytree(finished.path, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"cut short")
    point(link, broken)
    service.send_signal(signal.SIGHUP)
    refusal = service.stderr.readline()
    count = len(answers)
    while len(answers) < count + 8:
        time.sleep(0.02)
    stop.set()
    for each in threads:
        each.join()
    assert {each.status_code for each in answers} == {200}
    assert {each.json()["model"] for each in answers} == {first, second}
    assert first != second
    assert len({each.json()["images"][0]["score"] for each in answers}) <= 2
    assert f"model {second} goes on" in refusal
    assert "sha256" in refusal


def test_a_request_in_flight_is_finished_before_the_service_ends(process, pictures):
    service, address, _ = process
    gate, answers = threading.Event(), []
    request = httpx.Request("POST", f"{address}/v1/score", files=pictures)
    body = request.read()

    def slowly():
        yield body[:100]
        gate.wait()
        yield body[100:]

    def ask() -> None:
        kind = {"content-type": request.headers["content-type"]}
        answers.append(httpx.post(f"{address}/v1/score", content=slowly(), headers=kind, timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    while "in_flight 1.0" not in httpx.get(f"{address}/metrics", timeout=60).text:
        time.sleep(0.02)
    service.send_signal(signal.SIGTERM)
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):  # what waits to be accepted is cut off
        while True:
            httpx.get(f"{address}/healthz", timeout=60)
            time.sleep(0.02)
    assert service.poll() is None
    gate.set()
    asking.join()
    assert service.wait(30) == 0
    assert (answers[0].status_code, answers[0].json()["images"][0]["name"]) == (200, "x.png")
    assert service.stderr.read() == "Stopped.\n"


def test_runs_that_differ_in_their_rate_alone_have_different_names(finished, tmp_path):
    folder = tmp_path / "stricter"
    shutil.copytree(finished.path, folder)
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    seal(folder, manifest.model_copy(update={"rate": manifest.rate / 2}))
    one, other = Served.load(finished.path), Served.load(folder)
    assert one.model.rate == 2 * other.model.rate
    assert one.name != other.name
