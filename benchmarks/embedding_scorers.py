"""Question: how fast do the scorers of embeddings score a long mapped file, and in how much memory?

Command: `python benchmarks/embedding_scorers.py [--rows 100000] [--width 128] [--bank 10000] [--only NAME,NAME]
[--json]`.
Cost: with 100,000 embeddings about half a minute on an idle core; with 1,000,000 about five minutes.
What it does: writes random float32 embeddings (a mixture of 5 Gaussians) to a temporary file, maps it, fits every
scorer on `bank` others, in turn, and scores the file, on one thread. Seconds are of processor time, so that other
programs do not count. Memory is the peak of the process, looked at every 0.2 s, with all its libraries and whatever of
the mapped file is in memory.
Expected: less than 2 GiB whatever the scorer and however many the embeddings.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from feint.backends import PeakMemory, limit_threads
from feint.core.streams import numpy_stream
from feint.embeddings import EMBEDDING_SCORERS

GROUPS = 5
ROWS_AT_ONCE = 50_000


def embeddings(rows: int, width: int, name: str) -> np.ndarray:
    """Return so many random embeddings, float32, around the same centres whatever the `name` of their stream."""
    chance = numpy_stream(0, name)
    centres = numpy_stream(0, "centres").normal(size=(GROUPS, width)).astype(np.float32)
    return centres[chance.integers(GROUPS, size=rows)] + chance.standard_normal((rows, width), dtype=np.float32)


def write(path: Path, rows: int, width: int) -> np.ndarray:
    """Write the embeddings part by part and return them mapped, for reading."""
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, width))
    for start in range(0, rows, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, rows)
        file[start:stop] = embeddings(stop - start, width, f"scored from {start}")
    file.flush()
    return np.load(path, mmap_mode="r")


def measure(name: str, fitted_on: np.ndarray, path: Path) -> dict[str, object]:
    """Return the processor seconds and the memory in which one scorer is fitted and scores the mapped file."""
    with PeakMemory(interval=0.2) as peak:
        scored = np.load(path, mmap_mode="r")
        began = time.process_time()
        fitted = EMBEDDING_SCORERS[name]().fit(fitted_on, seed=0)
        between = time.process_time()
        scores = fitted.score(scored)
        ended = time.process_time()
    return {
        "scorer": name,
        "fit_seconds": round(between - began, 2),
        "score_seconds": round(ended - between, 1),
        "rows_per_second": round(len(scores) / (ended - between)),
        "peak_mib": round(peak.mib),
    }


def table(found: dict) -> str:
    title = f"{found['rows']:,} embeddings of {found['width']} dimensions, fitted on {found['bank']:,}, one thread"
    head = ["| scorer | fit, s | score, s | embeddings per second | peak memory, MiB |", "|---|---|---|---|---|"]
    rows = [
        f"| {each['scorer']} | {each['fit_seconds']} | {each['score_seconds']} | {each['rows_per_second']:,} "
        f"| {each['peak_mib']:,} |"
        for each in found["scorers"]
    ]
    return "\n".join([title, "", *head, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--bank", type=int, default=10_000)
    parser.add_argument("--only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = list(EMBEDDING_SCORERS) if options.only is None else options.only.split(",")
    limit_threads(1)
    fitted_on = embeddings(options.bank, options.width, "fitted on")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.npy"
        write(path, options.rows, options.width)
        scorers = [measure(name, fitted_on, path) for name in names]
    found = {"rows": options.rows, "width": options.width, "bank": options.bank, "scorers": scorers}
    if options.json:
        json.dump(found, sys.stdout, indent=2)
        print()
    else:
        print(table(found))


if __name__ == "__main__":
    main()
