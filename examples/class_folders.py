"""A folder per class: each class is normal in turn, with the others as its anomalies; which augmentation helps.

python examples/class_folders.py WORKPLACE
"""

from __future__ import annotations

import sys
from pathlib import Path

from drawn_parts import write_shapes

from feint.studies.run import run_study
from feint.studies.store import Store

PLAN = """
[study]
name = "shapes"
seeds = [0]

[data]
path = "shapes"
tasks = "one-vs-rest"
size = 24

[[arms]]
detectors = ["discriminator"]
augmentations = ["rotation", "cutout", "noise"]

[[arms]]
detectors = ["feature-knn"]
augmentations = ["none"]

[train]
steps = 40
batch = 16
width = 8
"""


def main(place: Path) -> None:
    """Draw three classes, run the study, print the AUROC of every cell, and write the report."""
    write_shapes(place / "shapes", ("circle", "square", "triangle"), 40)
    (place / "plan.toml").write_text(PLAN)
    counts = run_study(place / "plan.toml", place / "store", backend="serial")
    print(f"{counts.done} trainings, {counts.failed} failed")

    with Store(place / "store") as store:
        rows = store.rows()
    aurocs = rows[rows["metric"] == "auroc"]
    table = aurocs.pivot_table(values="value", index="normal", columns=["detector", "augmentation"], sort=False)
    print(table.round(3).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
