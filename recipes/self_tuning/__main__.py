"""How well can an augmentation be chosen without labels? The whole experiment, reduced to an hour of two cores.

Question: what do the label-free choice, its default, a random setting and each criterion lose against the best setting,
with 50, 10 and 2 % anomalies in the pool; does tuning beat random augmentation; does it harm?
Papers: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, for the task; landscape, choice and judges are Feint's own.
Command: make selftune DATA=FOLDER, a folder with any of magnetic_tile, kolektorsdd, aws_cookie (MVTec layout),
    mnist.npz, fashion_mnist.npz; solar cells are added where the package elpv-dataset is installed.
Cost: eight normal sets x 3 seeds: 41 trainings' worth each, an hour on two quiet cores; 600 MB on disk. Resumes.
Expected: docs/self-tuning/index.md and the tables beside it.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import Future, as_completed
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pandas as pd
from bank import BankJob, fill
from judging import choice_rows, criterion_rows, opened
from tables import page

from feint.backends import available_cores, open_backend

CATEGORIES = ("magnetic_tile", "kolektorsdd", "aws_cookie", "solar_cells")
CLASSES = {
    "mnist": {"2": ("0", "3", "7"), "6": ("0", "5", "9")},
    "fashion_mnist": {"2": ("0", "4", "8"), "6": ("0", "2", "9")},
}
PX = 64


def main() -> None:
    """Fill the banks that are missing, judge every pool, write the tables."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    words.add_argument("--store", type=Path, default=Path("runs/self-tuning"), help="where banks are kept: resumes")
    words.add_argument("--out", type=Path, default=Path("docs/self-tuning"), help="where the tables go")
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--only", nargs="*", help="names of data sets; all that are there, if not given")
    given = words.parse_args()
    given.store.mkdir(parents=True, exist_ok=True)
    jobs = found_jobs(given.data, given.store, seeds=given.seeds, only=given.only)
    if not jobs:
        words.error(f"{given.data} holds none of {', '.join([*CATEGORIES, *CLASSES])}")
    rows = carry_out(jobs, given.store)
    choices, criteria = (pd.DataFrame([row for each in rows for row in each[k]]) for k in range(2))
    choices.to_csv(given.store / "choices.csv", index=False)
    criteria.to_csv(given.store / "criteria.csv", index=False)
    text = page(choices, criteria, given.out)
    (given.out / "tables.md").write_text(text, encoding="utf-8")
    print(text)


def found_jobs(data: Path, store: Path, *, seeds: int, only: list[str] | None) -> list[BankJob]:
    """Return the bank of every normal set that is there, seed by seed."""
    places = {name: data / name for name in CATEGORIES[:-1]} | {"solar_cells": solar_cells(store)}
    jobs = [
        BankJob(path=path, data=name, normal=name, tasks="defect-types", size=PX, seed=0)
        for name, path in places.items()
        if path is not None and path.is_dir()
    ] + [
        BankJob(path=path, data=name, normal=normal, tasks="one-vs-one", anomalies=anomalies, size=28, seed=0)
        for name, normals in CLASSES.items()
        if (path := data / f"{name}.npz").exists()
        for normal, anomalies in normals.items()
    ]
    return [replace(job, seed=seed) for seed in range(seeds) for job in jobs if only is None or job.data in only]


def solar_cells(store: Path) -> Path | None:
    """Return solar cells in the MVTec layout, written into the store; None without the package."""
    import shutil

    import numpy as np

    from feint.core.errors import InputError
    from feint.core.streams import numpy_stream
    from feint.data.elpv import read_elpv

    try:
        cells = read_elpv()
    except InputError:
        return None
    root = store / "solar_cells"
    if (root / "complete").exists():
        return root
    normal = numpy_stream(0, "solar cells").permutation(np.flatnonzero(cells.probability == 0))
    folders = {
        "train/good": normal[:400],
        "test/good": normal[400:700],
        "test/defective": np.flatnonzero(cells.probability == 1)[:300],
    }
    for folder, rows in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in rows:
            shutil.copyfile(cells.images.items[i], root / folder / Path(cells.images.names[i]).name)
    (root / "complete").touch()
    return root


def carry_out(jobs: list[BankJob], store: Path) -> list[tuple[list[dict[str, object]], list[dict[str, object]]]]:
    """Fill every bank, then judge it; each job is one process with one thread."""
    with open_backend(available_cores()) as backend:
        filling: dict[Future[str], BankJob] = {backend.submit(fill, job, store): job for job in jobs}
        for k, future in enumerate(as_completed(filling), start=1):
            print(f"{k} of {len(jobs)} banks: {future.result()}", file=sys.stderr, flush=True)
        seeds = sorted({job.seed for job in jobs})
        judging = [backend.submit(judge, job, store, seeds) for job in jobs]
        found = []
        for k, judged in enumerate(judging, start=1):
            found.append(judged.result())
            print(f"{k} of {len(jobs)} banks judged", file=sys.stderr, flush=True)
        return found


def judge(job: BankJob, store: Path, seeds: list[int]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the rows of choices and of criteria of one bank."""
    bank = opened(job, store, seeds)
    return list(choice_rows(bank)), list(criterion_rows(bank))


if __name__ == "__main__":
    main()
