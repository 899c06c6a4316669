"""Representations learnt without labels from images with anomalies among them, and judged without labels.

Question: which of four methods beats the same encoder untrained, at 2 and at 15 % anomalies; does a label-free metric
choose the better one?
Paper: Otero, Mateus, Balestriero (2024), "Anomaly detection in the wild", arXiv:2410.04289.
Command: make wild DATA=FOLDER, a folder with magnetic_tile in the MVTec layout and fashion_mnist, which is fetched into
it where it is missing; the solar cells come from the package elpv-dataset.
Plan: recipes/wild.toml, where all that was reduced is written down.
Cost: 144 cells, about 45 minutes on 2 cores; 10 MB on disk.
Expected: docs/wild/summary.md.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from augmentation_study import find

if TYPE_CHECKING:
    import pandas as pd

    from feint.records.wild import Criterion, Estimate, Reference, WildRecord

HERE = Path(__file__).parent
CERTAIN = (0.0, 1.0)


def main() -> None:
    """Find the data, run the plan, write the page and the tables."""
    from feint.backends import limit_threads
    from feint.cli.study import Lines
    from feint.report.study import render_wild
    from feint.studies.reading import read_study
    from feint.studies.run import run_study
    from feint.studies.store import Store

    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    words.add_argument("--store", type=Path, default=Path("runs/wild"), help="where records are kept: resumes")
    words.add_argument("--out", type=Path, default=Path("docs/wild"), help="where page and tables go")
    given = words.parse_args()
    given.store.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    text = (HERE / "wild.toml").read_text(encoding="utf-8")
    places = {
        "magnetic_tile": given.data / "magnetic_tile",
        "solar_cells": solar_cells(given.store / "solar_cells"),
        "fashion_mnist": find("fashion_mnist", given.data),
    }
    for name, place in places.items():
        text = text.replace("{" + name + "}", place.resolve().as_posix())
    plan = given.store / "plan.toml"
    plan.write_text(text, encoding="utf-8")
    with Lines() as tell:
        run_study(plan, given.store, tell=tell)
    limit_threads(1)
    record = read_study(given.store)
    (given.store / "report.html").write_text(render_wild(record), encoding="utf-8")
    with Store(given.store) as opened:
        publish(record, opened.rows(), given.out)


def publish(record: WildRecord, rows: pd.DataFrame, out: Path) -> None:
    """Write the page, its rows and what it says in words; no picture of the data sets is among them."""
    import dataclasses

    from feint.report.study import render_wild

    plan = (HERE / "wild.toml").read_text(encoding="utf-8")
    (out / "report.html").write_text(render_wild(dataclasses.replace(record, plan=plan)), encoding="utf-8")
    (out / "plan.toml").write_text(plan, encoding="utf-8")
    rows.drop(columns=["task", "status"]).round(5).to_csv(out / "rows.csv", index=False)
    (out / "summary.md").write_text(summary(record), encoding="utf-8")
    for claim in record.claims:
        print(f"{claim.verdict}: {claim.claim} {claim.sentence}")


def summary(record: WildRecord) -> str:
    """Return what the study found, in words and tables."""
    claims = [f"- **{each.claim}**: {each.verdict}. {each.sentence}" for each in record.claims]
    gains = [
        f"| {each.arm} | {each.data or 'all'} | {told(each.probe)} | {told(each.scored)} |" for each in record.gains
    ]
    chosen = sorted(record.criteria, key=lambda each: np.inf if each.regret is None else each.regret.value)
    regrets = [
        f"| {each.name} | {told(each.regret)} | {tau(each, 'pooled')} | {tau(each, 'within set and class')} |"
        for each in [*record.references, *chosen]
    ]
    confirmation = [] if record.confirmation is None else [record.confirmation.sentence, ""]
    return "\n".join(
        [
            "# Representations under imbalance: the reduced study", "",
            "Made by `make wild`; the plan was written before it ran (`plan.toml`), all rows are in `rows.csv`.", "",
            "## What holds here", "", *claims, "",
            "## Gain over the untrained encoder", "",
            "AUROC, with 95 % intervals: over seeds on one set, over pairs of set and normal class for all.", "",
            "| method | set | linear probe | best label-free scorer |", "|---|---|---|---|", *gains, "",
            "## Choosing a method without labels", "",
            "Regret: the AUROC of the best method minus that of the chosen one, mean over sets, levels and seeds.", "",
            *confirmation,
            "| criterion | regret | tau, pooled | tau, within a set and class |", "|---|---|---|---|", *regrets, "",
        ]
    )  # fmt: skip


def told(found: Estimate | None) -> str:
    """Return a number with its interval."""
    return "" if found is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def tau(found: Criterion | Reference, where: str) -> str:
    """Return Kendall's tau-b of a criterion with AUROC; nothing of what is none."""
    agreement = getattr(found, "agreement", {}).get(where)
    return "" if agreement is None else f"{agreement.tau.value:.2f}"


def solar_cells(folder: Path) -> Path:
    """Return a folder with the solar cells that are certainly whole (good) or certainly defective."""
    from feint.data.elpv import read_elpv

    found = read_elpv()
    for item, probability in zip(found.images.items, found.probability, strict=True):
        if probability in CERTAIN and isinstance(item, Path):
            place = folder / ("defective" if probability else "good") / item.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copyfile(item, place)
    return folder


if __name__ == "__main__":
    main()
