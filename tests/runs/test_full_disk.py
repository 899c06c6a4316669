"""A disk that is full is told in a sentence, and nothing half-written stays on it."""

import shutil
import subprocess
import tempfile

import pytest
from small_runs import tune_arguments

import feint


@pytest.fixture
def disk(tmp_path):
    """Return a maker of small file systems of so many KiB, in memory."""
    mounted = []

    def make(kib: int):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", place], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("this user may not mount a small file system")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)  # an error that is still known holds mapped files


# What a small run writes, in KiB: decoded pixels 220, jobs 25,000, result 24,000.
@pytest.mark.parametrize("kib", [8, 132, 200, 260, 700, 9_000, 30_000])
def test_tune(command, disk, folders, kib, monkeypatch):
    place = disk(kib)
    outcome = command(*tune_arguments(*folders, place / "run"))
    assert outcome.code == 4
    assert "Free some space" in outcome.sentence
    assert list(place.rglob("*")) == []


def test_tune_in_worker_processes(command, disk, folders, monkeypatch):
    monkeypatch.setenv("FEINT_CORES", "2")
    place = disk(700)
    outcome = command(*tune_arguments(*folders, place / "run"))
    assert outcome.code == 4
    assert "the disk is full" in outcome.sentence
    assert list(place.rglob("*")) == []


def test_a_full_disk_at_the_very_end(command, disk, folders, finished, monkeypatch):
    """Room for every job, but not for the whole result."""
    place = disk(64_000)
    from feint.runs import tune as module

    write = module.write_run

    def fill_then_write(*arguments, **named):
        free = shutil.disk_usage(place).free
        (place / "filler").write_bytes(b"0" * (free - 300_000))
        write(*arguments, **named)

    monkeypatch.setattr(module, "write_run", fill_then_write)
    outcome = command(*tune_arguments(*folders, place / "run"))
    assert outcome.code == 4
    assert "the disk is full" in outcome.sentence
    assert [path.name for path in place.iterdir()] == ["filler"]


def test_score_and_its_maps(command, disk, finished):
    place = disk(60)
    outcome = command(
        "score", finished.path, finished.unlabelled, "--out", place / "scores.csv", "--maps", place / "maps"
    )
    assert outcome.code == 4
    assert "the disk is full" in outcome.sentence
    assert list(place.rglob("*")) == []
    filler = place / "filler"
    filler.write_bytes(b"0" * shutil.disk_usage(place).free)
    outcome = command("score", finished.path, finished.unlabelled, "--out", place / "scores.csv")
    assert outcome.code == 4
    assert "the disk is full" in outcome.sentence
    assert list(place.iterdir()) == [filler]


def test_evaluate_prints_no_result_that_it_could_not_store(command, disk, finished):
    place = disk(64_000)
    run = shutil.copytree(finished.path, place / "run")
    labels = run / "labels.csv"
    labels.write_text("path,label\n000.png,0\n002.png,1\n")
    before = sorted(place.rglob("*"))
    filler = place / "filler"
    filler.write_bytes(b"0" * shutil.disk_usage(place).free)
    outcome = command("evaluate", run, labels, "--json")
    assert outcome.code == 4
    assert outcome.out == ""
    filler.unlink()
    assert sorted(place.rglob("*")) == before
    assert feint.evaluate(run, labels).label_reads == 1


def test_a_resumed_run_keeps_what_was_finished(command, disk, folders, tmp_path, monkeypatch):
    place = disk(3_000)
    done = place / "run.partial/jobs/kept"
    done.parent.mkdir(parents=True)
    done.write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert command(*tune_arguments(tmp_path / "absent", folders[1], place / "run", "--resume")).code == 3
    assert done.exists()
