"""The real service, sent a thousand image files that nobody should send: it answers, and stays as it was."""

import base64
import contextlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import small_runs
from hostile_images import SECONDS, hostile_files, open_files, plain, resident, running_threads, whole_images
from PIL import Image

AT_ONCE = 20
ENOUGH = 64 * 2**20
NO_HANGUP = "import signal; del signal.SIGHUP; from feint.cli import main; main()"


@contextlib.contextmanager
def process(finished, *python: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Run `feint serve` in a process of its own, and a client of it."""
    environment = {name: value for name, value in os.environ.items() if name != "FEINT_TOKEN"}
    with subprocess.Popen(
        [sys.executable, *python, "serve", finished.path, "--port", "0"],
        stderr=subprocess.PIPE, text=True, env=environment | {"FEINT_CORES": "2"},
    ) as found:  # fmt: skip
        try:
            with httpx.Client(base_url=found.stderr.readline().split()[-1], timeout=60) as client:
                yield found, client
        finally:
            found.kill()


def multipart(client, files):
    parts = [("files", (f"{i}.png", each.data)) for i, each in enumerate(files)]
    return client.post("/v1/score", files=parts, params={"maps": True})


def text(client, files):
    images = [{"name": f"{i}.png", "data": base64.b64encode(each.data).decode()} for i, each in enumerate(files)]
    return client.post("/v1/score", json={"images": images})


def send_all(client, send) -> dict[str, str]:
    """Send all of them, some at once; return each one's reason, or '' where it has a score."""
    found = {}
    files = hostile_files()
    for start in range(0, len(files), AT_ONCE):
        sent = files[start : start + AT_ONCE]
        began = time.perf_counter()
        answer = send(client, sent)
        assert time.perf_counter() - began < SECONDS, [each.name for each in sent]
        assert answer.status_code in {200, 413, 422}, answer.text
        images = answer.json()["images"]
        assert [each["name"] for each in images] == [f"{i}.png" for i in range(len(sent))], answer.text
        for each, image in zip(sent, images, strict=True):
            assert ("score" in image) != ("reason" in image)
            assert "score" not in image or (math.isfinite(image["score"]) and 0 < image["p_value"] <= 1)
            assert "reason" not in image or plain(image["reason"]), (each.name, image["reason"])
            found[each.name] = image.get("reason", "")
    return found


def test_each_is_scored_or_has_a_reason_and_the_service_stays_as_it_was(finished):
    healthy = {"files": ("x.png", whole_images()["L.png"])}
    with process(finished, "-m", "feint") as (service, client):
        before = client.post("/v1/score", files=healthy).json()
        first = send_all(client, multipart)
        assert 300 < sum(reason == "" for reason in first.values()) < 700
        size, files, threads = (measure(str(service.pid)) for measure in (resident, open_files, running_threads))
        second = send_all(client, text)
        assert second == first
        assert resident(str(service.pid)) - size < ENOUGH
        assert open_files(str(service.pid)) <= files + 1
        assert running_threads(str(service.pid)) <= threads + 1
        assert client.post("/v1/score", files=healthy).json() == before
        counters = client.get("/metrics").text
        assert 'status="5' not in counters
        assert f'feint_images_total{{outcome="unread"}} {2.0 * sum(map(bool, first.values()))}' in counters
        assert "feint_requests_in_flight 0.0" in counters
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
        assert service.stderr.read() == "Stopped.\n"


def test_images_of_another_size_or_channel_count_are_scored_as_the_run_sees_them(serving):
    """The run was tuned on grey images of 32 x 32: others are stretched to that, and their colours become grey."""
    picture = small_runs.picture(0, side=64)
    answers = serving.score(
        *[(name, data) for name, data in whole_images().items() if name in {"L.png", "RGB.png", "CMYK.jpg", "16.tif"}],
        ("plain.bmp", _bmp(picture)), ("long.bmp", _bmp(picture[:8])),
    ).json()["images"]  # fmt: skip
    found = {each["name"]: each for each in answers}
    assert "another bit depth" in found.pop("16.tif")["reason"]  # its white cannot be known from 8-bit images
    assert all(math.isfinite(each["score"]) for each in found.values())
    assert len(found) == 5


def test_a_system_without_hangups_serves_too(finished):
    with process(finished, "-c", NO_HANGUP) as (service, client):
        assert client.get("/healthz").status_code == 200
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
        assert service.stderr.read() == "Stopped.\n"


@pytest.mark.parametrize("name", ["../../etc/passwd.png", "a\r\nX-Injected: yes.png", "\x00.png", "x" * 5000])
def test_a_name_comes_back_as_text_and_does_nothing(serving, name):
    body = json.dumps({"images": [{"name": name[:1000], "data": base64.b64encode(b"nothing").decode()}]})
    found = serving.client.post("/v1/score", content=body, headers={"content-type": "application/json"})
    assert found.status_code == 422
    assert found.json()["images"][0]["name"] == name[:1000]
    assert "x-injected" not in found.headers


def _bmp(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "BMP")
    return file.getvalue()
