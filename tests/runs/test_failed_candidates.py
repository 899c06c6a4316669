"""A training that collapses costs its candidate, not the run."""

import numpy as np
import pytest

from feint.core.errors import CollapseError
from feint.runs.candidates import Planned, trained_candidate
from feint.runs.choosing import candidate_records, choice_warnings, choose
from feint.runs.jobs import Material, Pixels, TrainingJob
from feint.runs.recipes import Recipe, static


def candidate(folder, name, *, rate):
    """Return a candidate of a small finished training; a rate of 1e30 makes it diverge."""
    path = folder / "normal-16.npy"
    if not path.exists():
        np.save(path, np.random.default_rng(0).integers(0, 256, (60, 1, 16, 16), dtype=np.uint8))
    images = Pixels(path=path)
    recipe = Recipe(
        detector="discriminator",
        settings={"width": 8, "depth": 2, "steps": 25, "rate": rate},
        makings=(static("rotation", {"angle": 90.0}),),
    )
    job = TrainingJob(
        id=f"train-0-{name}",
        material=Material(
            normal=images, unlabelled=images, training=np.arange(30), held_out=np.arange(30, 45), pool=np.arange(45, 60)
        ),
        recipe=recipe,
        nuisances=(),
        device="cpu",
        seed=0,
    )
    job.execute(folder, folder)
    return trained_candidate(Planned(name, "tuned", recipe, 16), (job,), folder)


def test_a_collapsed_training_is_left_out_with_the_reason(tmp_path):
    choice = choose([candidate(tmp_path, "bad", rate=1e30), candidate(tmp_path, "good", rate=1e-3)], seed=0)
    assert choice.names == ["good"]
    assert "NaN" in choice.failed["bad"]
    chosen, failed = candidate_records(choice, {16: (16, 16)})
    assert (chosen.name, chosen.chosen, chosen.status) == ("good", True, "ok")
    assert (failed.name, failed.chosen, failed.status, failed.criterion) == ("bad", False, "failed", None)
    assert failed.note == choice.failed["bad"]
    assert "failed-candidates" in {each.code for each in choice_warnings(choice, [])}


def test_when_every_training_collapses_it_is_said(tmp_path):
    with pytest.raises(CollapseError, match="no candidate gave scores"):
        choose([candidate(tmp_path, "bad", rate=1e30)], seed=0)
