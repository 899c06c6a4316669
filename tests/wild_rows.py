"""Rows of a made-up study of representations under imbalance, with planted effects."""

from itertools import product

import numpy as np
import pandas as pd

from feint.records.study import ROW_COLUMNS

ARMS = [
    *(
        f"{method}/{encoder}"
        for method in ("simclr", "byol", "barlow_twins", "dino")
        for encoder in ("resnet8", "vit_micro")
    ),
    "mae/vit_micro",
]
SETS = {"tile": ["good"], "cells": ["good"], "fashion": ["shirt", "boot"], "knit": ["plain"], "leather": ["plain"]}
LEVELS = ("1%", "2%", "5%", "15%")
EFFECT = {"simclr": 0.10, "byol": 0.06, "barlow_twins": 0.05, "dino": 0.02, "mae": -0.05, "supervised": 0.20}
SCORERS = ("knn", "mahalanobis", "lof")


def wild_rows(arms=ARMS, sets=SETS, levels=LEVELS, seeds=3, *, seed=0, effect=EFFECT, noise=0.01, informed=("lidar",)):
    """Return rows in which methods differ, encoders hardly, and the metrics named in `informed` follow the AUROC.

    `effect` is what a method adds to the AUROC of the untrained encoder; BYOL loses least at low levels.
    """
    rng = np.random.default_rng(seed)
    encoders = list(dict.fromkeys(arm.split("/")[1] for arm in arms))
    references = [f"{kind}/{encoder}" for kind in ("untrained", "supervised") for encoder in encoders]
    base = {unit: rng.uniform(0.6, 0.75) for unit in _units(sets)}
    rows = []
    for arm, unit, level, number in product([*arms, *references], base, levels, range(seeds)):
        method = arm.split("/")[0]
        share = float(level.rstrip("%")) / 100
        slope = 0.0 if method == "untrained" else 0.01 if method == "byol" else 0.03
        value = base[unit] + effect.get(method, 0.0) - slope * np.log2(0.15 / share) / 4 + rng.normal(0, noise)
        views = "none" if arm in references else "small"
        data, normal = unit
        task = f"{data}/{level}/{normal}/rest"
        key = (arm, views, data, level, task, normal, "rest", number)
        found = {"auroc": value, "average_precision": value - 0.05, "auroc:few-5": 0.99}
        found |= {f"auroc:{each}": value - 0.1 + rng.normal(0, noise) for each in SCORERS}
        if method == "mae":
            found["auroc:reconstruction"] = 0.98
        if arm not in references:
            found |= _free(value, rng, informed)
        rows += [
            (*key, metric, min(score, 1.0) if metric.startswith("auroc") else score, "done")
            for metric, score in found.items()
        ]
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS))


def _units(sets):
    return [(data, normal) for data, normals in sets.items() for normal in normals]


def _free(value, rng, informed):
    def follows(name, up, spread):
        return up * value + rng.normal(0, 0.002) if name in informed else rng.normal(0, spread)

    return {
        "free:rankme": 20 + follows("rankme", 30, 5),
        "free:rankme_centred": 15 + follows("rankme_centred", 30, 5),
        "free:rankme@projector": 10 + follows("rankme@projector", 30, 3),
        "free:lidar": 30 + follows("lidar", 30, 5),
        "free:alpha_req": 1 + follows("alpha_req", 1, 0.3),
        "free:uniformity": -2 + follows("uniformity", -3, 0.5),
        "free:alignment": 0.5 + follows("alignment", -0.5, 0.1),
        "free:cluster_learnability": 0.5 + follows("cluster_learnability", 0.5, 0.1),
        "free:intrinsic_dimension": 8 + follows("intrinsic_dimension", 5, 2),
    }
