"""A training that collapses costs its candidate, not the run."""

import numpy as np
import pytest

from feint.core.errors import CollapseError
from feint.detectors import Discriminator
from feint.runs.choosing import choose, rows_of
from feint.runs.jobs import Making, Pixels, TrainingJob, load_trained


def job(folder, name, *, rate):
    """Return a finished small training; a rate of 1e30 makes it diverge."""
    path = folder / "normal-16.npy"
    if not path.exists():
        np.save(path, np.random.default_rng(0).integers(0, 256, (60, 1, 16, 16), dtype=np.uint8))
    made = TrainingJob(
        id=f"train-0-{name}-16px-w8",
        normal=Pixels(path=path),
        unlabelled=Pixels(path=path),
        training=np.arange(30),
        held_out=np.arange(30, 45),
        pool=np.arange(45, 60),
        making=Making(augmentation="rotation", ranges={"angle": (90.0, 90.0)}),
        detector=Discriminator(width=8, depth=2, steps=25, rate=rate),
        seed=0,
    )
    made.execute(folder, folder)
    return made


def rows(folder, name, *, rate):
    made = job(folder, name, rate=rate)
    return rows_of(name, (made,), [load_trained(made, folder)])


def test_a_collapsed_training_is_left_out_with_the_reason(tmp_path):
    choice = choose(
        [*rows(tmp_path, "rotation-start1", rate=1e30), *rows(tmp_path, "rotation-start2", rate=1e-3)], seed=0
    )
    assert {row.name for row in choice.rows} == {"rotation-start2"}
    assert len(choice.failed) == 4
    assert all("NaN" in reason for reason in choice.failed.values())


def test_when_every_training_collapses_it_is_said(tmp_path):
    with pytest.raises(CollapseError, match="no candidate gave scores"):
        choose(rows(tmp_path, "rotation-start1", rate=1e30), seed=0)
