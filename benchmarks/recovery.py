"""Does tuning find the augmentation that made the anomalies? 20 seeds, two experiments.

digits: 6 against 9 on MNIST, pool 500 + 500. Success: the tuned rotation ends within 30 degrees of 180, or the
AUROC of the chosen detector is within 0.01 of the best on a grid of 20 degrees.

patches: soft dark patches of area 0.02, 0.05 and 0.15 planted on magnetic-tile normals, so faint that the best of a
grid of areas reaches an AUROC between 0.8 and 0.97. Success: the tuned area is within a factor of 1.5, or the AUROC
of the chosen detector is within 0.01 of that best.

Run: python benchmarks/recovery.py digits --mnist mnist.npz --seeds 20
     python benchmarks/recovery.py patches --tiles magnetic_tile --seeds 20
MNIST as an npz with x_train, y_train, x_test, y_test; magnetic tiles in the MVTec layout (Huang et al. 2020,
https://github.com/abin24/Magnetic-tile-defect-datasets.). Labels are used here to judge, never by `feint.tune`.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

GRID_ANGLES = range(20, 360, 20)
GRID_AREAS = (0.008, 0.014, 0.02, 0.03, 0.05, 0.08, 0.15, 0.25)
AMPLITUDES = {0.02: 0.14, 0.05: 0.10, 0.15: 0.07}
PX = 32
STEPS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=["digits", "patches"])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--tiles", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/recovery.jsonl"))
    options = parser.parse_args()
    os.environ |= {"FEINT_CORES": "1", "OMP_NUM_THREADS": "1"}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    source = options.mnist if options.experiment == "digits" else options.tiles
    one = digits if options.experiment == "digits" else patches
    with ProcessPoolExecutor(options.workers) as pool, options.out.open("a") as out:
        for rows in pool.map(one, range(options.first, options.first + options.seeds), [source] * options.seeds):
            for row in rows:
                print(json.dumps(row), file=out, flush=True)
                print(json.dumps(row), flush=True)


def digits(seed: int, source: Path) -> list[dict[str, object]]:
    """One seed of 6 against 9."""
    import feint
    from feint.core.streams import numpy_stream

    data = np.load(source)
    chance = numpy_stream(seed, "digits")
    pick = lambda part, digit, n: chance.permutation(data[f"x_{part}"][data[f"y_{part}"] == digit])[:n]  # noqa: E731
    normal, pool = pick("train", 6, 1000), np.concatenate([pick("test", 6, 500), pick("test", 9, 500)])
    truth = np.repeat([0, 1], 500)
    run = feint.tune(normal, pool, seed=seed, budget="quick", image_size=28, augmentations=["rotation"])
    tuned, chosen = _tuned(run, "angle"), _auroc(run, truth)
    grid = {angle: _fixed(normal, pool, truth, seed, "rotation", {"angle": angle}) for angle in GRID_ANGLES}
    best = max(grid.values())
    near = tuned is not None and abs(tuned - 180) <= 30
    return [_row("digits", seed, 180, tuned, chosen, best, success=near or chosen >= best - 0.01)]


def patches(seed: int, source: Path) -> list[dict[str, object]]:
    """One seed of planted patches, three areas."""
    import torch

    import feint
    from feint.augmentations import CutDiff
    from feint.core.streams import numpy_stream, stream
    from feint.data import decode, open_images, plan_preprocessing, survey

    images = open_images(source, role="normal")
    plan = plan_preprocessing(survey(images), image_size=PX)
    pixels = decode(images, [plan], workers=1).pixels[0][:, 0]
    order = numpy_stream(seed, "patches").permutation(len(pixels))
    normal, clean, spoilt = pixels[order[:460]], pixels[order[460:610]], pixels[order[610:760]]
    augmentation, rows = CutDiff(), []
    pools = {}
    for area, amplitude in AMPLITUDES.items():
        noise = augmentation.draw(spoilt, generator=stream(seed, "plant", str(area)))
        planted = augmentation.apply(
            torch.from_numpy(spoilt)[:, None] / 255, noise, torch.tensor([area, 0.6, 45.0, amplitude])
        )
        pools[area] = np.concatenate([clean, (planted[:, 0] * 255).round().to(torch.uint8).numpy()])
    truth = np.repeat([0, 1], [len(clean), len(spoilt)])
    for area, pool in pools.items():
        magnitudes = {"aspect": 0.6, "angle": 45.0, "amplitude": AMPLITUDES[area]}
        grid = {a: _fixed(normal, pool, truth, seed, "cutdiff", {"area": a, **magnitudes}) for a in GRID_AREAS}
        best = max(grid.values())
        run = feint.tune(normal, pool, seed=seed, budget="quick", image_size=PX, augmentations=["cutdiff"])
        tuned, chosen = _tuned(run, "area"), _auroc(run, truth)
        near = tuned is not None and 1 / 1.5 <= tuned / area <= 1.5
        rows.append(_row("patches", seed, area, tuned, chosen, best, success=near or chosen >= best - 0.01))
    return rows


def _row(experiment, seed, planted, tuned, chosen, best, *, success):
    return {
        "experiment": experiment, "seed": seed, "planted": planted, "tuned": tuned, "auroc_chosen": round(chosen, 4),
        "auroc_best_of_grid": round(best, 4), "success": bool(success),
    }  # fmt: skip


def _tuned(run, magnitude: str) -> float | None:
    """Return the magnitude of the best tuned candidate, by the label-free criterion."""
    tuned = [c for c in run.record.candidates if c.kind == "tuned" and c.criterion is not None]
    return tuned[0].magnitudes[magnitude][0] if tuned else None


def _auroc(run, truth: np.ndarray) -> float:
    from feint.metrics.roc import auroc

    scores = run.scores.sort_values("path").score.to_numpy()
    return auroc(scores[truth == 0], scores[truth == 1])


def _fixed(normal, pool, truth, seed: int, name: str, magnitudes: dict[str, float]) -> float:
    """Return the AUROC of the pooled score after training with one fixed setting."""
    import torch

    from feint.core.detector import as_unit
    from feint.detectors import Discriminator
    from feint.metrics.roc import auroc
    from feint.runs.recipes import Making

    making = Making(augmentation=name, ranges={k: (float(v), float(v)) for k, v in magnitudes.items()})
    torch.set_num_threads(1)
    scorer = Discriminator(steps=STEPS).fit(torch.from_numpy(normal)[:, None], policy=making.policy(), seed=seed)
    with torch.no_grad():
        chunks = torch.from_numpy(pool)[:, None].split(64)
        scores = torch.cat([scorer(as_unit(chunk)) for chunk in chunks]).numpy()
    return auroc(scores[truth == 0], scores[truth == 1])


if __name__ == "__main__":
    main()
