"""Small runs for the tests: little textured images with planted defects, and a budget of a few steps.

As a script it is the command line with that budget: `python tests/small_runs.py tune NORMAL UNLABELLED --out RUN`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from feint.cli import run
from feint.runs import candidates
from feint.runs.settings import BUDGETS, Budget

SIDE = 32
BUDGET = Budget(
    sizes=(SIDE,), tiles=1, families=("cutdiff",), width=8, landscape_steps=4, points=4, steps=5, final_steps=6
)
AUGMENTATION = "cutdiff"
AUTOENCODER = {"features": 8, "hidden": 16, "batch": 32}


def make_small() -> None:
    """Make the quick budget and the autoencoder tiny, in this process."""
    BUDGETS["quick"] = BUDGET
    candidates.AUTOENCODER = AUTOENCODER


def picture(seed: int, *, defect: bool = False, side: int = SIDE) -> np.ndarray:
    """Return a uint8 image (side, side) of soft texture, or one with a dark blob in it."""
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(110, 190, (8, 8), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    image = np.asarray(coarse) + chance.normal(0, 3, (side, side))
    if defect:
        y, x = np.mgrid[:side, :side] / side
        at = chance.uniform(0.25, 0.75, 2)
        image -= 130 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 2 / 0.09**2)
    return image.clip(0, 255).astype(np.uint8)


def pictures(seeds: range, *, defects: int = 0) -> np.ndarray:
    """Return one image per seed, (n, side, side), the first `defects` of them with a defect."""
    return np.stack([picture(seed, defect=i < defects) for i, seed in enumerate(seeds)])


def write(folder: Path, images: dict[str, np.ndarray]) -> Path:
    """Write images as PNG by relative name, whatever the name's suffix; return the folder."""
    for name, image in images.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, format=None if path.suffix in {".bmp", ".tif", ".jpg"} else "PNG")
    return folder


def normal_folder(folder: Path, n: int = 110) -> Path:
    """Write n normal images."""
    return write(folder, {f"{i:03d}.png": picture(i) for i in range(n)})


def unlabelled_folder(folder: Path, n: int = 60, *, defects: int = 24) -> Path:
    """Write n images, named so that the names tell nothing but `defective` does: every fifth two of five."""
    return write(folder, {f"{i:03d}.png": picture(1000 + i, defect=defective(i, n, defects)) for i in range(n)})


def defective(i: int, n: int = 60, defects: int = 24) -> bool:
    """Tell whether the i-th of n unlabelled images has one of the defects, which are spread evenly."""
    return (i + 1) * defects // n > i * defects // n


def start(*arguments: object, cores: int = 2) -> subprocess.Popen[str]:
    """Start the command line in a process of its own, with the small budget."""
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"FEINT_CORES": str(cores)},
    )


def tune_arguments(normal: Path, unlabelled: Path, out: Path, *more: object) -> Sequence[object]:
    """Return the words of a small `feint tune`."""
    return ["tune", normal, unlabelled, "--out", out, "--budget", "quick", "--augmentations", AUGMENTATION, *more]


if __name__ == "__main__":
    make_small()
    run()
