"""The plan of the literature: 420 tasks, 13 augmentations, 3 detectors and their vanilla counterparts."""

import numpy as np
import pytest

from feint.augmentations.policies import POLICIES, category_of
from feint.data.testbeds import task_names
from feint.studies.paper import plan_text
from feint.studies.plan import arms_of
from feint.studies.plan_file import read_plan
from feint.studies.run import testbed_settings as settings_of


@pytest.fixture
def plan(tmp_path):
    for name in ("mnist", "fashion_mnist", "svhn", "cifar10"):
        shape = (10, 28, 28) if "mnist" in name else (10, 32, 32, 3)
        images, classes = np.zeros(shape, np.uint8), np.arange(10)
        np.savez(tmp_path / f"{name}.npz", x_train=images, y_train=classes, x_test=images, y_test=classes)
    (tmp_path / "plan.toml").write_text(plan_text("paper", root=str(tmp_path)))
    return read_plan(tmp_path / "plan.toml")


def test_it_has_exactly_420_tasks(plan):
    counts = {
        table.name: sum(map(len, task_names(table.path, name=table.name, settings=settings_of(table)).values()))
        for table in plan.data
    }
    assert counts == {"mnist": 90, "fashion_mnist": 90, "svhn": 120, "cifar10": 120}
    assert sum(counts.values()) == 420


def test_it_has_13_augmentations_for_3_detectors_and_each_vanilla_one_once(plan):
    arms, left_out = arms_of(plan)
    assert left_out == []
    for data in ("mnist", "fashion_mnist", "svhn", "cifar10"):
        mine = [arm for arm in arms if arm.data == data]
        assert len(mine) == 13 * 3 + 2
        for detector in ("dae", "ap", "deepsad"):
            assert len({arm.augmentation for arm in mine if arm.detector == detector}) == 13
        assert [(a.detector, a.augmentation) for a in mine if a.augmentation == "none"] == [
            ("ae", "none"), ("deepsvdd", "none"),
        ]  # fmt: skip


def test_its_augmentations_are_those_of_the_five_categories(plan):
    names = plan.arms[1].augmentations
    assert set(names) == set(POLICIES) - {"cutdiff", "rotation"}
    assert [category_of(name) for name in names] == (
        ["geometric"] * 4 + ["local"] * 3 + ["elementwise"] * 3 + ["color"] * 2 + ["mixed"]
    )


def test_its_detectors_are_as_large_as_in_the_paper(plan):
    assert plan.settings("dae") == {}
    assert plan.settings("ap") == {"net": "wrn10-4"}
