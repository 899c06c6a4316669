"""`feint evaluate`: the only command that opens labels."""

import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from small_runs import defective, picture, write

import feint

KEYS = {"auroc", "average_precision", "f1", "false_alarm_rate", "detection_rate"}


def test_numbers_are_those_of_sklearn_and_are_stored(command, run, labels):
    outcome = command("evaluate", run.path, labels, "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    truth = np.array([defective(int(path[:3])) for path in run.scores.path])
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, run.scores.score))
    assert found["average_precision"] == pytest.approx(average_precision_score(truth, run.scores.score))
    assert found["f1"] == pytest.approx(f1_score(truth, run.scores.flagged))
    assert found["false_alarm_rate"] == pytest.approx(run.scores.flagged[~truth].mean())
    assert found["detection_rate"] == pytest.approx(run.scores.flagged[truth].mean())
    assert all(found[f"{key}_interval"][0] <= found[key] <= found[f"{key}_interval"][1] for key in KEYS)
    assert (found["normal"], found["anomalous"], found["label_reads"]) == (36, 24, 1)
    stored = json.loads((run.path / "evaluation.json").read_text())
    assert stored["auroc"]["value"] == found["auroc"]
    assert feint.Run(run.path).record.label_reads == 0  # the run itself was made without labels


def test_every_look_at_labels_is_counted(command, run, labels):
    plain = command("evaluate", run.path, labels)
    assert plain.code == 0
    assert "AUROC" in plain.err + plain.out
    assert "95 % interval" in plain.err + plain.out
    assert json.loads(command("evaluate", run.path, labels, "--json").out)["label_reads"] == 2
    assert feint.evaluate(run, labels).label_reads == 3


def test_paths_match_by_file_name(run, labels):
    text = labels.read_text().replace("\n0", "\n/data/somewhere/0")
    first = feint.evaluate(run, labels)
    labels.write_text(text)
    assert feint.evaluate(run, labels).auroc == first.auroc


def test_some_labels_are_enough(run, labels):
    labels.write_text("".join(labels.read_text().splitlines(keepends=True)[:21]) + "elsewhere.png,1\n")
    found = feint.evaluate(run, labels)
    assert found.normal + found.anomalous == 20
    assert (found.unfitted, found.by_file_name, found.unlabelled) == (1, 0, 40)


def test_it_is_told_which_labels_fit(command, run, labels):
    assert "\n60 of 60 labels fit an image.\n" in command("evaluate", run.path, labels).out
    lines = labels.read_text().splitlines(keepends=True)
    labels.write_text("".join([*lines[:31], "elsewhere.png,1\n"]))
    said = "30 of 31 labels fit an image; 30 other images have no label."
    assert f"\n{said}\n" in command("evaluate", run.path, labels).out
    assert said in (run.path / "report.html").read_text()
    counts = json.loads(command("evaluate", run.path, labels, "--json").out)
    assert [counts[name] for name in ("unfitted", "by_file_name", "learned_from", "unlabelled")] == [1, 0, 0, 30]


def test_the_columns_of_candidates_are_named(command, run, labels):
    lines = command("evaluate", run.path, labels, "--all-candidates").out.splitlines()
    assert lines[0].split() == ["candidate", "criterion", "AUROC"]
    rows = lines[1 : 1 + len(run.record.candidates)]
    assert {row.split()[0] for row in rows} == {each.name for each in run.record.candidates}
    assert all(row[: len(lines[0])].rstrip() == row[: len(lines[0])] for row in rows)  # each number ends under its name


def test_labels_from_folders_of_other_names_are_told(run, labels, tmp_path):
    nested = shutil.copytree(run.path, tmp_path / "nested")
    table = run.scores.assign(path="mine/" + run.scores.path)
    table.to_csv(nested / "scores.csv", index=False)
    labels.write_text(labels.read_text().replace("\n0", "\ntheirs/0"))
    assert feint.evaluate(nested, labels).by_file_name == 60
    labels.write_text(labels.read_text().replace("\ntheirs", "\n/data/mine"))
    assert feint.evaluate(nested, labels).by_file_name == 0


def test_labels_of_other_images_are_refused(command, run, labels):
    kept = labels.read_text().splitlines(keepends=True)
    others = "".join(f"x{i}.png,1\n" for i in range(30))
    assert command("evaluate", run.path, labels).code == 0
    before = (run.path / "evaluation.json").read_bytes()
    labels.write_text("".join(kept[:30]) + others)
    outcome = command("evaluate", run.path, labels)
    assert (outcome.code, "only 29 of the 59 labels" in outcome.sentence) == (3, True)
    assert (run.path / "evaluation.json").read_bytes() == before
    labels.write_text("".join(kept[:31]) + others)
    assert feint.evaluate(run, labels).unfitted == 30


