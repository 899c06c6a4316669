"""What does Feint say of pools without an anomaly? Normal and unlabelled images are drawn alike, run after run.

Printed: the share of unlabelled images flagged when 5 % were allowed, with a 95 % interval over runs; and in how many
runs each of the two questions asked of all unlabelled images (too many flagged? together too high?) has a p-value below
0.05 and 0.01.

Run: python benchmarks/anomaly_free.py [--runs 80] [--normal 110] [--unlabelled 60] (15 s a run on one core)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import feint

SIDE = 32


def texture(chance: np.random.Generator) -> NDArray[np.uint8]:
    """Return a grey image (SIDE, SIDE) of two waves of random length, turn and phase, and noise."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = sum(
        np.sin(2 * np.pi * length * (x * np.cos(turn) + y * np.sin(turn)) + phase)
        for length, turn, phase in zip(
            chance.uniform(1, 4, 2), chance.uniform(0, np.pi, 2), chance.uniform(0, 2 * np.pi, 2), strict=True
        )
    )
    return (128 + 30 * waves + chance.normal(0, 10, (SIDE, SIDE))).clip(0, 255).astype(np.uint8)


def main() -> None:
    """Tune on one pool without an anomaly after the other, and count what is said of them."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=80)
    arguments.add_argument("--normal", type=int, default=110)
    arguments.add_argument("--unlabelled", type=int, default=60)
    asked = arguments.parse_args()
    flagged, chance, together = [], [], []
    for seed in range(asked.runs):
        draw = np.random.default_rng(seed)
        images = np.stack([texture(draw) for _ in range(asked.normal + asked.unlabelled)])
        with tempfile.TemporaryDirectory() as folder:
            run = feint.tune(
                images[: asked.normal], images[asked.normal :], out=Path(folder) / "run", budget="quick", seed=seed
            )
            found = run.record.found
        flagged.append(found.flagged / found.unlabelled)
        chance.append(found.any_anomaly_p_value)
        together.append(found.together_p_value)
        print(f"{seed:3} flagged {flagged[-1]:.3f}, p {chance[-1]:.3f}, together {together[-1]:.3f}", flush=True)
    half = 1.96 * np.std(flagged, ddof=1) / np.sqrt(asked.runs)
    print(f"flagged: {np.mean(flagged):.4f} ({np.mean(flagged) - half:.4f} to {np.mean(flagged) + half:.4f})")
    for name, p in (("too many flagged", chance), ("together too high", together)):
        print(f"{name}: {(np.array(p) < 0.05).sum()} below 0.05, {(np.array(p) < 0.01).sum()} below 0.01")


if __name__ == "__main__":
    main()
