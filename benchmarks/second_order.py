"""Question: how many plain training steps does a step of the magnitudes cost?

Command: `python benchmarks/second_order.py [--repetitions 30] [--json]`.
Cost: about a minute on one core.
What it does: the tuner's own two steps on the small encoder (width 16, depth 4) take turns in one run, on one thread,
and the medians of their processor time are compared. *Plain*: draw B normal images, make B pseudo-anomalies,
cross-entropy of the 2B images, backward, Adam. *Magnitudes*: draw all images, one lower step kept in the graph, the
upper loss, the hypergradient through both, Adam. *Equal batch sizes*, the first three rows of a size: 2B = 96 images in
the plain step's loss, 96 in the lower loss (48 + 48) and 96 in the upper loss (32 clean, 32 pseudo-anomalous, 32
unlabelled). The last row of a size is `SelfTuner` as it comes: 64, 64 and 192. First order leaves out the way through
the weights.
Expected: at most 6 at equal batch sizes.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace

EQUAL = {"batch": 48, "sample": 32}


def measure(name: str, px: int, *, order: str, batches: dict[str, int], repetitions: int) -> dict[str, object]:
    import torch

    from feint.augmentations import AUGMENTATIONS
    from feint.core.streams import stream
    from feint.tuning.selftuning import SelfTuner, _adam, _Start

    recipe = replace(SelfTuner(order=order), **batches)
    augmentation = AUGMENTATIONS[name]()
    images = (torch.rand(256, 1, px, px, generator=stream(0, "images")) * 255).to(torch.uint8)
    start = _Start(recipe, images, images, augmentation, seed=0)
    rho = augmentation.free(augmentation.starts[0])
    moments = [torch.zeros_like(rho), torch.zeros_like(rho)]
    step_size = torch.full_like(rho, 1e-6)
    plain, second = [], []
    for repetition in range(repetitions + 3):
        began = time.process_time()
        start._plain_step(rho)
        between = time.process_time()
        rho = _adam(rho, start.hypergradient(rho).gradient, moments, repetition, step_size)
        ended = time.process_time()
        if repetition >= 3:
            plain.append(between - began)
            second.append(ended - between)
    a, b = statistics.median(plain), statistics.median(second)
    return {
        "augmentation": name,
        "px": px,
        "order": order,
        "images": {"plain": 2 * recipe.batch, "lower": 2 * recipe.batch, "upper": 3 * recipe.sample},
        "plain_ms": round(1e3 * a, 2),
        "magnitudes_ms": round(1e3 * b, 2),
        "ratio": round(b / a, 2),
    }


def table(rows: list[dict], repetitions: int) -> str:
    lines = [
        f"Median processor time of {repetitions} repetitions, one thread.",
        "",
        "| augmentation | px | order | images: plain, lower, upper | plain, ms | magnitudes, ms | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        images = ", ".join(str(n) for n in row["images"].values())
        lines.append(
            f"| {row['augmentation']} | {row['px']} | {row['order']} | {images} | {row['plain_ms']} "
            f"| {row['magnitudes_ms']} | {row['ratio']} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    from feint.backends import limit_threads

    limit_threads(1)
    rows = [
        measure(name, px, order=order, batches=batches, repetitions=options.repetitions)
        for px in (32, 64)
        for name, order, batches in (
            ("cutdiff", "second", EQUAL),
            ("rotation", "second", EQUAL),
            ("cutdiff", "first", EQUAL),
            ("cutdiff", "second", {}),
        )
    ]
    if options.json:
        json.dump({"repetitions": options.repetitions, "rows": rows}, sys.stdout, indent=2)
        print()
    else:
        print(table(rows, options.repetitions))


if __name__ == "__main__":
    main()
