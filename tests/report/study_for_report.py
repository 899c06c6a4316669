"""A made-up study with planted effects, for the tests of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from feint.records.study import CELL_COLUMNS, GROUPS, ROW_COLUMNS, Finding, Panel, StudyRecord

HOSTILE = "<script>alert('x')</script> & \"a\""
CATEGORIES = {
    "none": "none",
    "crop": "geometric",
    "rotate": "geometric",
    "flip": "geometric",
    "geom": "geometric",
    "cutout": "local",
    "cutpaste": "local",
    "cp-scar": "local",
    "mask": "elementwise",
    "noise": "elementwise",
    "blur": "elementwise",
    "color": "color",
    "invert": "color",
    "simclr": "mixed",
}
SWEEPS = {
    **{f"cutout-{v}": "local" for v in (0.05, 0.1, 0.2, 0.4)},
    **{f"mask-{v}": "elementwise" for v in (0.1, 0.3, 0.5)},
    **{f"color-{v}": "color" for v in (0.25, 0.5, 1.0)},
}
REFERENCE = {"dae": "ae", "augmentation-predictor": "half", "deep-sad": "deep-svdd"}
WILD = {"geometric": 0.06, "mixed": 0.03, "local": -0.01, "elementwise": -0.02, "color": 0.0}
Task = tuple[str, str, str, str]


def tasks(
    *, controlled: Sequence[str] = (), wild: Sequence[str] = (), classes: int = 10, kinds: Sequence[str] = ()
) -> list[Task]:
    """Return (data, testbed, normal, anomaly) of every task."""
    names = [str(i) for i in range(classes)]
    made = [(data, "controlled", normal, kind) for data in controlled for normal in names for kind in kinds]
    return made + [(data, "one-vs-one", a, b) for data in wild for a, b in product(names, names) if a != b]


def effect(augmentation: str, task: Task, categories: Mapping[str, str]) -> float:
    """Return the planted relative AUROC: large where the augmentation makes the very anomaly, less in its category."""
    _, testbed, _, anomaly = task
    base = augmentation.rsplit("-", 1)[0] if augmentation[-1].isdigit() else augmentation
    if testbed != "controlled":
        return WILD.get(categories.get(augmentation, ""), 0.0)
    if base == anomaly:
        return 0.15
    return 0.05 if categories.get(augmentation) == CATEGORIES.get(anomaly) else -0.03


def table(
    kept: Sequence[Task], *, detectors: Mapping[str, str], categories: Mapping[str, str], seeds: int, seed: int = 0
) -> pd.DataFrame:
    """Return the rows of a study: every detector and augmentation on every task, vanilla ones and a baseline too."""
    rng = np.random.default_rng(seed)
    level = {task: rng.uniform(0.55, 0.85) for task in kept}
    trained: dict[tuple[str, str, str, str], float] = {}
    rows = []
    arms = [(detector, each) for detector in detectors for each in categories if each != "none"]
    arms += [(vanilla, "none") for vanilla in dict.fromkeys(detectors.values()) if vanilla != "half"]
    arms += [("raw-knn", "none")]
    for (detector, augmentation), run in product(arms, range(seeds)):
        for task in kept:
            data, testbed, normal, anomaly = task
            luck = trained.setdefault((detector, augmentation, data, normal), rng.normal(0, 0.02))
            gain = 0.0 if augmentation == "none" else effect(augmentation, task, categories) + luck
            value = float(np.clip(level[task] + gain + rng.normal(0, 0.01), 0, 1))
            name = f"{data}/{testbed}/{normal}/{anomaly}"
            row = (detector, augmentation, data, testbed, name, normal, anomaly, run)
            rows += [(*row, "auroc", value, "done"), (*row, "average precision", value - 0.1, "done")]
            if detector == "augmentation-predictor":
                rows.append((*row, "auroc:dirichlet", value + 0.01, "done"))
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS))


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one cell per training: what shares a detector, an augmentation, a normal class and a seed."""
    found = rows[["detector", "augmentation", "data", "normal", "seed", "status"]].drop_duplicates().copy()
    found["key"] = [f"{i:012x}" for i in range(len(found))]
    found["reason"] = ""
    found["seconds"] = 12.5
    return found[list(CELL_COLUMNS)].reset_index(drop=True)


def failed(key: str, reason: str) -> pd.DataFrame:
    row = (key, "dae", "noise", "cifar10", "3", 1, "failed", reason, 3.0)
    return pd.DataFrame([row], columns=list(CELL_COLUMNS))


