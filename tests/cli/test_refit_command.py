"""`feint refit`: marks in, a new run and a comparison out; what is wrong is one sentence."""

import json

import numpy as np
import pandas as pd
import pytest
from small_runs import defective

import feint


@pytest.fixture
def marks(tmp_path):
    path = tmp_path / "marks.csv"
    path.write_text("path,label\n" + "".join(f"{i:03d}.png,{int(defective(i))}\n" for i in range(45)))
    return path


def test_it_tells_how_old_and_new_compare(command, finished, marks, tmp_path):
    told = command("refit", finished.path, marks, "--out", tmp_path / "new", "--json")
    assert told.code == 0
    found = json.loads(told.out)
    assert found["run"] == str(tmp_path / "new")
    assert found["parent"] == str(finished.path)
    assert (found["fitted"], found["judged"]) == ({"anomalous": 12, "normal": 18}, {"anomalous": 6, "normal": 9})
    assert found["sentence"] in told.err
    assert f"Report: {tmp_path / 'new' / 'report.html'}" in told.err
    assert json.loads((tmp_path / "new" / "refit.json").read_text())["difference"] == found["difference"]


def test_a_refit_is_evaluated_on_what_it_has_not_learned_from(command, finished, marks, labels, tmp_path):
    command("refit", finished.path, marks, "--out", tmp_path / "new")
    told = command("evaluate", tmp_path / "new", labels, "--json")
    found = json.loads(told.out)
    assert (found["normal"], found["anomalous"]) == (36 - 18, 24 - 12)
    assert found["label_reads"] == 2
    refused = command("evaluate", tmp_path / "new", labels, "--all-candidates")
    assert refused.code == 3
    assert "is a refit, which weighs no candidates" in refused.sentence


def test_a_refit_is_exported_as_one_graph(command, finished, marks, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    command("refit", finished.path, marks, "--out", tmp_path / "new")
    assert command("export", tmp_path / "new", "--format", "onnx", "--out", tmp_path / "graph").code == 0
    assert command("score", tmp_path / "graph", finished.unlabelled, "--out", tmp_path / "graph.csv").code == 0
    graph = pd.read_csv(tmp_path / "graph.csv").set_index("path")
    torch = feint.score(tmp_path / "new", finished.unlabelled).set_index("path").loc[graph.index]
    np.testing.assert_allclose(graph.score, torch.score, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(graph.flagged, torch.flagged)


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        ("path,label\n000.png,1\nnowhere.png,0\n", 3, "1 of 2 marked paths are not in the run's scores.csv"),
        ("path,label\n000.png,bad\n", 3, "a label must be 0 (normal) or 1 (anomalous): got 'bad'"),
        ("path,label\n000.png,0\n", 3, "none of the 1 marked images is marked anomalous"),
        ("path,label\n000.png,1\n000.png,0\n", 3, "gives 000.png both labels 0 and 1"),
        ("path,label\n000.png,1\n001.png,1\n", 3, "at least 3 are needed"),
        ("path,label\n", 3, ""),
    ],
)
def test_marks_that_cannot_be_used_are_one_sentence(command, finished, tmp_path, table, code, said):
    marks = tmp_path / "marks.csv"
    marks.write_text(table)
    told = command("refit", finished.path, marks, "--out", tmp_path / "new")
    assert told.code == code
    assert said in told.sentence
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new.partial").exists()


def test_no_marks_no_run_or_a_folder_that_exists(command, finished, marks, tmp_path):
    assert command("refit", finished.path, tmp_path / "none.csv", "--out", tmp_path / "new").code == 3
    assert "is not a run" in command("refit", tmp_path, marks, "--out", tmp_path / "new").sentence
    assert command("refit", finished.path, marks, "--out", tmp_path).code == 4
