"""A class set of three easy classes, and a plan that runs in seconds."""

import shutil

import numpy as np
import pytest

SIDE = 16
PLAN = """
[study]
name = "tiny"
seeds = [0, 1]
[data]
name = "shapes"
root = "."
tasks = ["one-vs-one", "controlled"]
normal = [0, 2]
size = 16
[arms]
detectors = ["ae", "dae"]
augmentations = ["none", "flip", "cutout"]
[train]
net = "linear"
hidden = 4
epochs = 1
"""


def shapes(count, generator):
    """Return `count` images of each of three classes: a bar on top, one on the left, a square; and their classes."""
    images = generator.integers(0, 60, (3 * count, SIDE, SIDE), dtype=np.uint8)
    classes = np.repeat(np.arange(3), count)
    images[classes == 0, 2:5] += 150
    images[classes == 1, :, 2:5] += 150
    images[classes == 2, 6:12, 6:12] += 150
    return images, classes


@pytest.fixture(scope="session")
def planned(tmp_path_factory):
    """A folder with the set `shapes` and the plan `plan.toml`; not to be changed."""
    planned = tmp_path_factory.mktemp("planned")
    generator = np.random.default_rng(0)
    (x_train, y_train), (x_test, y_test) = shapes(20, generator), shapes(8, generator)
    np.savez(planned / "shapes.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    (planned / "plan.toml").write_text(PLAN)
    return planned


@pytest.fixture
def folder(planned, tmp_path, monkeypatch):
    """A copy of that folder, and one core."""
    monkeypatch.setenv("FEINT_CORES", "1")
    return shutil.copytree(planned, tmp_path, dirs_exist_ok=True)
