"""Question: does bulk scoring stay in bounded memory, and does a job that was killed lose or double an image?

Command: `python benchmarks/bulk.py [100000] [--run RUN] [--folder DIR] [--workers N] [--json]`.
Cost: with 100,000 images about ten minutes on two cores, 500 MB of disk; without --run one more minute, to tune one.
What it does: writes n small images (32 px, PNG) into folders of 1,024; starts `feint score RUN images --out
OUT.parquet`, kills it and all of its processes by SIGKILL once a third is done, starts the same command again, and
compares the names in OUT with those on disk. Memory is that of all processes of the job together and of this script,
with shared pages counted once, twice a second. A tenth of the images is then scored by processes, by `--backend
serial` and into a CSV. Images per second include the start of Python and torch.
Expected: every image once; below 1.5 GiB; the tenth gets the same scores to the last bit.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from feint.backends import PeakMemory

SIDE = 32
PER_FOLDER = 1024
SOURCES = 512


def picture(chance: np.random.Generator) -> np.ndarray:
    """Return soft texture (32, 32), now and then with a dark spot."""
    coarse = Image.fromarray(chance.integers(110, 190, (8, 8), np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    image = np.asarray(coarse) + chance.normal(0, 3, (SIDE, SIDE))
    if chance.random() < 0.1:
        y, x = np.mgrid[:SIDE, :SIDE] / SIDE
        at = chance.uniform(0.25, 0.75, 2)
        image -= 130 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 2 / 0.09**2)
    return image.clip(0, 255).astype(np.uint8)


def write_images(folder: Path, n: int, seed: int = 0) -> None:
    """Write n images, each with a little noise of its own."""
    chance = np.random.default_rng(seed)
    sources = [picture(chance).astype(np.int16) for _ in range(SOURCES)]
    for i in range(n):
        place = folder / f"{i // PER_FOLDER:04d}"
        if i % PER_FOLDER == 0:
            place.mkdir(parents=True, exist_ok=True)
        image = (sources[i % SOURCES] + chance.integers(-4, 5, (SIDE, SIDE))).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(place / f"{i:07d}.png", compress_level=1)


def tune_run(folder: Path) -> Path:
    """Tune a small run on images of the same kind."""
    write_images(folder / "normal", 300, seed=1)
    write_images(folder / "unlabelled", 300, seed=2)
    run = folder / "run"
    words = ["tune", folder / "normal", folder / "unlabelled", "--out", run, "--budget", "quick"]
    subprocess.run([sys.executable, "-m", "feint", *map(str, words), "--augmentations", "cutdiff"], check=True)
    return run


def start(run: Path, images: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "feint", "score", run, images, "--out", out, *more]
    return subprocess.Popen([*map(str, words)], stderr=subprocess.PIPE, text=True)


def score(run: Path, images: Path, out: Path, *more: str) -> dict[str, float]:
    """Score to the end; return seconds and the peak memory of all processes together in MiB."""
    began = time.monotonic()
    with PeakMemory() as peak:
        process = start(run, images, out, *more)
        _, told = process.communicate()
    if process.returncode:
        raise SystemExit(told)
    return {"seconds": round(time.monotonic() - began, 1), "mib": round(peak.mib)}


def descendants(pid: int) -> list[int]:
    found = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return found + [each for child in found for each in descendants(child)]


def kill_after(process: subprocess.Popen[str], out: Path, parts: int) -> int:
    """Kill a job and all of its processes once it has so many part files; return how many it then has."""
    while process.poll() is None and len(list(out.glob("part-*"))) < parts:
        time.sleep(0.05)
    for pid in [process.pid, *descendants(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    return len(list(out.glob("part-*")))


def names_on_disk(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*.png"))


def measure(n: int, run: Path | None, folder: Path, workers: list[str]) -> dict[str, object]:
    import pandas as pd

    images, out = folder / "images", folder / "out.parquet"
    write_images(images, n)
    run = run or tune_run(folder)
    parts = -(-n // PER_FOLDER)
    began = time.monotonic()
    with PeakMemory() as peak:
        kept = kill_after(start(run, images, out, *workers), out, max(1, parts // 3))
    first = {"seconds": round(time.monotonic() - began, 1), "mib": round(peak.mib)}
    resumed = score(run, images, out, *workers)
    table = pd.read_parquet(out)
    exact = sorted(table.path) == names_on_disk(images)

    tenth = folder / "tenth"
    for k in range(max(1, parts // 10)):
        shutil.copytree(images / f"{k:04d}", tenth / f"{k:04d}", copy_function=os.link)
    few = len(names_on_disk(tenth))
    processes = score(run, tenth, folder / "processes.parquet", *workers)
    serial = score(run, tenth, folder / "serial.parquet", "--backend", "serial")
    plain = score(run, tenth, folder / "plain.csv")
    again = pd.read_parquet(folder / "serial.parquet")
    listed = pd.read_csv(folder / "plain.csv").set_index("path").score.reindex(again.path)
    return {
        "images": n,
        "killed_after_parts": f"{kept} of {parts}",
        "every_image_once": exact,
        "until_killed": first,
        "resumed": resumed,
        "per_second": round((n - kept * PER_FOLDER) / resumed["seconds"]),
        "tenth": few,
        "processes": processes | {"per_second": round(few / processes["seconds"])},
        "serial": serial | {"per_second": round(few / serial["seconds"])},
        "csv": plain | {"per_second": round(few / plain["seconds"])},
        "tenth_same_to_the_last_bit": bool(again.equals(table[: len(again)])),
        "csv_largest_difference": float(np.abs(listed.to_numpy() - again.score.to_numpy()).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="?", type=int, default=100_000)
    parser.add_argument("--run", type=Path, help="a run of your own, for grey images")
    parser.add_argument("--folder", type=Path, help="an empty place for images and results; None: a temporary one")
    parser.add_argument("--workers", help="how many worker processes")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    workers = ["--workers", given.workers] if given.workers else []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        found = measure(given.images, given.run, Path(folder), workers)
    if given.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name.replace('_', ' '):>28}  {value}")
    if not (found["every_image_once"] and found["tenth_same_to_the_last_bit"]):
        raise SystemExit("an image was lost, doubled or scored otherwise")


if __name__ == "__main__":
    main()
