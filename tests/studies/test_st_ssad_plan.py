"""The plan of ST-SSAD: 41 tasks, its arms, its ablations, its hypothesis."""

import numpy as np
import pytest
from PIL import Image

from feint.data.testbeds import task_names
from feint.studies.paper import plan_text
from feint.studies.plan import Arm, arms_of, recipe_of, settings_of_arm
from feint.studies.plan_file import read_plan
from feint.studies.run import testbed_settings as settings_of

DEFECTS = {
    "cable": [
        "bent_wire", "cable_swap", "combined", "cut_inner_insulation", "cut_outer_insulation", "missing_cable",
        "missing_wire", "poke_insulation",
    ],
    "carpet": ["color", "cut", "hole", "metal_contamination", "thread"],
    "grid": ["bent", "broken", "glue", "metal_contamination", "thread"],
    "tile": ["crack", "glue_strip", "gray_stroke", "oil", "rough"],
    "zipper": ["rough"],
}  # fmt: skip
TUNED = ["st-ssad", "mmd1", "mmd2", "fo"]


@pytest.fixture
def plan(tmp_path):
    images, classes = np.zeros((10, 32, 32, 3), np.uint8), np.arange(10)
    np.savez(tmp_path / "svhn.npz", x_train=images, y_train=classes, x_test=images, y_test=classes)
    for category, defects in DEFECTS.items():
        for place in ("train/good", "test/good", *(f"test/{defect}" for defect in defects)):
            folder = tmp_path / "mvtec_ad" / category / place
            folder.mkdir(parents=True)
            Image.new("RGB", (16, 16)).save(folder / "000.png")
    (tmp_path / "plan.toml").write_text(plan_text("st-ssad", root=str(tmp_path)))
    return read_plan(tmp_path / "plan.toml")


def test_it_has_exactly_41_tasks(plan):
    counts = {
        (table.name, normal): len(tasks)
        for table in plan.data
        for normal, tasks in task_names(table.path, name=table.name, settings=settings_of(table)).items()
    }
    assert counts == {
        ("mvtec_ad", "cable"): 8, ("mvtec_ad", "carpet"): 5, ("mvtec_ad", "grid"): 5, ("mvtec_ad", "tile"): 5,
        ("svhn", "2"): 9, ("svhn", "6"): 9,
    }  # fmt: skip
    assert sum(counts.values()) == 41


def test_it_has_eight_baselines_the_tuned_arm_and_three_ablations_on_each_data_set(plan):
    arms, left_out = arms_of(plan)
    wanted = {
        Arm(detector=detector, augmentation=augmentation, data=data)
        for data, own in (("mvtec_ad", "cutdiff"), ("svhn", "rotation"))
        for detector, augmentation in [
            ("ae", "none"),
            ("deepsvdd", "none"),
            *(("discriminator", f"{kind}-{name}") for kind in ("rs", "rd") for name in ("cutout", "cutpaste", own)),
            *((detector, own) for detector in TUNED),
        ]
    }
    assert set(arms) == wanted
    assert len(arms) == len(wanted) == 2 * 12
    assert left_out == []
    assert plan.study.seeds == [0, 1, 2, 3, 4]


def test_its_ablations_differ_from_the_tuned_arm_in_one_thing_each(plan):
    arms, _ = arms_of(plan)
    recipes = {arm.detector: recipe_of(plan.kind(arm.detector), settings_of_arm(plan, arm)) for arm in arms}
    usual = vars(recipes["st-ssad"])
    differences = {
        name: {key: value for key, value in vars(recipes[name]).items() if value != usual[key]} for name in TUNED
    }
    assert differences == {
        "st-ssad": {}, "mmd1": {"loss": "mmd"}, "mmd2": {"loss": "mmd-normalised"}, "fo": {"order": "first"},
    }  # fmt: skip
    assert {recipes[name].score for name in ("st-ssad", "discriminator")} == {"gaussian"}
    assert recipes["discriminator"].steps == recipes["st-ssad"].steps


def test_half_of_each_pool_is_seen_and_the_comparison_with_random_magnitudes_is_declared(plan):
    assert plan.pool() == "val"
    assert [(each.name, each.detector) for each in plan.hypotheses] == [("tuned-beats-random", "st-ssad")]
