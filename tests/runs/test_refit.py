"""A refit: a whole run that has learned from marks, calibrated on images that no mark and no training has touched."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import small_runs
import torch
from small_runs import defective, picture, write

import feint
from feint.core.errors import InputError, OutputError
from feint.runs.model import Model
from feint.runs.recipes import MARKED, Recipe
from feint.runs.splits import divide

FILES = {
    "card.md", "manifest.json", "metrics.jsonl", "model.safetensors", "normals.csv", "refit.json", "report.html",
    "run.json", "scores.csv",
}  # fmt: skip


def marks_of(anomalous=12, normal=18):
    """Return marks, all of them right, of the first images of each kind."""
    kinds = {kind: [i for i in range(60) if defective(i) == kind] for kind in (True, False)}
    chosen = kinds[True][:anomalous] + kinds[False][:normal]
    return {f"{i:03d}.png": int(defective(i)) for i in chosen}


@pytest.fixture(scope="module")
def refitted(finished, tmp_path_factory):
    """Return a refit of the shared run; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(small_runs.BUDGETS, "quick", small_runs.BUDGET)
        patch.setenv("FEINT_CORES", "1")
        return feint.refit(finished.path, marks_of(), out=tmp_path_factory.mktemp("refits") / "new")


@pytest.mark.usefixtures("small")
def test_it_is_a_whole_run_that_says_what_it_has_seen(finished, refitted):
    assert {each.name for each in refitted.path.iterdir()} == FILES
    assert refitted.record.label_reads == 1
    assert refitted.record.warnings[0].code == "refit"
    page = (refitted.path / "report.html").read_text()
    assert "No label was read" not in page
    assert "the images you marked" in page
    assert sorted(refitted.scores.path) == sorted(feint.Run(finished.path).scores.path)
    assert sum(share.weight for share in refitted.record.choice.shares) == pytest.approx(1)
    found = feint.score(refitted, finished.unlabelled)
    merged = found.merge(refitted.scores, on="path", suffixes=("", "_kept"))
    np.testing.assert_allclose(merged.score, merged.score_kept, rtol=1e-4, atol=1e-4)


def test_the_record_compares_old_and_new_on_marks_kept_apart(finished, refitted):
    found, old = refitted.refitted, feint.Run(finished.path)
    assert (found.fitted.anomalous, found.fitted.normal, found.judged.anomalous, found.judged.normal) == (8, 12, 4, 6)
    for run, judged in ((old, found.old), (refitted, found.new)):
        table = run.scores.set_index("path")
        anomalous, normal = (table.loc[names] for names in (found.roles.judged_anomalous, found.roles.judged_normal))
        above = anomalous.score.to_numpy()[:, None] > normal.score.to_numpy()
        assert judged.auroc.value == pytest.approx(above.mean())
        assert (judged.caught, judged.rejected) == (anomalous.flagged.sum(), normal.flagged.sum())
    assert found.difference is None  # an interval of so few might tell what the sentence says it cannot
    assert "too few to tell which is better" in found.sentence
    assert "interval" not in found.sentence
    assert old.refitted is None


@pytest.mark.parametrize("kind", ["openvino", "torch-export"])  # OpenVINO's is made of the ONNX graph
def test_it_is_exported_like_any_other_run(finished, refitted, tmp_path, kind):
    pytest.importorskip({"openvino": "openvino", "torch-export": "torch"}[kind])
    found = feint.export_run(refitted.path, format=kind, out=tmp_path / "exported")
    assert found.manifest.kind == kind
    found, expected = (feint.score(each, finished.unlabelled) for each in (tmp_path / "exported", refitted))
    merged = found.merge(expected, on="path", suffixes=("", "_run"))
    np.testing.assert_allclose(merged.score, merged.score_run, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(merged.flagged, merged.flagged_run)


def test_old_voters_stay_and_the_calibration_normals_are_the_same(finished, refitted):
    old, new = Model.load(finished.path).members[0], refitted.model.members[0]
    assert [each.detector for each in new.voters.recipes[:-1]] == [each.detector for each in old.voters.recipes]
    assert new.voters.recipes[-1].learns_from_marks
    assert len(new.calibration) == len(old.calibration)
    for before, after in zip(old.scorer.members, new.scorer.members, strict=False):
        state = after.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in before.state_dict().items())


@pytest.mark.usefixtures("small")
def test_same_seed_same_bits_and_another_seed_other_marks(finished, refitted, tmp_path):
    again = feint.refit(finished.path, marks_of(), out=tmp_path / "again")
    for name in ("scores.csv", "normals.csv", "model.safetensors", "refit.json"):
        assert (again.path / name).read_bytes() == (refitted.path / name).read_bytes(), name
    other = feint.refit(finished.path, marks_of(), out=tmp_path / "other", seed=1)
    assert other.refitted.roles != refitted.refitted.roles


def test_what_was_said_without_marks_is_told_as_that(finished, refitted):
    old, new = feint.Run(finished.path).record.choice, refitted.record.choice
    assert new.sentence == f"One more voter learned from marks. Before that it was said: {old.sentence}"
    assert old.anomalous_share is not None
    assert new.anomalous_share is None


