"""`feint score ... --out OUT.parquet`: a run or its export, any number of images, an interruption."""

import json
import re
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
from small_runs import picture, start, write
from torchless import feint_without_torch

import feint


def close(found: pd.DataFrame, expected: pd.DataFrame, *, score: float = 1e-5) -> None:
    """Check that a table in the order of the source holds what one in the order of scores does."""
    expected = expected.sort_values("path").reset_index(drop=True)
    assert list(found) == ["path", "score", "p_value", "flagged", "reason"]
    assert found.path.tolist() == expected.path.tolist()
    np.testing.assert_allclose(found.score, expected.score, rtol=score, atol=score)
    np.testing.assert_allclose(found.p_value, expected.p_value)
    assert (found.flagged == expected.flagged).all()


@pytest.mark.parametrize("backend", ["serial", "processes"])
def test_the_scores_are_those_of_the_csv(command, finished, out, backend):
    outcome = command("score", finished.path, finished.unlabelled, "--out", out, "--backend", backend, "--json")
    run = feint.Run(finished.path)
    assert outcome.code == 0
    close(pd.read_parquet(out), run.scores)
    flagged = int(run.scores.flagged.sum())
    assert json.loads(outcome.out) == {"images": 60, "flagged": flagged, "unreadable": 0, "out": str(out)}
    assert re.search(r"^60 of 60 images; [\d,]+ a second$", outcome.err, re.MULTILINE)
    last = outcome.err.splitlines()[-1]
    assert last.startswith(f"{flagged} of 60 images flagged in ")
    assert last.endswith(f"Scores: {out}")


def test_a_cross_fitted_run(command, cross_fitted, out):
    assert command("score", cross_fitted.path, cross_fitted.unlabelled, "--out", out, "--backend", "serial").code == 0
    close(pd.read_parquet(out), feint.Run(cross_fitted.path).scores)


def test_unreadable_images_and_drift_are_told(command, finished, out, tmp_path):
    bright = {f"{i:02d}.png": (60 + picture(3000 + i) * 0.75).astype(np.uint8) for i in range(60)}
    images = write(tmp_path / "new", bright)
    (images / "07.png").write_bytes(b"")
    outcome = command("score", finished.path, images, "--out", out, "--backend", "serial")
    assert outcome.code == 0
    assert "Warning: " in outcome.err
    assert "calibrat" in outcome.err
    assert "1 could not be read: column reason says why." in outcome.err
    assert pd.read_parquet(out).reason[7] == "empty file (0 bytes)"


def test_stopped_with_ctrl_c_and_taken_up(command, finished, tmp_path, out):
    images = tmp_path / "many"
    images.mkdir()
    for i in range(2600):
        shutil.copy(finished.unlabelled / f"{i % 60:03d}.png", images / f"{i:04d}.png")
    words = ["score", finished.path, images, "--out", out, "--workers", "1"]
    process = start(*words)
    until = time.monotonic() + 60
    while not list(out.glob("part-*")) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert told.splitlines()[-1] == (
        f"feint: stopped. What is finished is kept in {out}: the same command goes on from there."
    )
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 1 <= len(kept) < 3
    assert command(*words).code == 0
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}.items()
    assert pd.read_parquet(out).path.tolist() == [f"{i:04d}.png" for i in range(2600)]


def test_another_run_on_the_same_out(command, finished, cross_fitted, out):
    out.mkdir()
    record = {"format": 1, "feint": feint.__version__, "model": "0" * 64, "source": str(finished.unlabelled)}
    (out / "_job.json").write_text(json.dumps(record | {"column": None, "part_size": 1024}))
    words = ("--out", out, "--backend", "serial")
    outcome = command("score", finished.path, finished.unlabelled, *words)
    assert (outcome.code, "unfinished job with another model" in outcome.sentence) == (4, True)
    assert command("score", cross_fitted.path / "absent", finished.unlabelled, *words).code == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "OUT.csv", "--workers", "2"], "--workers goes with an --out that ends in .parquet"),
        (["--out", "OUT.csv", "--column", "a", "--backend", "ray"], "--column, --backend goes with"),
        (
            ["--out", "OUT.xlsx"],
            "--out must end in .csv, for a table, or .parquet, for a folder of parts: got OUT.xlsx.",
        ),
        (["--out", "OUT"], "--out must end in .csv, for a table, or .parquet, for a folder of parts: got OUT."),
        (["--out", "OUT.PARQUET", "--maps", "maps"], "--maps goes with an --out that is a CSV file"),
        (["--out", "OUT.parquet", "--maps", "maps"], "--maps goes with an --out that is a CSV file"),
        (["--out", "OUT.parquet", "--address", "localhost:1"], "an address is for the backend ray"),
    ],
)
def test_options_that_do_not_go_together(command, finished, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    outcome = command("score", finished.path, finished.unlabelled, *words)
    assert (outcome.code, told in outcome.sentence) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_url_needs_a_folder_of_parts(command, finished, tmp_path):
    outcome = command("score", finished.path, f"file://{finished.unlabelled}", "--out", tmp_path / "out.csv")
    assert (outcome.code, "give an --out like OUT.parquet" in outcome.sentence) == (2, True)


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """Return the finished run's ONNX graph."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from feint.export.exporting import export_run

    folder = tmp_path_factory.mktemp("graphs") / "onnx"
    export_run(feint.Run(finished.path), kind="onnx", out=folder)
    return folder


class TestExported:
    def test_needs_no_torch(self, exported, finished, out):
        words = ["score", exported, finished.unlabelled, "--out", out, "--backend", "serial"]
        done = feint_without_torch(*words)
        assert done.returncode == 0, done.stderr
        close(pd.read_parquet(out), feint.Run(finished.path).scores, score=1e-4)

    def test_in_python(self, exported, finished, out):
        summary = feint.score_in_bulk(exported, finished.unlabelled, out=out, workers=1)
        expected = feint.Run(finished.path).scores
        assert (summary.images, summary.flagged) == (60, expected.flagged.sum())
        close(pd.read_parquet(out), expected, score=1e-4)
        plain = feint.score(exported, finished.unlabelled)
        np.testing.assert_allclose(plain.score, expected.score, rtol=1e-4, atol=1e-4)
        assert (plain.path == expected.path).all()
