"""What a finished run holds, and that it agrees with itself."""

import json

import numpy as np
import pytest
import small_runs
from sklearn.metrics import roc_auc_score

import feint
from feint.calibration.conformal import p_values
from feint.data import decode, open_images
from feint.records.run import RunRecord
from feint.runs.judging import map_scale_of
from feint.runs.model import Model

FILES = [
    "candidates",
    "candidates.csv",
    "candidates.json",
    "card.md",
    "landscapes.safetensors",
    "manifest.json",
    "metrics.jsonl",
    "model.safetensors",
    "normals.csv",
    "report.html",
    "run.json",
    "scores.csv",
]


@pytest.fixture
def run(finished):
    return feint.Run(finished.path)


def test_the_folder_holds_these_files_and_no_others(finished):
    assert sorted(path.name for path in finished.path.iterdir()) == FILES
    assert [path.name for path in finished.path.parent.iterdir()] == ["run"]


def test_every_unlabelled_image_has_one_row_highest_score_first(run, finished):
    assert list(run.scores) == ["path", "score", "p_value", "flagged"]
    assert sorted(run.scores.path) == sorted(path.name for path in finished.unlabelled.iterdir())
    assert run.scores.score.is_monotonic_decreasing
    assert (run.scores.flagged == (run.scores.p_value <= run.record.calibration.rate)).all()
    assert run.record.found.flagged == run.scores.flagged.sum() > 0


def test_planted_defects_score_higher(run):
    labels = [small_runs.defective(int(path[:3])) for path in run.scores.path]
    assert roc_auc_score(labels, run.scores.score) > 0.9


def test_every_normal_image_has_one_row(run, finished):
    assert sorted(run.normals.path) == sorted(path.name for path in finished.normal.iterdir())
    assert run.normals.score.is_monotonic_decreasing
    assert run.normals.score.nunique() > 100


def test_p_values_are_those_of_the_stored_calibration_scores(run):
    (member,) = run.model.members
    assert len(member.calibration) == run.record.calibration.images == 22
    stored = np.float32(run.scores.score.to_numpy())
    np.testing.assert_allclose(p_values(member.calibration, stored), run.scores.p_value, rtol=1e-12)
    above = run.scores.score > run.record.calibration.threshold
    assert (above == run.scores.flagged.astype(bool)).all()


def test_the_loaded_model_gives_the_scores_of_the_run(run, finished):
    model = Model.load(finished.path)
    images = decode(open_images(finished.unlabelled, role="unlabelled"), [model.members[0].preprocessing], workers=1)
    scores, p, flagged = model.judge([model.members[0].scores(images.pixels[0])])
    table = run.scores.set_index("path").loc[list(images.names)]
    np.testing.assert_allclose(scores, table.score, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(p, table.p_value)
    assert (flagged == table.flagged).all()


def test_the_record_is_valid_and_says_what_was_done(run, finished):
    record = RunRecord.model_validate(json.loads((finished.path / "run.json").read_text()))
    assert record.label_reads == 0
    assert record.settings["augmentations"] == ["cutdiff"]
    assert (record.data.training, record.data.selection, record.data.calibration) == (66, 22, 22)
    names = [each.name for each in record.candidates]
    assert len(set(names)) == len(names)
    assert {"none", "mixture", "autoencoder", "pool-probe", "cutdiff"} <= set(names)
    assert all(c.criterion.low <= c.criterion.value <= c.criterion.high for c in record.candidates if c.criterion)
    assert sum(each.chosen for each in record.candidates) == 1
    assert record.phases[0].name == "reading images"
    assert all(each.seconds >= 0 and each.peak_mib > 0 for each in record.phases)
    (landscape,) = record.landscapes
    assert (landscape.augmentation, len(landscape.points)) == ("cutdiff", small_runs.BUDGET.points)
    assert set(landscape.chosen) == {"area", "aspect", "angle", "amplitude"}
    assert (record.calibration.asked, record.calibration.rate) == (0.05, 0.05)


def test_the_log_is_json_lines_with_losses(finished):
    lines = [json.loads(line) for line in (finished.path / "metrics.jsonl").read_text().splitlines()]
    jobs = {line["job"] for line in lines}
    assert {"final-0", "audit-0", "audit-1"} <= jobs
    assert {"landscape-0-cutdiff-32px", "train-0-mixture"} <= jobs
    assert all(np.isfinite(line.get("training_loss", 0)) for line in lines)


def test_the_report_names_what_was_found_and_needs_no_network(run, finished):
    page = (finished.path / "report.html").read_text()
    assert run.scores.path[0] in page
    assert run.record.found.sentence in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page.replace("https://www.w3.org", "")


def test_a_folder_that_is_no_run_is_named(tmp_path):
    (tmp_path / "here.partial").mkdir()
    with pytest.raises(feint.core.errors.InputError, match=r"here does not exist\..*--resume"):
        feint.Run(tmp_path / "here")
    with pytest.raises(feint.core.errors.InputError, match=r"is not a run: it has no run\.json\."):
        feint.Run(tmp_path)


def test_maps_of_a_cross_fitted_run_are_shown_on_the_scale_of_the_model_that_makes_them(cross_fitted):
    model = feint.Run(cross_fitted.path).model
    first, *others = model.members
    images = open_images(cross_fitted.normal, role="normal")
    pixels = decode(images, [first.preprocessing], workers=1).pixels[0]
    own = [np.abs(first.scores(pixels) - score).argmin() for score in first.calibration]
    assert others
    assert model.map_scale == pytest.approx(map_scale_of([first.maps(pixels[own])]), rel=1e-4)
