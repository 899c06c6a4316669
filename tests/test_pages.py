"""The examples in the pages keep the contracts that the pages say they keep, and the plan is a plan."""

import re
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest

from feint.studies.plan import arms_of
from feint.studies.plan_file import parse_plan
from feint.testing.augmentations import AUGMENTATION_CHECKS
from feint.testing.detectors import DETECTOR_CHECKS

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def defined(page, name):
    names = {"__name__": "page"}
    exec(compile(blocks(page, "python")[0], page, "exec", dont_inherit=True), names)
    return names[name]()


def kept(check, subject):
    try:
        check(subject)
    except SkipTest as nothing:
        pytest.skip(str(nothing))


@pytest.mark.parametrize("check", DETECTOR_CHECKS)
def test_the_detector_of_the_page(check):
    kept(check, defined("add-a-detector.md", "MeanImage"))


@pytest.mark.parametrize("check", AUGMENTATION_CHECKS)
def test_the_augmentation_of_the_page(check):
    kept(check, defined("add-an-augmentation.md", "Haze"))


def test_the_plan_of_the_page(tmp_path):
    images, classes = np.zeros((10, 28, 28), np.uint8), np.arange(10)
    (tmp_path / "DATA").mkdir()
    np.savez(tmp_path / "DATA" / "mnist.npz", x_train=images, y_train=classes, x_test=images, y_test=classes)
    arms, left_out = arms_of(parse_plan(blocks("run-a-study.md", "toml")[0], folder=tmp_path))
    assert len(arms) == 5
    assert len(left_out) == 4
