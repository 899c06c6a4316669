"""How long a store of 100,000 records takes to open, filter and count, and a page of 420 tasks to render.

    python benchmarks/study_store.py [--cells 100000]

Each made-up cell has one task with four metrics; the page has 420 tasks, 14 augmentations, 3 detectors, 5 seeds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from feint.augmentations.policies import POLICIES
from feint.backends import limit_threads
from feint.records.study import CELL_COLUMNS, ROW_COLUMNS, StudyRecord
from feint.report.study import render
from feint.studies.cell import Cell, Outcome
from feint.studies.evaluating import Result
from feint.studies.plan import category_of_augmentation
from feint.studies.store import Store

AUGMENTATIONS = [name for name in POLICIES if name not in {"cutdiff", "rotation"}]
METRICS = ("auroc", "average_precision", "f1_at_k", "precision_at_k")
DETECTORS = {"dae": "ae", "ap": "ae", "deepsad": "deepsvdd"}


def made_up_cells(count):
    settings = {"features": 8, "hidden": 64}
    return [
        Cell(
            detector="dae", kind="dae", settings=settings, augmentation=AUGMENTATIONS[i % 13], data="toy",
            normal=str(i // 13 % 10), seed=i // 130, images="0",
        )
        for i in range(count)
    ]  # fmt: skip


def fill(path, cells):
    generator = np.random.default_rng(0)
    with Store(path, write=True) as store:
        store.plan(cells, {"name": "benchmark"})
        for cell in cells:
            values = generator.random(len(METRICS))
            results = [Result("one-vs-one", "x", *pair) for pair in zip(METRICS, values, strict=True)]
            store.record(cell, Outcome(results=results))


def made_up_record():
    generator = np.random.default_rng(0)
    wild = [(data, n) for data in ("mnist", "fashion_mnist", "svhn", "cifar10") for n in range(10)]
    tasks = [(data, "one-vs-one", n, a) for data, n in wild for a in range(10) if a != n]
    tasks += [(data, "controlled", n, a) for data, n in wild[20:] for a in ("flip", "cutout", "invert")]
    arms = [(d, a) for d in DETECTORS for a in AUGMENTATIONS] + [("ae", "none"), ("deepsvdd", "none")]
    rows = [
        (d, a, data, bed, f"{data}/{bed}/{n}/{k}", str(n), str(k), seed, "auroc", value, "done")
        for d, a in arms
        for (data, bed, n, k) in tasks
        for seed, value in enumerate(generator.uniform(0.4, 0.9, 5))
    ]
    return StudyRecord(
        name="benchmark", plan="", version="", reference=DETECTORS,
        categories={name: category_of_augmentation(name) for name in ("none", *AUGMENTATIONS)},
        rows=pd.DataFrame(rows, columns=list(ROW_COLUMNS)), cells=pd.DataFrame(columns=list(CELL_COLUMNS)),
    )  # fmt: skip


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--cells", type=int, default=100_000)
    count = words.parse_args().cells
    limit_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        fill(Path(folder) / "store", made_up_cells(count))
        print(f"filling: {(time.perf_counter() - begun) / count * 1e3:.2f} ms a record")
        begun = time.perf_counter()
        with Store(Path(folder) / "store") as store:
            rows, counts = store.rows(), store.counts()
        chosen = rows[(rows["augmentation"] == "flip") & (rows["metric"] == "auroc")]
        means = rows.groupby(["detector", "augmentation", "metric"])["value"].mean()
        seconds = time.perf_counter() - begun
        print(f"{counts.done:,} records, {len(rows):,} rows: opened, read, filtered to {len(chosen):,}")
        print(f"and averaged to {len(means)} in {seconds:.1f} s")
    record = made_up_record()
    begun = time.perf_counter()
    page = render(record)
    seconds = time.perf_counter() - begun
    print(f"page of 420 tasks, {len(record.rows):,} rows: {seconds:.1f} s, {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
