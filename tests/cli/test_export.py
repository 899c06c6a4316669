"""`feint export`, and `feint score` of what it wrote, in an interpreter that has no torch."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchless import feint_without_torch

import feint

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_an_exported_run_scores_alike_without_torch(kind, command, finished, folder, tmp_path):
    if kind == "openvino":
        pytest.importorskip("openvino")
    told = command("export", finished.path, "--format", kind, "--out", folder / kind)
    assert told.code == 0
    assert f"Graph and run agree on 124 images ({finished.normal} and {finished.unlabelled})" in told.err
    assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [
        [each, n] for n in ["1", "32"] for each in ("torch", kind)
    ]
    words = ["score", folder / kind, finished.unlabelled, "--out", tmp_path / "out.csv", "--maps", tmp_path / "maps"]
    done = feint_without_torch(*words)
    assert done.returncode == 0, done.stderr
    found, expected = pd.read_csv(tmp_path / "out.csv"), feint.Run(finished.path).scores
    found, expected = (each.sort_values("path").reset_index(drop=True) for each in (found, expected))
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-4, atol=1e-4)
    pd.testing.assert_frame_equal(found.drop(columns="score"), expected.drop(columns="score"))
    assert command("score", finished.path, *words[2:4], tmp_path / "run.csv", "--maps", tmp_path / "run").code == 0
    for path in (tmp_path / "run").rglob("*.png"):
        with Image.open(path) as run, Image.open(tmp_path / "maps" / path.relative_to(tmp_path / "run")) as graph:
            assert np.abs(np.asarray(run, np.int16) - np.asarray(graph, np.int16)).max() <= 1


def test_generated_images_are_told_loudly(command, run, finished, tmp_path):
    record = run.path / "run.json"
    record.write_text(record.read_text().replace(str(finished.normal.parent), "/gone"))
    told = command("export", run.path, "--format", "torch-export", "--out", tmp_path / "out")
    assert (told.code, "NO REAL IMAGE WAS COMPARED" in told.err) == (0, True)


def test_a_swapped_file_and_a_wrong_word_end_in_a_sentence(command, finished, tmp_path):
    assert command("export", finished.path, "--format", "torch-export", "--out", tmp_path / "out").code == 0
    with (tmp_path / "out" / "model.pt2").open("ab") as file:
        file.write(b"more")
    swapped = command("score", tmp_path / "out", finished.unlabelled, "--out", tmp_path / "out.csv")
    assert (swapped.code, "swapped, cut short or changed" in swapped.sentence) == (5, True)
    wrong = command("export", finished.path, "--format", "coreml", "--out", tmp_path / "new")
    assert (wrong.code, "got 'coreml'" in wrong.sentence) == (2, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out"]
