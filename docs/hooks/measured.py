"""What was measured here of an entry of a catalogue, from the committed tables, and what its paper reports."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from markup import quoted_table, table

DOCS = Path(__file__).parent.parent
MADE_BY = ("cutout", "flip", "invert")
SHARES = ("50%", "10%", "2%")
FAMILY = "tuned-against-random-family-by-family"
BASELINES = {
    "ae": ("autoencoder", 0),
    "pixel-knn": ("nearest neighbours on raw pixels", 0),
    "feature-knn": ("untrained encoder", 0),
    "feature-gaussian": ("untrained encoder", 1),
    "patch-knn": ("untrained encoder", 2),
    "pyod": ("PyOD's ECOD on Lite0 features", 0),
    "anomalib": ("anomalib's PaDiM, random weights", 0),
}
"""Which row of the measured baselines is a detector's, and which of the numbers in its cells."""
REACHED = {"discriminator": ("none", "fixed default"), "pool-probe": ("rival (pool-probe)",)}
"""Which columns of the table of choices are a detector's."""


def of_detector(name: str) -> str:
    """Return what was measured of a detector, as Markdown; empty where nothing was."""
    return "\n".join(filter(None, (_findings(name), _study("detector", name), _baselines(name), _reached(name))))


def of_augmentation(name: str) -> str:
    """Return what was measured of an augmentation, as Markdown; empty where nothing was."""
    return "\n".join(filter(None, (_study("augmentation", name), _family(name))))


def of_criterion(name: str) -> str:
    """Return what was measured of a criterion, as Markdown; empty where nothing was."""
    rows = [row for row in _read("self-tuning/criteria.csv") if row["criterion"] == name]
    if not rows:
        return ""
    measures = {
        "regret": "regret: AUROC lost against the best setting",
        "correlation": "rank correlation with the AUROC",
        "worse_than_none": "share of tasks where its choice is worse than no training",
    }
    lines = [[words, *(rows[0][f"{key} at {share}"] for share in SHARES)] for key, words in measures.items()]
    return (
        "18 settings of each of 20 tasks on 8 sets, one seed "
        "([all criteria](../self-tuning/tables.md#criteria); `make selftune`). A random setting loses 0.079, 0.078 "
        "and 0.075.\n\n" + table(["anomalies in the pool", *SHARES], lines)
    )


def of_papers(entry: str) -> str:
    """Return what papers report of an entry such as `detectors/dae`, beside our numbers, as Markdown."""
    reports = [each for each in _reports() if entry in each["of"]]
    return "\n".join(map(_report, reports)) or (
        "None is quoted: no number of the paper could be checked in a public source and set beside one of ours.\n"
    )


def _report(report: dict[str, Any]) -> str:
    rows = [[row["name"], row["paper"], _ours(report, row)] for row in report["rows"]]
    return (
        f"{report['what']}.\n\n{table(['', 'published', 'Feint'], rows)}\n"
        f"*Published:* {report['source']}.\n*Comparable?* {report['comparable']}\n"
    )


def _ours(report: dict[str, Any], row: dict[str, str]) -> str:
    if "ours" in row:
        return row["ours"]
    where = report["ours"]
    header, *cells = quoted_table((DOCS / where["page"]).read_text(encoding="utf-8"), where["heading"])
    return next(each[header.index(where["column"])] for each in cells if each[0] == row["row"])


def _reports() -> list[dict[str, Any]]:
    reports: list[dict[str, Any]] = tomllib.loads((DOCS / "papers.toml").read_text(encoding="utf-8"))["report"]
    return reports


def _findings(detector: str) -> str:
    rows = [row for row in _read("study/findings.csv") if row["hypothesis"].split()[0].strip(":") == detector]
    if not rows:
        return ""
    lines = [[row["hypothesis"], row["verdict"], row["sentence"]] for row in rows]
    return (
        "The hypotheses of [the reduced study](../measurements.md#the-study-reduced), written down before it ran:\n\n"
        + table(["hypothesis", "verdict", "measured"], lines)
    )


def _study(column: str, name: str) -> str:
    """Return the relative AUROC of one detector by augmentation, or of one augmentation by detector."""
    other = "augmentation" if column == "detector" else "detector"
    kinds = ("one-vs-one", *MADE_BY)
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in _read("study/relative.csv"):
        if row[column] != name and not re.fullmatch(rf"{name}-[\d.]+", row[column]):
            continue
        kind = row["anomaly"] if row["testbed"] == "controlled" else row["testbed"]
        label = f"`{row[other]}`" if row[column] == name else f"`{row['detector']}`, `{row['augmentation']}`"
        cells.setdefault((row["data"], label), {})[kind] = f"{float(row['relative_auroc']):+.3f}"
    lines = [[data, label, *(found.get(kind, "") for kind in kinds)] for (data, label), found in cells.items()]
    if not lines:
        return ""
    return (
        "What it adds to the AUROC of the vanilla detector in "
        "[the reduced study](../measurements.md#the-study-reduced) (`make study`): against the other classes, and "
        "against anomalies made by cutting out, flipping and inverting. Empty: left out by the plan.\n\n"
        + table(["data", other, *kinds], lines)
    )


def _baselines(detector: str) -> str:
    if detector not in BASELINES:
        return ""
    heading, (kind, place) = "Baselines on real defects", BASELINES[detector]
    header, *rows = quoted_table((DOCS / "measurements.md").read_text(encoding="utf-8"), heading)
    wanted = {kind: next(row for row in rows if row[0].endswith(kind))}
    if kind == "untrained encoder":
        wanted["EfficientNet-Lite0 (ImageNet)"] = next(row for row in rows if row[0].startswith("the same on"))
    lines = [[words, *(cell.split(", ")[place] for cell in row[1:])] for words, row in wanted.items()]
    return (
        "On real defects, magnetic tiles, means over five kinds, one seed "
        f"([all baselines](../measurements.md#baselines-on-real-defects)):\n\n{table(header, lines)}"
    )


def _reached(detector: str) -> str:
    columns = REACHED.get(detector, ())
    if not columns:
        return ""
    rows = _read("self-tuning/what-choosing-without-labels-reaches.csv")
    first = next(iter(rows[0]))
    lines = [[row[first], *(row[each] for each in columns)] for row in rows]
    return (
        "Mean AUROC over 20 tasks on 8 sets, one seed, beside the other candidates of `feint tune` in "
        "[its tables](../self-tuning/tables.md):\n\n" + table([first, *columns], lines)
    )


def _family(name: str) -> str:
    rows = [row for row in _read(f"self-tuning/{FAMILY}.csv") if row["family"] == name]
    if not rows:
        return ""
    keys = [key for key in rows[0] if key != "family"]
    return (
        "Magnitudes tuned on a landscape against random ones (RS: drawn once a training; RD: once an image), mean "
        "AUROC over 20 tasks on 8 sets, one seed "
        "([all families](../self-tuning/tables.md#tuned-against-random-family-by-family)):\n\n"
        + table(keys, [[row[key] for key in keys] for row in rows])
    )


def _read(name: str) -> list[dict[str, str]]:
    with (DOCS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


MEASURED: dict[str, Callable[[str], str]] = {
    "detectors": of_detector,
    "augmentations": of_augmentation,
    "criteria": of_criterion,
}
