"""`feint study`: every command, as a user types it."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest

from feint.records.study import ROW_COLUMNS


def feint(folder, *words, code=0):
    command = [sys.executable, "-m", "feint", "study", *map(str, words)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=280, check=False)
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    return found


@pytest.fixture(scope="module")
def whole(planned, tmp_path_factory):
    """Return a folder with the whole study, `store`, and its rows, `rows.csv`; not to be changed."""
    folder = shutil.copytree(planned, tmp_path_factory.mktemp("whole"), dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEINT_CORES", "1")
        feint(folder, "run", "plan.toml", "--store", "store", "--backend", "serial")
        feint(folder, "export", "store", "rows.csv")
    return folder


def test_status_export_and_report(folder, whole):
    shutil.copytree(whole / "store", folder / "store")
    assert feint(folder, "status", "store").stdout == "12 done, 0 failed, 0 left\n"
    feint(folder, "export", "store", "rows.parquet")
    rows = pd.read_csv(whole / "rows.csv", dtype={"normal": str}, keep_default_na=False, na_values=[""])
    assert tuple(rows.columns) == ROW_COLUMNS
    assert len(rows) == len(pd.read_parquet(folder / "rows.parquet")) == 12 * 5 * 4
    feint(folder, "report", "store", "--out", "page.html")
    page = (folder / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_dry_run_prints_cells_cost_and_disk_and_runs_nothing(folder):
    text = feint(folder, "run", "plan.toml", "--store", "store", "--dry-run").stdout
    for words in ("12 cells, 10 tasks", "dae, flip, shapes: 4 cells", "left out: ae with flip", "Cost: about", "Disk:"):
        assert words in text
    assert not (folder / "store").exists()


def test_a_plan_with_errors_ends_with_all_of_them(folder):
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text().replace('"ae", "dae"', '"ae", "dea"').replace("seeds = [0, 1]", "seeds = []"))
    found = feint(folder, "run", "plan.toml", "--store", "store", code=2)
    assert "seeds" in found.stderr
    assert not (folder / "store").exists()


def test_failed_cells_are_named_with_their_reason(folder):
    plan = folder / "plan.toml"
    plan.write_text(
        plan.read_text().replace('"ae", "dae"', '"ae", "deepsad"')
        + "[detectors.deepsad]\nrate = 1e30\nwidth = 4\npretrain_epochs = 1\nepochs = 3\n"
    )
    feint(folder, "run", "plan.toml", "--store", "store", "--backend", "serial")
    text = feint(folder, "status", "store").stdout
    assert text.startswith("4 done, 8 failed, 0 left\n")
    assert "failed: deepsad with flip on shapes/0, seed 0: the training diverged at step" in text
    assert "Traceback" in feint(folder, "status", "store", "--traceback").stdout
    feint(folder, "report", "store", "--out", "page.html")
    assert "diverged" in (folder / "page.html").read_text()


def test_the_paper_plan_is_written_and_not_overwritten(folder):
    feint(folder, "plan", "paper", "--out", "paper.toml")
    assert 'name = "paper"' in (folder / "paper.toml").read_text()
    assert "exists already" in feint(folder, "plan", "paper", "--out", "paper.toml", code=4).stderr


def test_a_plan_without_a_file_is_printed(folder):
    assert 'name = "st-ssad"' in feint(folder, "plan", "st-ssad", "--root", "there").stdout


def test_no_store_is_said(folder):
    assert "holds no study" in feint(folder, "status", "nowhere", code=3).stderr


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_stops_cleanly_and_resumes(folder, whole, disk):
    found = feint(folder, "run", "plan.toml", "--store", disk / "store", "--backend", "serial", code=4)
    assert "the disk is full" in found.stderr
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    feint(folder, "run", "plan.toml", "--store", disk / "store", "--backend", "serial")
    feint(folder, "export", disk / "store", "resumed.csv")
    assert (folder / "resumed.csv").read_text() == (whole / "rows.csv").read_text()
    shutil.rmtree(disk / "store")


def test_processes_give_the_records_of_serial(folder, whole):
    feint(folder, "run", "plan.toml", "--store", "processes", "--backend", "processes", "--workers", "2")
    feint(folder, "export", "processes", "processes.csv")
    assert (folder / "processes.csv").read_text() == (whole / "rows.csv").read_text()
