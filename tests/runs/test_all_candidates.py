"""`feint evaluate RUN LABELS --all-candidates`: what every candidate that was weighed would have been worth."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from small_runs import defective, picture, write

import feint

SHOWN = {"name", "criterion", "auroc", "chosen"}


def aurocs(outcome) -> dict[str, float]:
    """Return the AUROC of each candidate as the command printed it."""
    assert outcome.code == 0, outcome.err
    return {each["name"]: each["auroc"] for each in json.loads(outcome.out)["candidates"]}


def kind(name: str) -> str:
    return "defect" if defective(int(name[:3])) else "good"


def test_every_candidate_by_labels_of_the_unlabelled_images(command, run, labels):
    outcome = command("evaluate", run.path, labels, "--all-candidates", "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found["auroc"] == json.loads(command("evaluate", run.path, labels, "--json").out)["auroc"]
    names = [each["name"] for each in found["candidates"]]
    assert len(set(names)) == len(names)
    assert names == [each.name for each in run.record.candidates]
    assert {"none", "mixture", "autoencoder", "pool-probe", "cutdiff"} <= set(names)
    assert [each["name"] for each in found["candidates"] if each["chosen"]] == [run.record.choice.candidate]
    table = pd.read_csv(run.path / "candidates.csv")
    truth = [defective(int(path[:3])) for path in table.path]
    for each, record in zip(found["candidates"], run.record.candidates, strict=True):
        assert set(each) == SHOWN
        assert each["auroc"] == pytest.approx(roc_auc_score(truth, table[each["name"]]), abs=1e-12)
        assert each["criterion"] == record.criterion.value


def test_it_stands_in_the_report_and_in_the_terminal(command, run, labels):
    before = (run.path / "report.html").read_text()
    outcome = command("evaluate", run.path, labels, "--all-candidates")
    assert outcome.code == 0
    record = feint.evaluate(run, labels, all_candidates=True)
    page = (run.path / "report.html").read_text()
    for each in record.candidates:
        assert f"{each.auroc:.3f}" in page
        assert any(each.name in line and f"{each.auroc:.3f}" in line for line in outcome.out.splitlines())
    (landscape,) = record.landscapes
    assert len(landscape.auroc) == len(run.record.landscapes[0].points)
    assert all(0 <= each <= 1 for each in landscape.auroc)
    assert page != before
    feint.evaluate(run, labels, all_candidates=True)
    assert len((run.path / "report.html").read_text()) == pytest.approx(len(page), abs=50)  # put in anew, not twice


def test_other_images_are_scored_by_the_detectors_that_were_kept(command, run, labels, finished, tmp_path):
    """The unlabelled images in other files: other bytes, so other images to Feint, but the same pixels."""
    other = {
        f"{kind(path.name)}/{path.stem}.bmp": np.asarray(Image.open(path)) for path in finished.unlabelled.iterdir()
    }
    folder = write(tmp_path / "test", other)
    again = aurocs(command("evaluate", run.path, folder, "--all-candidates", "--json"))
    first = aurocs(command("evaluate", run.path, labels, "--all-candidates", "--json"))
    learners = {"pool-probe"} | {each.name for each in run.record.candidates if "pool-probe" in each.members}
    for name in first.keys() - learners:
        assert again[name] == pytest.approx(first[name], abs=1e-3), name
    assert again["pool-probe"] >= first["pool-probe"]  # two of its three thirds have seen each image
    assert feint.evaluate(run, folder, all_candidates=True).landscapes == []


def test_a_folder_of_new_images(command, run, tmp_path):
    images = {f"good/{i}.png": picture(4000 + i) for i in range(14)}
    images |= {f"blob/{i}.png": picture(4100 + i, defect=True) for i in range(10)}
    found = aurocs(command("evaluate", run.path, write(tmp_path / "test", images), "--all-candidates", "--json"))
    assert found.keys() == {each.name for each in run.record.candidates}
    assert found["autoencoder"] > 0.6


def test_other_images_with_the_names_of_the_unlabelled_ones(command, run, tmp_path):
    images = {f"{'good' if i < 30 else 'blob'}/{i:03d}.png": picture(4000 + i, defect=i >= 30) for i in range(60)}
    folder = write(tmp_path / "test", images)
    found = json.loads(command("evaluate", run.path, folder, "--json").out)
    table = feint.score(run, folder)
    truth = table.path.str.startswith("blob")
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, table.score), abs=1e-9)
    assert (found["normal"], found["anomalous"]) == (30, 30)


@pytest.mark.parametrize("extra", [False, True])
def test_the_unlabelled_images_sorted_into_a_test_folder_are_known_again(run, labels, finished, tmp_path, extra):
    """Their scores are those of voters that had not seen them, whatever they are called now."""
    for path in finished.unlabelled.iterdir():
        folder = tmp_path / "test" / kind(path.name)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"renamed-{path.name}")
    if extra:  # one more image, and nothing is known any more: all are scored afresh
        write(tmp_path / "test", {"good/new.png": picture(4000)})
    by_csv = feint.evaluate(run, labels, all_candidates=True)
    by_folder = feint.evaluate(run, tmp_path / "test", all_candidates=True)
    assert (by_folder.candidates == by_csv.candidates) == (not extra)
    assert by_folder.normal == 36 + extra


def test_moved_images_are_matched_by_name(finished, run, labels, tmp_path):
    record = json.loads((run.path / "run.json").read_text())
    record["data"]["unlabelled"]["source"] = str(tmp_path / "gone")
    (run.path / "run.json").write_text(json.dumps(record))
    moved = feint.Run(run.path)
    for path in finished.unlabelled.iterdir():
        folder = tmp_path / "test" / kind(path.name)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    expected = feint.evaluate(moved, labels, all_candidates=True).candidates
    assert feint.evaluate(moved, tmp_path / "test", all_candidates=True).candidates == expected


def test_labels_of_one_kind_among_the_weighed_images_leave_no_auroc(small, folders, tmp_path):
    """All labelled normal images also stand in the normal set: candidates were not weighed on these."""
    mixed = shutil.copytree(folders[1], tmp_path / "mixed")
    for path in sorted(folders[0].iterdir())[:5]:
        shutil.copy(path, mixed / f"known-{path.name}")
    run = feint.tune(folders[0], mixed, out=tmp_path / "run", budget="quick", augmentations=["cutdiff"])
    labels = tmp_path / "labels.csv"
    rows = [f"known-{i:03d}.png,0\n" for i in range(5)] + [f"{i:03d}.png,1\n" for i in range(60) if defective(i)]
    labels.write_text("path,label\n" + "".join(rows))
    found = feint.evaluate(run, labels, all_candidates=True)
    assert (found.normal, found.anomalous) == (5, 24)
    assert {each.auroc for each in found.candidates} == {None}


DAMAGES = {
    "cut short": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "one bit": lambda content: content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
    "something else": lambda _: b"not this",
    "missing": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["candidates.csv", "landscapes.safetensors", "candidates/none.safetensors"])
def test_damaged_files_are_refused(command, run, labels, tmp_path, name, damage):
    change = DAMAGES[damage]
    if change:
        (run.path / name).write_bytes(change((run.path / name).read_bytes()))
    else:
        (run.path / name).unlink()
    images = {f"{folder}/{i}.png": picture(4000 + i) for folder in ("good", "blob") for i in range(2)}
    of = write(tmp_path / "test", images) if "/" in name else labels
    outcome = command("evaluate", run.path, of, "--all-candidates", "--json")
    assert (outcome.code, outcome.out) == (5, "")
    assert name in outcome.sentence
    assert "is missing" in outcome.sentence or "cut short or changed" in outcome.sentence
    assert not (run.path / "evaluation.json").exists()
    assert command("evaluate", run.path, labels, "--json").code == 0  # the choice itself needs none of them


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-9], "cut short or changed"),
        (lambda text: "", "cut short or changed"),
        (lambda text: text.replace('"candidates"', '"candidate"'), "cut short or changed"),
        (lambda text: text.replace('"width": 8', '"width": 16'), "does not fit"),
        (lambda text: text.replace('"name": "none"', '"name": "nothing"'), "is missing"),
    ],
)
def test_a_damaged_list_is_refused(command, run, tmp_path, change, words):
    path = run.path / "candidates.json"
    path.write_text(change(path.read_text()))
    images = {f"{folder}/{i}.png": picture(4000 + i) for folder in ("good", "blob") for i in range(2)}
    outcome = command("evaluate", run.path, write(tmp_path / "test", images), "--all-candidates")
    assert (outcome.code, words in outcome.sentence) == (5, True), outcome.sentence


def test_candidates_of_another_run_are_refused(command, run, labels):
    listed = json.loads((run.path / "run.json").read_text())
    listed["candidates"] = [each for each in listed["candidates"] if each["name"] != "none"]
    (run.path / "run.json").write_text(json.dumps(listed))
    outcome = command("evaluate", run.path, labels, "--all-candidates")
    assert (outcome.code, "are not those of its run.json" in outcome.sentence) == (5, True)


@pytest.mark.parametrize("change", [lambda page: page.unlink(), lambda page: page.write_text("<html>")])
def test_a_missing_or_changed_report_is_told_before_anything_is_stored(command, run, labels, change):
    change(run.path / "report.html")
    outcome = command("evaluate", run.path, labels)
    assert (outcome.code, "report" in outcome.sentence) == (5, True)
    assert not (run.path / "evaluation.json").exists()
