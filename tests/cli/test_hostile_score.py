"""`feint score` and `feint data check` on a thousand image files that nobody should send."""

import re

import hostile_images
import numpy as np
import pandas as pd
import pytest
from hostile_images import hostile_files, odd_places, plain, whole_images
from small_runs import normal_folder

import feint


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return the folder of all of them, and of what is named like an image and is none; not to be changed."""
    folder = hostile_images.write(tmp_path_factory.mktemp("hostile") / "images", hostile_files())
    odd_places(folder)
    return folder


def left_out(err: str) -> list[str]:
    """Return why images were left out, line by line."""
    lines = [line for line in err.splitlines() if line.startswith("Left out: ")]
    assert all(line.isprintable() for line in lines)
    return [re.split(r"\.[a-zA-Z]+: ", line)[-1] for line in lines]


def test_each_is_scored_or_left_out_with_its_reason(command, finished, hostile, tmp_path):
    outcome = command("score", finished.path, hostile, "--out", tmp_path / "out.csv")
    assert (outcome.code, outcome.out) == (0, "")
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert np.isfinite(table.score).all()
    assert table.p_value.between(0, 1).all()
    assert 300 < len(table) < 700
    reasons = left_out(outcome.err)
    assert len(table) + len(reasons) == 1000
    assert all(plain(reason) for reason in reasons)
    assert table.path.is_unique
    whole = {f"whole-{name}" for name in whole_images()}
    assert whole - {"whole-16.png", "whole-16.tif"} <= set(table.path)
    assert not {"pipe.png", "socket.png", "outside.png", "device.png", "password.png"} & set(table.path)
    said = re.compile(r"scoring( \.\.\.|: \d+%)$|Left out: |Warning: |\d+ of \d+ images flagged")
    assert [line for line in outcome.err.splitlines() if not said.match(line)] == []


def test_in_bulk_each_has_a_row_with_a_score_or_a_reason(command, finished, hostile, tmp_path):
    pytest.importorskip("pyarrow")
    out = tmp_path / "out.parquet"
    outcome = command("score", finished.path, hostile, "--out", out, "--backend", "serial")
    assert (outcome.code, outcome.out) == (0, "")
    table = pd.read_parquet(out)
    assert len(table) == table.path.nunique() == 1000
    scored = table.reason.isna()
    assert 300 < scored.sum() < 700
    assert np.isfinite(table.score[scored].astype(float)).all()
    assert all(map(plain, table.reason[~scored]))
    assert "Traceback" not in outcome.err


def test_an_export_scores_and_refuses_the_same(command, finished, hostile, tmp_path):
    """Sizes, depths and colours other than the run's are made to fit, or refused, alike."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    export = tmp_path / "export"
    assert command("export", finished.path, "--format", "onnx", "--out", export).code == 0
    outcomes = {}
    for model, out in ((finished.path, tmp_path / "run.csv"), (export, tmp_path / "export.csv")):
        outcome = command("score", model, hostile, "--out", out)
        assert outcome.code == 0
        outcomes[out.stem] = sorted(line for line in outcome.err.splitlines() if line.startswith("Left out"))
    assert outcomes["run"] == outcomes["export"]
    run, other = (pd.read_csv(tmp_path / f"{stem}.csv", keep_default_na=False) for stem in ("run", "export"))
    joined = run.merge(other, on="path", validate="1:1")
    assert len(joined) == len(run) == len(other)
    np.testing.assert_allclose(joined.score_x, joined.score_y, rtol=1e-4, atol=1e-4)
    assert (joined.flagged_x == joined.flagged_y).all()


def test_a_name_in_the_terminal_is_text(command, finished, tmp_path):
    names = ["a\nLeft out: b.png: no reason.png", "\x1b]0;title\x07\x1b[2J.png", "\u202egnp.exe.png", "[red]x.png"]
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "whole.png").write_bytes(whole_images()["L.png"])
    for name in names:
        (folder / name).write_bytes(b"")
    outcome = command("score", finished.path, folder, "--out", tmp_path / "out.csv")
    lines = [line for line in outcome.err.splitlines() if line.startswith("Left out: ")]
    assert set(lines) == {
        "Left out: \\u202egnp.exe.png: empty file (0 bytes)",
        "Left out: \\x1b]0;title\\x07\\x1b[2J.png: empty file (0 bytes)",
        "Left out: [red]x.png: empty file (0 bytes)",
        "Left out: a\\nLeft out: b.png: no reason.png: empty file (0 bytes)",
    }


def test_maps_stay_in_their_folder(command, finished, tmp_path):
    """A map lies where its image lies: the names that open a way out are those of no image."""
    odd = [each for each in hostile_files() if each.data == whole_images()["L.png"]]
    folder = hostile_images.write(tmp_path / "images", odd)
    before = {each.name for each in tmp_path.iterdir()}
    outcome = command("score", finished.path, folder, "--out", tmp_path / "out.csv", "--maps", tmp_path / "maps")
    assert outcome.code == 0, outcome.err
    assert {each.name for each in tmp_path.iterdir()} == before | {"out.csv", "maps"}
    assert len(list((tmp_path / "maps").iterdir())) == len(odd)


def test_a_check_counts_them(command, hostile, tmp_path):
    outcome = command("data", "check", normal_folder(tmp_path / "normal", 20), hostile)
    assert outcome.code == 0
    assert "Traceback" not in outcome.err
    found = feint.data.open_images(hostile, role="unlabelled")
    assert len(found) == 1000
