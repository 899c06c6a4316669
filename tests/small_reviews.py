"""The review page for the tests: over real HTTP, on a free loopback port, in a thread of this process.

As a script it plays `feint refit RUN MARKS --out OUT` in a moment: the new run has the old one's scores turned round.
With `slow` as its first word it says a line and waits to be stopped; with `fails` it fails in one sentence.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


@dataclass(frozen=True)
class Reviewing:
    """A review page that runs in a thread of this process: its address, its desk and a client that knows its key."""

    address: str
    desk: object
    client: object


def played(*words: str) -> Callable[[Path, Path, Path], Sequence[str]]:
    """Return the command of a refit that this script plays."""
    return lambda run, marks, out: [sys.executable, __file__, *words, str(run), str(marks), str(out)]


@contextlib.contextmanager
def reviewing(
    path: Path, *, images: Path | None = None, token: str | None = None, command: Callable | None = None
) -> Iterator[Reviewing]:
    """Review a run meanwhile."""
    import httpx
    import uvicorn

    from feint.app.review.desk import Desk, held
    from feint.app.review.process import configured
    from feint.app.review.subject import scored_by, unlabelled_of
    from feint.app.server import Address
    from feint.runs.progress import Silent
    from feint.runs.run import Run

    run = Run(path)
    with held(run) as folder, Address(port=0).listen() as listening:
        subject = unlabelled_of(run) if images is None else scored_by(run, images, Silent())
        desk = Desk(subject, folder, command=command or played())
        server = uvicorn.Server(configured(desk, token))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with httpx.Client(base_url=address, timeout=60, headers={"X-Feint-Key": desk.key}) as client:
                yield Reviewing(address, desk, client)
        finally:
            server.should_exit = True
            thread.join()
            desk.refits.cancel()
            desk.close()


def play(run: Path, marks: Path, out: Path) -> None:
    """Write a run that calls ordinary what the old one flags, and the other way round."""
    import pandas as pd

    shutil.copytree(run, out)
    table = pd.read_csv(out / "scores.csv", dtype={"path": str})
    table["score"], table["p_value"], table["flagged"] = -table.score, 1.01 - table.p_value, 1 - table.flagged
    table.to_csv(out / "scores.csv", index=False)
    labels = pd.read_csv(marks, dtype={"path": str}).set_index("path").label
    kinds = {name: list(labels.index[labels == label]) for name, label in (("anomalous", 1), ("normal", 0))}
    estimate = {"value": 0.9, "low": 0.7, "high": 1.0}
    counts = {name: len(each) for name, each in kinds.items()}
    record = {
        "parent": str(run), "parent_sha256": "0", "seed": 0, "fitted": counts, "judged": counts,
        "old": {"auroc": estimate | {"value": 0.8}, "caught": 1, "rejected": 1},
        "new": {"auroc": estimate, "caught": 2, "rejected": 0},
        "difference": {"value": 0.1, "low": -0.1, "high": 0.2},
        "roles": {
            "fitted_anomalous": kinds["anomalous"], "fitted_normal": kinds["normal"],
            "judged_anomalous": [], "judged_normal": [], "left_out": [],
        },
        "sentence": "The new detector learned from what was marked.",
    }  # fmt: skip
    (out / "refit.json").write_text(json.dumps(record))


if __name__ == "__main__":
    print("learning from the marks ...", file=sys.stderr, flush=True)
    if sys.argv[1] == "slow":
        time.sleep(600)
    elif sys.argv[1] == "fails":
        sys.exit("feint: the images <b>have changed</b>: tune again.")
    else:
        play(*map(Path, sys.argv[1:]))