@pytest.mark.usefixtures("small")
def test_a_refit_can_be_refitted_with_more_marks(refitted, tmp_path):
    again = feint.refit(refitted, marks_of(18, 30), out=tmp_path / "again")
    before, after = refitted.refitted.roles, again.refitted.roles
    learned = {*before.fitted_anomalous, *before.fitted_normal}
    assert not learned & {*after.judged_anomalous, *after.judged_normal}
    assert learned <= {*after.fitted_anomalous, *after.fitted_normal}
    assert len(again.model.members[0].voters.recipes) == len(refitted.model.members[0].voters.recipes)
    assert again.record.label_reads == 2
    assert again.record.choice.sentence == refitted.record.choice.sentence


@pytest.mark.usefixtures("small")
def test_a_cross_fitted_run_is_refitted_in_every_rotation(cross_fitted, tmp_path):
    new = feint.refit(cross_fitted.path, marks_of(), out=tmp_path / "new")
    assert len(new.model.members) == 5
    assert all(each.voters.recipes[-1].learns_from_marks for each in new.model.members)
    assert sum(len(each.calibration) for each in new.model.members) == 40
    assert sorted(new.normals.path) == sorted(feint.Run(cross_fitted.path).normals.path)


@pytest.mark.usefixtures("small")
def test_a_normal_image_whose_copy_is_marked_anomalous_is_normal_no_longer(tmp_path):
    first, second = divide(list(range(110)), needed=1, seed=0)[0].calibration[:2]
    normal = small_runs.normal_folder(tmp_path / "normal")
    pool = {f"{i:03d}.png": picture(1000 + i, defect=i < 8) for i in range(20)}
    copies = {"copy.png": picture(first), "other.png": picture(second)}
    unlabelled = write(tmp_path / "unlabelled", pool | copies)
    old = feint.tune(normal, unlabelled, out=tmp_path / "old", budget="quick", augmentations=["cutdiff"])
    marks = {f"{i:03d}.png": 1 for i in range(3)} | {"copy.png": 1, "other.png": 0}
    new = feint.refit(old, marks, out=tmp_path / "new")
    assert len(new.model.members[0].calibration) == len(old.model.members[0].calibration) - 1
    assert len(new.normals) == 110
    roles = new.refitted.roles
    assert "copy.png" in roles.fitted_anomalous
    assert roles.left_out == ["other.png"]
    p_values = new.scores.set_index("path").p_value
    assert p_values["other.png"] == 1.0
    assert p_values["copy.png"] < 1.0


@pytest.mark.usefixtures("small")
def test_images_that_moved_or_changed_are_refused(folders, finished, run, tmp_path):
    normal, unlabelled = (shutil.copytree(folder, tmp_path / folder.name) for folder in folders)
    text = (run.path / "run.json").read_text()
    here = text.replace(str(folders[0]), str(normal)).replace(str(folders[1]), str(unlabelled))

    def refusal(content: str) -> str:
        (run.path / "run.json").write_text(content)
        with pytest.raises(InputError) as told:
            feint.refit(run.path, marks_of(), out=tmp_path / "new")
        assert not list(tmp_path.glob("new*"))
        return str(told.value)

    write(unlabelled, {"059.png": picture(77)})
    assert f"the images in {unlabelled} are not those on which this run was tuned (60 readable now" in refusal(here)
    shutil.rmtree(unlabelled)
    assert f"{unlabelled}, on whose images this run was tuned, is not there" in refusal(here)
    record = json.loads(text)
    record["data"]["normal"]["source"] = "array"
    assert "tuned on an array in memory" in refusal(json.dumps(record))
    record = json.loads(text)
    record["settings"]["seed"] = 5
    assert "scores its calibration images otherwise" in refusal(json.dumps(record))


def test_recipes_without_readers_are_written_as_they_ever_were():
    plain = Recipe(detector="ae")
    assert "readers" not in plain.model_dump_json()
    learner = Recipe(detector=MARKED, readers=(plain, plain))
    assert Recipe.model_validate_json(learner.model_dump_json()) == learner


@pytest.mark.usefixtures("small")
def test_nothing_is_overwritten(finished, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(OutputError, match="never overwritten"):
        feint.refit(finished.path, marks_of(), out=tmp_path / "new")


def test_a_kill_leaves_nothing_in_the_new_run(finished, tmp_path):
    out = tmp_path / "new"
    marks = tmp_path / "marks.csv"
    marks.write_text("path,label\n" + "".join(f"{path},{label}\n" for path, label in marks_of().items()))
    words = ["refit", finished.path, marks, "--out", out]
    process = small_runs.start(*words)
    partial = out.with_name("new.partial") / "jobs"
    until = time.monotonic() + 120
    while not partial.exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert not out.exists()
    whole = subprocess.run(
        [sys.executable, small_runs.__file__, *map(str, words)], capture_output=True, text=True, timeout=120, check=True
    )
    assert "Report:" in whole.stderr
    assert not partial.exists()
    assert feint.Run(out).record.label_reads == 1
