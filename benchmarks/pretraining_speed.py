"""Question: what share of a pretraining step goes into making the views, and what into reading the images?

Command: `OMP_NUM_THREADS=1 python benchmarks/pretraining_speed.py [--views small] [--encoder resnet8] [--side 32]
[--batches 64,128] [--steps 10] [--rounds 5] [--json]`.
Cost: with the defaults about three minutes of a free core, nearly all of it the network's.
What it does: trains SimCLR as `feint pretrain` does, on random images in a file that is mapped, as they are there; the
same steps with the views and with none (both views are then the image itself), in turns, in one process of one thread.
Times are of the processor, so that a busy machine disturbs them less. It counts the median over rounds, each with a
share of its own. "views alone" and "reading alone" are the same work outside of the training.
Expected: the views take at most 15 % of a step.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from feint.augmentations.views import Views, views_named
from feint.core.detector import as_unit
from feint.core.streams import numpy_stream, stream
from feint.networks.architectures import build
from feint.pretraining.optimisation import usual
from feint.pretraining.simclr import SimCLR
from feint.pretraining.training import Pretraining, Training

IMAGES = 2048
WARM_UP = 2


def pretraining(images: np.ndarray, views: tuple[Views, Views], batch: int, options: argparse.Namespace) -> Pretraining:
    """Return a training of SimCLR that has taken its first steps."""
    channels, *size = images.shape[1:]
    encoder = build(options.encoder, channels=channels, size=tuple(size), seed=0)
    training = Training(
        optimisation=usual(options.encoder, batch=batch),
        steps=WARM_UP + options.steps * options.rounds,
        batch=batch,
        seed=0,
    )
    made = Pretraining(SimCLR().learner(encoder, seed=0), images, views, training=training)
    made.run(lambda _: None, until=WARM_UP)
    return made


def seconds(work: Callable[[], object]) -> float:
    """Return the processor's seconds that `work` takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(channels: int, batch: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the shares of a step, and images a second, with the views and without."""
    views, none = views_named(options.views), Views(steps=())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        shape = (IMAGES, channels, options.side, options.side)
        np.save(path, numpy_stream(0, "images").integers(0, 256, shape, np.uint8))
        images = np.load(path, mmap_mode="r")
        trainings = {
            True: pretraining(images, views, batch, options),
            False: pretraining(images, (none, none), batch, options),
        }
        generator = stream(0, "alone")

        def read() -> torch.Tensor:
            return as_unit(torch.from_numpy(images[torch.randint(IMAGES, (batch,), generator=generator).numpy()]))

        unit = read()
        found: dict[str, list[float]] = {"with": [], "without": [], "views": [], "reading": []}
        for _ in range(options.rounds):
            for with_views, training in trainings.items():
                until = training.done + options.steps
                took = seconds(lambda training=training, until=until: training.run(lambda _: None, until=until))
                found["with" if with_views else "without"].append(took / options.steps)
            for name, work in {
                "views": lambda: [each(unit, generator=generator) for each in views],
                "reading": read,
            }.items():
                found[name].append(seconds(lambda work=work: [work() for _ in range(options.steps)]) / options.steps)
    step = found["with"]
    return {
        "channels": channels,
        "batch": batch,
        "images_per_second": round(batch / statistics.median(step), 1),
        "images_per_second_without": round(batch / statistics.median(found["without"]), 1),
        "share": round(statistics.median([1 - b / a for a, b in zip(step, found["without"], strict=True)]), 3),
        "views_alone": round(statistics.median([b / a for a, b in zip(step, found["views"], strict=True)]), 3),
        "reading_alone": round(statistics.median([b / a for a, b in zip(step, found["reading"], strict=True)]), 3),
    }


def table(rows: list[dict[str, float]], options: argparse.Namespace) -> str:
    """Return the measurements as Markdown."""
    title = (
        f"SimCLR, {options.encoder}, two views {options.views!r}, {options.side} x {options.side} px, one thread, "
        f"median of {options.rounds} rounds of {options.steps} steps"
    )
    head = [
        "| channels | batch | images/s | images/s without views | share of the views | views alone | reading alone |",
        "|---|---|---|---|---|---|---|",
    ]
    lines = [
        f"| {row['channels']} | {row['batch']} | {row['images_per_second']} | {row['images_per_second_without']} "
        f"| {row['share']:.1%} | {row['views_alone']:.1%} | {row['reading_alone']:.1%} |"
        for row in rows
    ]
    return "\n".join([title, "", *head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", default="small")
    parser.add_argument("--encoder", default="resnet8")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batches", default="64,128")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(channels, int(batch), options) for channels in (1, 3) for batch in options.batches.split(",")]
    if options.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
    else:
        print(table(rows, options))


if __name__ == "__main__":
    main()