def panel(relative: float, *, aligned: bool | None = True, n: int = 60, seed: int = 0, maps: bool = True) -> Panel:
    """Return a panel whose anomalies stand apart the more, the larger `relative` is."""
    rng = np.random.default_rng(seed)
    apart = {"train normal": 0.0, "test normal": 0.1, "pseudo-anomalous": 2.5, "test anomalous": 1 + 10 * relative}
    return Panel(
        detector="dae",
        augmentation="cutout" if relative > 0 else "noise",
        data="cifar10",
        normal="3",
        anomaly="cutout",
        seed=seed,
        aligned=aligned,
        auroc=0.7 + relative,
        relative=relative,
        scores={name: np.exp(rng.normal(apart[name], 0.5, 3 * n)) for name in GROUPS},
        embeddings={name: rng.normal(apart[name], 1, (n, 16)) for name in GROUPS} if n else {},
        pictures={name: _pictures(rng, boxed="anom" in name) for name in GROUPS},
        maps={name: rng.gamma(1 + 2 * ("anom" in name), 1.0, (4, 32, 32)) for name in GROUPS} if maps else {},
    )


def _pictures(rng: np.random.Generator, *, boxed: bool) -> np.ndarray:
    y, x = np.mgrid[:32, :32] / 31
    waves = np.sin(6 * x * rng.uniform(0.5, 2, (4, 3, 1, 1)) + 5 * y + rng.uniform(0, 6, (4, 3, 1, 1)))
    pictures = (127 + 100 * waves).astype(np.uint8)
    if boxed:
        pictures[:, :, 8:20, 10:22] = 0
    return pictures


FINDINGS = (
    Finding(
        hypothesis="On controlled tasks the category of the aligned augmentation ranks first for the DAE.",
        verdict="confirmed",
        sentence="The aligned category leads the best of the others by +0.081 (95 % interval +0.064 to +0.097).",
        value=0.081,
        low=0.064,
        high=0.097,
        clusters=20,
        tasks=60,
    ),
    Finding(
        hypothesis="Misaligned augmentations are at or below zero.",
        verdict="not confirmed",
        sentence="Their mean relative AUROC is +0.004 (95 % interval −0.001 to +0.009).",
        value=0.004,
        low=-0.001,
        high=0.009,
        clusters=20,
        tasks=60,
    ),
    Finding(
        hypothesis="In the wild, geometric augmentations are best on average.",
        verdict="undecided",
        sentence="Two clusters are too few to say.",
        value=float("nan"),
        low=float("nan"),
        high=float("nan"),
        clusters=2,
        tasks=4,
    ),
)
PLAN = '[study]\nname = "small"\nseeds = [0, 1, 2]\n[data]\nname = "cifar10"\ntasks = "controlled"\n'


def study(
    *,
    kept: Sequence[Task] | None = None,
    detectors: Mapping[str, str] | None = None,
    categories: Mapping[str, str] | None = None,
    seeds: int = 2,
    panels: Sequence[Panel] = (),
    findings: Sequence[Finding] = (),
    name: str = "small",
) -> StudyRecord:
    """Return a small study, of which each part can be chosen."""
    kept = tasks(controlled=["cifar10"], classes=4, kinds=["flip", "cutout"]) if kept is None else kept
    detectors = {"dae": "ae"} if detectors is None else detectors
    categories = {k: CATEGORIES[k] for k in ("none", "flip", "rotate", "cutout")} if categories is None else categories
    rows = table(kept, detectors=detectors, categories=categories, seeds=seeds)
    return StudyRecord(
        name=name,
        plan=PLAN,
        version="0.2.0",
        reference=detectors,
        categories=categories,
        rows=rows,
        cells=cells(rows),
        findings=findings,
        panels=panels,
    )


def large(*, seeds: int = 5, panels: Sequence[Panel] = ()) -> StudyRecord:
    """Return the study of the paper's size: 420 tasks, 3 detectors, 13 augmentations."""
    kinds = ["flip", "cutout", "invert"]
    kept = tasks(controlled=["cifar10", "svhn"], wild=["mnist", "fashion", "svhn", "cifar10"], kinds=kinds)
    return study(
        kept=kept,
        detectors=REFERENCE,
        categories=CATEGORIES,
        seeds=seeds,
        panels=panels,
        findings=FINDINGS,
        name="paper",
    )
