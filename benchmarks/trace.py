"""Question: do the autoencoders learn as the public reference implementation does?

Command: `python benchmarks/trace.py CIFAR10 [--arms none flip] [--seed 0] [--threads 2] [--json]`, CIFAR10 being any
class set that `feint.data.class_sets` reads: an .npz file or the folder of the binary version.
Cost: an arm is five epochs of 5,000 images and five evaluations of 10,000; 2 to 3 minutes on two cores.
What it does: the training of `DAE` with its defaults (256 epochs, 1,024 images a batch) on the training images of class
0, with the augmentation that the arm names (`none`: `AE`); it is left after epoch 4. The first weights are those that
the reference draws from the same seed. After each epoch it prints the mean loss and the AUROC of the test images of
class 0 against all others, beside the trace that the reference prints, as it says for the flip (README of
https://github.com/jaeminyoo/SSL-AD). Epoch 0 updates no weight.
Expected: losses within 10 % and AUROCs within 0.03 of that trace. Measured on JPEG copies of CIFAR-10: `none` keeps
within 1.1 % and 0.016; `flip` within 0.014, but its loss is 11 and 15 % higher in epochs 3 and 4. The trace seems to
be that of a run without augmentation: with the flip, its code would also draw a number before the first weights, and
the loss of epoch 0 fits the weights drawn without it.
"""

import argparse
import json
import sys
import time
from pathlib import Path

TRACE = ((0.0980, 0.4849), (0.0748, 0.5054), (0.0475, 0.6054), (0.0358, 0.6607), (0.0299, 0.6529))
NORMAL = 0
CHUNK = 250


def follow(path: Path, arm: str, *, seed: int) -> list[dict[str, float | str]]:
    import torch

    from feint.augmentations.policies import policy_named
    from feint.core.detector import as_unit
    from feint.data.class_sets import read_class_set
    from feint.detectors.autoencoder import AE, DAE, training_epochs
    from feint.metrics.roc import auroc

    data = read_class_set(path)
    normals = torch.from_numpy(data.x_train[data.y_train == NORMAL]).permute(0, 3, 1, 2).contiguous()
    test = torch.from_numpy(data.x_test).permute(0, 3, 1, 2)
    recipe, policy = (AE(), None) if arm == "none" else (DAE(), policy_named(arm))
    torch.manual_seed(seed)
    scorer = recipe.scorer(3, (32, 32))
    epochs = training_epochs(recipe, scorer, normals, policy=policy, seed=seed)
    rows, began = [], time.perf_counter()
    for loss, (its_loss, its_auroc) in zip(epochs, TRACE, strict=False):
        seconds = time.perf_counter() - began
        with torch.no_grad():
            scores = torch.cat([scorer(as_unit(chunk)) for chunk in torch.split(test, CHUNK)]).numpy()
        found = auroc(scores[data.y_test == NORMAL], scores[data.y_test != NORMAL])
        rows.append(
            {
                "arm": arm,
                "epoch": len(rows),
                "loss": loss,
                "reference_loss": its_loss,
                "auroc": found,
                "reference_auroc": its_auroc,
                "images_per_second": len(normals) / seconds,
            }
        )
        began = time.perf_counter()
    return rows


def table(rows: list[dict[str, float | str]]) -> str:
    lines = [
        "| arm | epoch | loss | reference | apart, % | AUROC | reference | apart | images/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        loss, auroc = row["reference_loss"], row["reference_auroc"]
        lines.append(
            f"| {row['arm']} | {row['epoch']} | {row['loss']:.4f} | {loss:.4f} | {100 * (row['loss'] / loss - 1):+.1f} "
            f"| {row['auroc']:.4f} | {auroc:.4f} | {row['auroc'] - auroc:+.4f} | {row['images_per_second']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="CIFAR10")
    parser.add_argument("--arms", nargs="+", default=["none", "flip"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    from feint.backends import limit_threads

    limit_threads(options.threads)
    rows = [row for arm in options.arms for row in follow(options.data, arm, seed=options.seed)]
    if options.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
    else:
        print(table(rows))


if __name__ == "__main__":
    main()
