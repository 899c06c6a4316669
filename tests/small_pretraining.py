"""Small pretrainings for the tests: textured images of 16 pixels, a few steps.

As a script it pretrains and kills itself as it hears of the sixth step: `python tests/small_pretraining.py IMAGES RUN`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from small_runs import picture, write

import feint
from feint.runs import chronicle

SIDE = 16
SETTINGS = {"steps": 8, "batch": 8, "image_size": SIDE}
SAVES = 4


class StoppedAt:
    """A monitor that sends this process a signal as it hears of a step, 0 for none, and keeps what it is told."""

    def __init__(self, step: int = 0, how: signal.Signals = signal.SIGINT) -> None:
        self.step, self.how, self.told = step, how, []

    def say(self, text: str) -> None:
        self.told.append(text)

    def phase(self, name: str) -> None:
        self.name = name

    def advance(self, done: float, total: float) -> None:
        if self.name == "pretraining" and done == self.step:
            os.kill(os.getpid(), self.how)


def image_folder(folder: Path, n: int = 24) -> Path:
    """Write n different images."""
    return write(folder, {f"{i:03d}.png": picture(i, side=SIDE) for i in range(n)})


def pretrain_arguments(images: Path, out: Path, *more: object) -> Sequence[object]:
    """Return the words of a small `feint pretrain`; those that are repeated in `more` count."""
    options = [word for name, value in SETTINGS.items() for word in (f"--{name.replace('_', '-')}", value)]
    return ["pretrain", images, "--out", out, *options, *more]


def logged(out: Path) -> list[dict[str, float]]:
    """Return the lines of a run's log."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def losses(out: Path) -> list[float]:
    """Return the loss of every step of a run."""
    return [line["loss"] for line in logged(out)]


def same_tensors(first: Path, second: Path) -> bool:
    """Tell whether two files hold the same tensors bit for bit."""
    one, other = load_file(first), load_file(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


if __name__ == "__main__":
    chronicle.SAVES = SAVES
    feint.pretrain(sys.argv[1], out=sys.argv[2], monitor=StoppedAt(6, signal.SIGKILL), **SETTINGS)
