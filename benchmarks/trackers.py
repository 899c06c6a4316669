"""What a tracker costs: milliseconds until it has begun, for a number, and for a picture of 64 x 64 px.

`python benchmarks/trackers.py` prints a row each; trackers write beside a run in a temporary folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from feint.trackers import TRACKERS, Tracked

NUMBERS, PICTURES = 1_000, 100


def milliseconds(do: Callable[[], None]) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    do()
    return 1000 * (time.perf_counter() - begun)


def main() -> None:
    """Print one row a tracker."""
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    print("| tracker | to begin, ms | a number, ms | a picture, ms |\n|---|---|---|---|")
    for name, kind in TRACKERS.items():
        with TemporaryDirectory() as folder:
            tracker = kind(None)
            run = Tracked(command="tune", out=Path(folder) / "run", settings={}, key="key", resumed=False)
            begin = milliseconds(lambda tracker=tracker, run=run: tracker.begin(run))
            number = milliseconds(
                lambda tracker=tracker: [tracker.numbers({"loss/a": 0.5}, step=i) for i in range(NUMBERS)]
            )
            shown = milliseconds(lambda tracker=tracker: [tracker.picture(f"a/{i}", picture) for i in range(PICTURES)])
            tracker.end([], finished=True)
        print(f"| {name} | {begin:,.0f} | {number / NUMBERS:.2f} | {shown / PICTURES:.1f} |")


if __name__ == "__main__":
    main()
