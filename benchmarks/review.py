"""How quick the review page is with 10,000 images: answers of the server, frames while scrolling, memory.

    python benchmarks/review.py RUN [--images 10000]

RUN is any finished run; a copy of it is reviewed on generated images of 300 px, whose scores are drawn at random.
Needs the extra `dev` and Debian's chromium.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SCROLL = """async (speed) => {
  const times = []; let last = performance.now(); const end = last + 8000;
  while (performance.now() < end) {
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last); last = performance.now(); scrollBy(0, speed);
  }
  return times.sort((a, b) => a - b);
}"""


def main() -> None:
    """Print one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    from small_reviews import reviewing

    with tempfile.TemporaryDirectory() as place:
        run = lay_out(options.run, Path(place), options.images)
        with reviewing(run) as review:
            before = resident()
            serve(review.client)
            scroll(review.address)
            print(f"memory of the server: {before} MiB before, {resident()} MiB after")


def lay_out(run: Path, place: Path, n: int) -> Path:
    """Return a copy of `run` whose unlabelled images are n generated ones."""
    import small_runs

    copied, folder = Path(shutil.copytree(run, place / "run")), place / "images"
    folder.mkdir()
    drawn = [small_runs.picture(i, defect=i % 9 == 0, side=300) for i in range(200)]
    for i in range(n):
        Image.fromarray(np.roll(drawn[i % 200], (i * 7 % 300, i * 13 % 300), (0, 1))).save(folder / f"{i:05d}.jpg")
    record = json.loads((copied / "run.json").read_text())
    record["data"]["unlabelled"] |= {"source": str(folder), "skipped": []}
    (copied / "run.json").write_text(json.dumps(record))
    of = record["calibration"]["images"] + 1
    p = np.sort(np.random.default_rng(0).integers(1, of + 1, n)) / of
    names = [f"{i:05d}.jpg" for i in range(n)]
    table = pd.DataFrame({"path": names, "score": -p, "p_value": p, "flagged": (p <= 0.05).astype(int)})
    table.to_csv(copied / "scores.csv", index=False)
    return copied


def serve(client: httpx.Client) -> None:
    """Time the answers, one request after the other."""
    page = client.get("/").text
    chunk = re.findall(r'hx-get="(/chunk[^"]*)"', page)[-2].replace("&amp;", "&")
    series = re.search(r"/images/([^/]+)/", page)[1]
    pictures = {kind: [f"/images/{series}/{row}/{kind}" for row in range(40)] for kind in ("thumb", "map")}
    timed(client, "the page", ["/"] * 20)
    timed(client, "60 images", [chunk] * 20)
    timed(client, "another filter", ["/list?show=flagged&sort=path", "/list?find=77"] * 10)
    timed(client, "the words of a threshold", ["/threshold?step=9"] * 20)
    for state in ("new", "kept"):
        for kind, addresses in pictures.items():
            timed(client, f"a {kind}, {state}", addresses)


def timed(client: httpx.Client, what: str, addresses: Sequence[str]) -> None:
    """Print the median and the longest time of the answers."""
    seconds = []
    for address in addresses:
        began = time.perf_counter()
        client.get(address).raise_for_status()
        seconds.append(time.perf_counter() - began)
    print(f"{what}: median {1000 * statistics.median(seconds):.0f} ms, longest {1000 * max(seconds):.0f} ms")


def scroll(address: str) -> None:
    """Print how long frames take while the page scrolls, slowly, fast, and as by dragging the bar."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(address)
        page.wait_for_timeout(3000)
        for speed in (25, 120, 1500):
            times = page.evaluate(SCROLL, speed)
            middle, late = statistics.median(times), times[int(0.95 * len(times))]
            print(f"scrolling {speed} px a frame: median {middle:.0f} ms a frame, 95 % within {late:.0f} ms")
        browser.close()


def resident() -> int:
    """Return the resident memory of this process, MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024


if __name__ == "__main__":
    main()
