"""Question: what does each augmentation add to the time of a training epoch of the denoising autoencoder?

Command: `python benchmarks/augmentation_speed.py [--images 5000] [--rounds 3] [--side 32] [--batch 1024]
[--only NAME,NAME] [--json]`.
Cost: with 5,000 images about 15 s per augmentation and round on two idle cores; `--only simclr` for the one that is
asked of Feint.
What it does: the same epoch (random RGB images, ConvAE of 4.2 million parameters, forward, backward, Adam) without an
augmentation and with each one, in turns, in one process; the median of the rounds counts, each a ratio to the epoch
without in the same round. It also times the augmentation alone.
Expected: SimCLR at most 1.15.
"""

import argparse
import json
import statistics
import sys
import time

import torch

from feint.augmentations.policies import POLICIES
from feint.core.detector import as_unit
from feint.core.streams import stream
from feint.detectors.autoencoder import AE, DAE, training_epochs


def epoch_seconds(images: torch.Tensor, name: str | None, batch: int) -> float:
    """Return the seconds of one epoch with the augmentation `name`, or without one."""
    recipe = (AE if name is None else DAE)(epochs=1, batch=batch)
    scorer = recipe.scorer(images.shape[1], (images.shape[2], images.shape[3]))
    epochs = training_epochs(recipe, scorer, images, policy=None if name is None else POLICIES[name], seed=0)
    next(epochs)  # epoch 0 moves no weight
    began = time.perf_counter()
    next(epochs)
    return time.perf_counter() - began


def alone_seconds(images: torch.Tensor, name: str, batch: int) -> float:
    """Return the seconds in which every image is augmented once."""
    generator = stream(0, "alone")
    began = time.perf_counter()
    for part in images.split(batch):
        POLICIES[name](as_unit(part), generator=generator)
    return time.perf_counter() - began


def measure(options: argparse.Namespace) -> dict[str, object]:
    names = list(POLICIES) if options.only is None else options.only.split(",")
    shape = (options.images, 3, options.side, options.side)
    images = torch.randint(0, 256, shape, generator=stream(0, "images"), dtype=torch.uint8)
    warm = images[: options.batch]
    for name in (None, *names):
        epoch_seconds(warm, name, options.batch)
    bare, seconds, alone = [], {name: [] for name in names}, {name: [] for name in names}
    for _ in range(options.rounds):
        bare.append(epoch_seconds(images, None, options.batch))
        for name in names:
            seconds[name].append(epoch_seconds(images, name, options.batch))
            alone[name].append(alone_seconds(images, name, options.batch))
    return {
        "images": options.images,
        "side": options.side,
        "batch": options.batch,
        "threads": torch.get_num_threads(),
        "rounds": options.rounds,
        "bare_images_per_second": round(options.images / statistics.median(bare), 1),
        "augmentations": {
            name: {
                "images_per_second": round(options.images / statistics.median(seconds[name]), 1),
                "ratio": round(statistics.median([s / b for s, b in zip(seconds[name], bare, strict=True)]), 3),
                "alone_ms_per_image": round(1000 * statistics.median(alone[name]) / options.images, 4),
            }
            for name in names
        },
    }


def table(found: dict) -> str:
    title = (
        f"An epoch of {found['images']:,} images of {found['side']} x {found['side']}, batches of {found['batch']}, "
        f"{found['threads']} threads, median of {found['rounds']} rounds"
    )
    rows = [
        f"| {name} | {each['images_per_second']} | {each['ratio']} | {each['alone_ms_per_image']} |"
        for name, each in found["augmentations"].items()
    ]
    head = ["| augmentation | images per second | ratio to none | alone, ms per image |", "|---|---|---|---|"]
    return "\n".join([title, "", *head, f"| none | {found['bare_images_per_second']} | 1 | 0 |", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    if options.json:
        json.dump(found, sys.stdout, indent=2)
        print()
    else:
        print(table(found))


if __name__ == "__main__":
    main()
