"""Bulk jobs for the tests: a judge without a network, which is quick to open, and a job as a script.

`python tests/small_bulk.py MODEL SOURCE OUT WORKERS` scores in parts of ten images.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from feint.records.run import PreprocessingRecord
from feint.runs.bulk import Summary, run_bulk
from feint.runs.bulk_worker import Judging

CALIBRATION = np.arange(60.0, 160.0)
DEADLY = 255
PART = 10
CALLS = "SMALL_BULK_CALLS"
"""How many batches a process scores before it waits to be ended: as many as there are, where this is not set."""


class MeanJudge:
    """Scores an image by its mean; a batch in which one is all white kills the process, as a bad decoder would."""

    def __init__(self, folder: Path) -> None:
        text = (folder / "model.json").read_text()
        self._settings = json.loads(text)
        self._calls = 0
        self.preprocessings = [PreprocessingRecord(channels=1, height=8, width=8, white=255)]
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        self.about = Judging(sha256, self._settings["mode"], self._settings["rate"], tuple(CALIBRATION))

    def __call__(self, inputs):
        self._calls += 1
        time.sleep(self._settings["slow"] if self._calls <= int(os.environ.get(CALLS, sys.maxsize)) else 600)
        (pixels,) = inputs
        if (pixels.min(axis=(1, 2, 3)) == DEADLY).any():
            os.kill(os.getpid(), signal.SIGKILL)
        scores = pixels.mean(axis=(1, 2, 3))
        return scores, (1 + (scores[:, None] <= CALIBRATION).sum(axis=1)) / (1 + len(CALIBRATION))


def write_model(folder: Path, *, mode: str = "false_alarm_rate", rate: float = 0.1, slow: float = 0.0) -> Path:
    """Write what MeanJudge reads; return the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"mode": mode, "rate": rate, "slow": slow}))
    return folder


def plain(i: int) -> Image.Image:
    """Return the i-th image: grey, each its own level but for every 180th."""
    return Image.fromarray(np.full((8, 8), 20 + i % 180, np.uint8))


def write_images(folder: Path, n: int) -> Path:
    """Write n images into folders of 25; return the folder."""
    for i in range(n):
        place = folder / f"{i // 25:02d}"
        place.mkdir(parents=True, exist_ok=True)
        plain(i).save(place / f"{i:04d}.png")
    return folder


def job(model: Path, source: object, out: Path, *, backend: str = "serial", workers: int | None = None) -> Summary:
    """Carry out a job in parts of ten images."""
    return run_bulk(MeanJudge, model, str(source), out=out, backend=backend, workers=workers, part_size=PART)


def table(out: Path):
    """Return what a finished job wrote."""
    import pandas as pd

    return pd.read_parquet(out)


def expected(n: int):
    """Return the table of n images."""
    import pandas as pd

    scores = np.array([float(np.asarray(plain(i)).mean()) for i in range(n)])
    p = (1 + (scores[:, None] <= CALIBRATION).sum(axis=1)) / 101
    return pd.DataFrame(
        {
            "path": [f"{i // 25:02d}/{i:04d}.png" for i in range(n)],
            "score": scores,
            "p_value": p,
            "flagged": (p <= 0.1).astype(np.int8),
            "reason": pd.Series([None] * n, dtype="str"),
        }
    )


if __name__ == "__main__":
    # Workers find the judge under the name of its module.
    import small_bulk

    small_bulk.job(*map(Path, sys.argv[1:4]), backend="processes", workers=int(sys.argv[4]))
