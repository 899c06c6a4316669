"""The real review page over a thousand image files that nobody should send: shown or explained, and never run."""

import re
import shutil
import signal
import subprocess
import sys
import time

import hostile_images
import httpx
import pandas as pd
import pytest
from hostile_images import SECONDS, hostile_files, odd_places, open_files, plain, resident, running_threads

ENOUGH = 64 * 2**20


@pytest.fixture
def folder(tmp_path):
    """Return all of them, beside what is named like an image and is none."""
    made = hostile_images.write(tmp_path / "hostile" / "images", hostile_files())
    odd_places(made)
    return made


def test_each_is_shown_or_explained_and_the_page_stays_as_it_was(finished, folder, tmp_path):
    run = shutil.copytree(finished.path, tmp_path / "run")
    command = [sys.executable, "-m", "feint", "review", run, folder, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as page:
        try:
            said = next(line for line in page.stderr if line.startswith("Reviewing"))
            address = re.search(r"http://\S+:\d+", said)[0]
            with httpx.Client(base_url=address, timeout=60) as client:
                _look_at_everything(client, str(page.pid), tmp_path)
            page.send_signal(signal.SIGTERM)
            assert page.wait(30) == 0
            assert page.stderr.read() == "Stopped.\n"
        finally:
            page.kill()


def _look_at_everything(client: httpx.Client, process: str, tmp_path) -> None:
    first = client.get("/").text
    assert "onerror=alert(1)>" not in first
    key, series = re.search(r'"X-Feint-Key": ?"([^"]+)"', first.replace("&#34;", '"'))[1], _series(first)
    pictures, large, maps = _round(client, series)
    size, files, threads = (measure(process) for measure in (resident, open_files, running_threads))
    assert 300 < sum(pictures) < 700
    assert large == pictures
    scored = [row for row in range(1000) if maps[row]]
    assert scored == list(range(len(scored)))  # those of another bit depth are shown, but have no score
    assert 0 <= sum(pictures) - len(scored) < 50
    assert _round(client, series) == (pictures, large, maps)
    assert resident(process) - size < ENOUGH
    assert open_files(process) <= files + 2
    assert running_threads(process) <= threads + 2
    assert client.get(f"/images/{series}/1000/thumb").status_code == 404
    for row in scored:
        answer = client.post(f"/marks/{row}?label=anomalous", headers={"X-Feint-Key": key})
        assert answer.status_code == 200, answer.text
    (tmp_path / "marks.csv").write_bytes(client.get("/marks.csv").content)
    assert len(pd.read_csv(tmp_path / "marks.csv")) == len(scored)
    for path in ("/", "/list?show=all", "/chunk?first=900", "/zoom?at=0", "/list?find=%00%1b%0d"):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert "<img src=x" not in answer.text


def _round(client: httpx.Client, series: str) -> tuple[list[bool], ...]:
    """Ask for every picture of every kind; return which of them there are."""
    return tuple(
        [_picture(client, f"/images/{series}/{row}/{kind}") for row in range(1000)]
        for kind in ("thumb", "large", "map")
    )


def _series(text: str) -> str:
    return re.search(r"/images/([^/\"]+)/\d+/thumb", text)[1]


def _picture(client: httpx.Client, address: str) -> bool:
    """Tell whether there is a picture; otherwise there is a reason."""
    began = time.perf_counter()
    answer = client.get(address)
    assert time.perf_counter() - began < SECONDS, address
    assert answer.status_code in {200, 422}, (address, answer.text)
    assert answer.status_code == 200 or plain(answer.text), answer.text
    return answer.status_code == 200