def test_labels_of_many_more_images_are_not(run, labels):
    labels.write_text(labels.read_text() + "".join(f"x{i}.png,1\n" for i in range(300)))
    assert feint.evaluate(run, labels).unfitted == 300


def test_of_one_kind_the_share_flagged_is_told(command, run, labels):
    table = run.scores
    normal = table[~table.path.map(lambda path: defective(int(path[:3])))]
    labels.write_text("path,label\n" + "".join(f"{path},0\n" for path in normal.path))
    flagged = int(normal.flagged.sum())
    said = command("evaluate", run.path, labels).sentence
    assert (
        f"got 36 images that are all 0. Of these normal images {flagged} are flagged: {flagged / 36:.3f}, 95 %" in said
    )
    assert not (run.path / "evaluation.json").exists()


def mvtec_test_folder(root, *, seeds):
    images = {f"good/{i}.png": picture(4000 + i) for i in seeds}
    return write(root, images | {f"blob/{i}.png": picture(4100 + i, defect=True) for i in seeds})


def test_a_test_folder_that_was_not_in_the_pool_is_scored_first(run, tmp_path):
    found = feint.evaluate(run, mvtec_test_folder(tmp_path / "test", seeds=range(12)))
    assert (found.normal, found.anomalous) == (12, 12)
    assert found.auroc.value > 0.8


def test_a_test_folder_in_the_pool_needs_no_scoring(small, folders, tmp_path):
    category = tmp_path / "category"
    mvtec_test_folder(category / "test", seeds=range(15))
    shutil.copytree(folders[0], category / "train/good")
    run = feint.tune(category, category, out=tmp_path / "run", budget="quick", augmentations=["cutdiff"])
    assert sorted(run.scores.path)[0] == "test/blob/0.png"
    truth = run.scores.path.str.startswith("test/blob")
    expected = roc_auc_score(truth, run.scores.score)
    for labels in (category, category / "test"):
        found = feint.evaluate(run, labels)
        assert (found.normal, found.anomalous) == (15, 15)
        assert found.auroc.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\n000.png,0\n001.png,0\n", "labels must hold both kinds"),
        ("path,label\nx.png,0\ny.png,1\n", "none of the 60 images has a label"),
        ("path,label\na/000.png,0\nb/000.png,1\n001.png,1\n", "000.png may be a/000.png or b/000.png"),
        ("path,label\n000.png,0\n000.png,1\n", "both labels 0 and 1"),
        ("path,label\n000.png,good\n", "a label must be 0 (normal) or 1 (anomalous): got 'good'"),
        ("file,label\n000.png,1\n", "has no column image_path"),
        ("", "has no rows"),
    ],
)
def test_labels_that_cannot_be_used(command, run, labels, text, words):
    labels.write_text(text)
    outcome = command("evaluate", run.path, labels, "--json")
    assert (outcome.code, outcome.out) == (3, "")
    assert words in outcome.sentence
    assert not (run.path / "evaluation.json").exists()


def test_one_kind_of_folder_a_missing_file_and_no_run(command, run, labels, tmp_path):
    good = write(tmp_path / "only", {"good/0.png": picture(0), "good/1.png": picture(1)})
    assert "both kinds" in command("evaluate", run.path, good).sentence
    assert "has no images in 'good'" in command("evaluate", run.path, good / "good").sentence
    assert "does not exist" in command("evaluate", run.path, tmp_path / "absent.csv").sentence
    assert "is not a run" in command("evaluate", tmp_path, labels).sentence
    assert command("evaluate", tmp_path, labels).code == 3


def test_a_damaged_result_of_an_earlier_look_is_told(command, run, labels):
    (run.path / "evaluation.json").write_text('{"label_reads": 1')
    outcome = command("evaluate", run.path, labels)
    assert (outcome.code, "cut short or changed" in outcome.sentence) == (5, True)


def test_a_cross_fitted_run(cross_fitted, tmp_path):
    run = feint.Run(shutil.copytree(cross_fitted.path, tmp_path / "run"))
    found = feint.evaluate(run, mvtec_test_folder(tmp_path / "test", seeds=range(12)))
    assert found.auroc.value > 0.8
