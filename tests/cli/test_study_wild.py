"""`feint study` on representations, as a user types it."""

import subprocess
import sys

import pandas as pd
import pytest
from small_wild import PLAN, write_study

ARMS = PLAN[PLAN.index("arms = ") : PLAN.index("levels")]
FEW = PLAN.replace(ARMS, 'arms = ["untrained/vit_micro", "mae/vit_micro", "mae/resnet8"]\n')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEINT_CORES", "1")
    return write_study(tmp_path, plan=FEW)


def feint(folder, *words, code=0):
    command = [sys.executable, "-m", "feint", "study", *map(str, words)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=280, check=False)
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    return found


def test_run_status_export_and_report(folder):
    said = feint(folder, "run", "plan.toml", "--store", "store", "--backend", "serial").stderr
    status = feint(folder, "status", "store").stdout
    assert status.startswith("4 done, 0 failed, 0 left\n")
    for words in ("note: mae/resnet8: not applicable", "note: tiles: level 10% leaves 4 anomalous of 44 images"):
        assert words in said
        assert words in status
    feint(folder, "export", "store", "rows.csv")
    rows = pd.read_csv(folder / "rows.csv")
    assert set(rows["detector"]) == {"untrained/vit_micro", "mae/vit_micro"}
    feint(folder, "report", "store", "--out", "page.html")
    page = (folder / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for words in ("not applicable", "leaves 4 anomalous of 44 images", "mae"):
        assert words in page


def test_the_dry_run_reads_the_labels_and_runs_nothing(folder):
    text = feint(folder, "run", "plan.toml", "--store", "store", "--dry-run").stdout
    for words in ("4 cells, 2 tasks", "mae/vit_micro, mae, tiles: 2 cells", "left out: mae/resnet8", "timed steps"):
        assert words in text
    assert not (folder / "store").exists()


def test_a_label_column_with_three_values_is_refused(folder):
    names = sorted(str(each.relative_to(folder)) for each in (folder / "tiles").rglob("*.png"))
    (folder / "table.csv").write_text("path,label\n" + "".join(f"{n},{i % 3}\n" for i, n in enumerate(names)))
    (folder / "plan.toml").write_text(FEW.replace('path = "tiles"', 'path = "table.csv"'))
    said = feint(folder, "run", "plan.toml", "--store", "store", "--backend", "serial", code=3).stderr
    assert "a label must be 0 (normal) or 1 (anomalous): got '2'" in " ".join(said.split())


def test_the_plan_is_written(folder):
    feint(folder, "plan", "wild", "--root", "there", "--out", "wild.toml")
    assert 'path = "there/sewer_ml"' in (folder / "wild.toml").read_text()
