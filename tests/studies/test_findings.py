"""Findings: what is planted is found, what is not there is not, and each hypothesis is judged on its own rows."""

import numpy as np
import pandas as pd
import pytest

from feint.records.study import ROW_COLUMNS
from feint.studies.findings import CLAIMS, GENERATING, excluded_tasks, find, relative_rows
from feint.studies.plan import Hypothesis

CATEGORIES = {
    "flip": "geometric",
    "rotate": "geometric",
    "cutout": "local",
    "invert": "color",
    "mask": "elementwise",
    "none": "none",
}
ARMS = ["flip", "rotate", "cutout", "invert", "mask"]


def study(seed, effect=lambda augmentation, anomaly: 0.0, normals=10, vanilla=0.6):
    """Return rows of a made-up study: every trained model has a strength of its own, `effect` comes on top."""
    generator = np.random.default_rng(seed)
    rows = []
    tasks = [("controlled", kind) for kind in ("flip", "cutout", "invert")] + [("one-vs-one", str(k)) for k in range(4)]
    for normal in range(normals):
        level = vanilla + generator.normal(0, 0.05)
        for augmentation in ("none", *ARMS):
            model = generator.normal(0, 0.03)
            for testbed, anomaly in tasks:
                gain = model + effect(augmentation, anomaly) if augmentation != "none" else 0.0
                for number in (0, 1):
                    value = np.clip(level + gain + generator.normal(0, 0.005), 0, 1)
                    task = f"toy/{testbed}/{normal}/{anomaly}"
                    detector = "ae" if augmentation == "none" else "dae"
                    arm = (detector, augmentation, "toy", testbed, task)
                    rows.append((*arm, str(normal), anomaly, number, "auroc", value, "done"))
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS))


def verdict(name, rows):
    relative = relative_rows(rows, {"dae": "ae"})
    return find(Hypothesis(name=name, detector="dae"), relative, CATEGORIES)


def aligned(augmentation, anomaly):
    return 0.2 * (CATEGORIES[augmentation] == GENERATING.get(anomaly))


PLANTED = {
    "aligned-category-first": aligned,
    "aligned-augmentation-first": lambda augmentation, anomaly: 0.2 * (augmentation == anomaly),
    "misaligned-no-gain": lambda augmentation, anomaly: aligned(augmentation, anomaly) - 0.1,
    "geometric-first": lambda augmentation, anomaly: 0.2 * (CATEGORIES[augmentation] == "geometric"),
    "local-and-elementwise-no-gain": lambda augmentation, anomaly: -0.1,
    "no-single-winner": lambda augmentation, anomaly: 0.0,
    "self-supervision-hurts": lambda augmentation, anomaly: -0.1,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_planted_is_confirmed(name):
    found = verdict(name, study(1, PLANTED[name]))
    assert found.verdict == "confirmed"
    assert found.low <= found.value <= found.high
    assert (found.clusters, found.tasks) == (10, 30 if CLAIMS[name].controlled else 40)
    assert "95 % interval" in found.sentence


@pytest.mark.parametrize("name", CLAIMS)
def test_the_contrary_is_not_confirmed(name):
    contrary = {
        "no-single-winner": lambda augmentation, anomaly: 0.3 * (augmentation == "rotate"),
        "misaligned-no-gain": lambda augmentation, anomaly: 0.1,
        "local-and-elementwise-no-gain": lambda augmentation, anomaly: 0.1,
        "self-supervision-hurts": lambda augmentation, anomaly: 0.1,
    }.get(name, lambda augmentation, anomaly: 0.2 * (augmentation == "mask"))
    assert verdict(name, study(1, contrary)).verdict == "not confirmed"


def test_under_the_null_alignment_is_hardly_ever_claimed():
    """Trained models differ by chance alone: intervals over tasks would claim much, those over classes do not."""
    claimed = sum(verdict("aligned-category-first", study(seed)).verdict == "confirmed" for seed in range(60))
    assert claimed <= 4


def test_tasks_that_an_arm_has_not_finished_are_left_out_for_all():
    rows = study(0)
    unfinished = (rows["augmentation"] == "mask") & (rows["normal"] == "3")
    assert verdict("aligned-category-first", rows[~unfinished]).tasks == 27


def test_few_trained_classes_decide_nothing():
    found = verdict("aligned-augmentation-first", study(1, PLANTED["aligned-augmentation-first"], normals=4))
    assert found.low > 0
    assert found.verdict == "undecided"
    assert "too few to be trusted" in found.sentence


def test_nothing_to_say_is_said():
    found = verdict("geometric-first", study(0).query("testbed == 'controlled'"))
    assert found.verdict == "undecided"
    assert "Nothing can be said" in found.sentence
    assert np.isnan(found.value)


def test_relative_auroc_is_paired_by_task_and_seed():
    rows = study(5, normals=2)
    relative = relative_rows(rows, {"dae": "ae"})
    plain = rows[rows["detector"] == "ae"].set_index(["task", "seed"])["value"]
    row = relative.iloc[17]
    assert row["relative"] == row["value"] - plain[row["task"], row["seed"]]
    assert len(relative) == (rows["detector"] == "dae").sum()


def test_half_stands_for_a_coin():
    relative = relative_rows(study(5, normals=2), {"dae": "half"})
    assert np.allclose(relative["relative"], relative["value"] - 0.5)


def test_the_vanilla_detector_against_itself_is_zero():
    rows = study(2, normals=2)
    same = rows[rows["detector"] == "ae"]
    twice = pd.concat([same, same.assign(detector="dae", augmentation="flip")])
    assert (relative_rows(twice, {"dae": "ae"})["relative"] == 0).all()


def test_tasks_with_nothing_to_gain_are_excluded_by_rule():
    relative = relative_rows(study(3, normals=3, vanilla=0.9), {"dae": "ae"})
    assert excluded_tasks(relative, None).empty
    found = excluded_tasks(relative, 0.9)
    means = relative.groupby("task")["vanilla"].mean()
    assert set(found["task"]) == set(means[means >= 0.9].index)
