"""Does this augmentation help on this anomaly? The study of the literature, reduced to one hour of two cores.

Question: which augmentation helps a detector on which anomaly, and where does self-supervision harm?
Paper: Yoo, Zhao, Akoglu (TMLR 2023), "Data Augmentation is a Hyperparameter", arXiv:2208.07734.
Command: make study DATA=FOLDER, a folder with mnist, fashion_mnist and cifar10; what is missing is fetched into it.
Plan: recipes/augmentation_study.toml, where the hypotheses and all that was reduced are written down.
Cost: 1,620 trainings, about 50 minutes on 2 quiet cores; 400 MB on disk.
Expected: docs/study/findings.csv; runs/study/report.html is the page with pictures, docs/study/ has it without them.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from feint.records.study import StudyRecord

HERE = Path(__file__).parent
SETS = ("cifar10", "fashion_mnist", "mnist")


def main() -> None:
    """Find the data, run the plan, write the page and the tables."""
    from feint.backends import limit_threads
    from feint.cli.study import Lines
    from feint.report.study import render
    from feint.studies.reading import read_study
    from feint.studies.run import run_study

    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    words.add_argument("--store", type=Path, default=Path("runs/study"), help="where records are kept: resumes")
    words.add_argument("--out", type=Path, default=Path("docs/study"), help="where page and tables go")
    given = words.parse_args()
    given.store.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    plan = given.store / "plan.toml"
    text = (HERE / "augmentation_study.toml").read_text(encoding="utf-8")
    for name in SETS:
        text = text.replace("{" + name + "}", find(name, given.data).resolve().as_posix())
    plan.write_text(text, encoding="utf-8")
    with Lines() as tell:
        run_study(plan, given.store, tell=tell)
    limit_threads(1)
    record = read_study(given.store)
    (given.store / "report.html").write_text(render(record), encoding="utf-8")
    publish(record, given.out)


def publish(record: StudyRecord, out: Path) -> None:
    """Write the page and the tables that may be passed on: without pictures, which are the data sets' makers'."""
    import pandas as pd

    from feint.report.study import render

    plan = (HERE / "augmentation_study.toml").read_text(encoding="utf-8")
    panels = [dataclasses.replace(panel, pictures={}, maps={}) for panel in record.panels]
    page = render(dataclasses.replace(record, plan=plan, panels=panels))
    (out / "report.html").write_text(page, encoding="utf-8")
    (out / "plan.toml").write_text(plan, encoding="utf-8")
    pd.DataFrame(map(dataclasses.asdict, record.findings)).to_csv(out / "findings.csv", index=False)
    means(record).to_csv(out / "relative.csv", index=False)
    for finding in record.findings:
        print(f"{finding.verdict}: {finding.hypothesis}. {finding.sentence}")


def means(record: StudyRecord) -> pd.DataFrame:
    """Return the mean relative AUROC of every arm by data set, testbed and, where it is controlled, anomaly."""
    from feint.studies.findings import relative_rows

    rows = relative_rows(record.rows, record.reference)
    rows["anomaly"] = rows["anomaly"].where(rows["testbed"] == "controlled", "all")
    by = ["detector", "data", "testbed", "anomaly", "augmentation"]
    found = rows.groupby(by)["relative"].agg(["mean", "std", "count"]).round(4).reset_index()
    return found.rename(columns={"mean": "relative_auroc", "count": "tasks_x_seeds"})


def find(name: str, root: Path) -> Path:
    """Return where the set `name` lies in `root`; a copy of CIFAR-10 in JPEG will do; fetches what is not there."""
    from feint.data.fetching import fetch
    from feint.data.public_sets import DATASETS

    for place in (root / f"{name}.npz", root / name, root / f"{name}_jpeg.npz"):
        if place.exists():
            return place
    return fetch(DATASETS[name], root)


if __name__ == "__main__":
    main()
