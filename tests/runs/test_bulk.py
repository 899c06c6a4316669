"""Bulk jobs: what they write, refuse, notice, and keep."""

import os
import subprocess

import pandas as pd
import pytest
from small_bulk import PART, MeanJudge, expected, job, plain, table, write_images, write_model

from feint.calibration.decision import decide
from feint.core.errors import InputError, IntegrityError, OutputError, SettingError, WorkerError
from feint.runs import bulk_pieces
from feint.runs.bulk import run_bulk
from feint.runs.bulk_store import BulkStore


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setenv("FEINT_CORES", "2")


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", 47)


@pytest.mark.parametrize(("backend", "workers"), [("serial", None), ("processes", 2)])
def test_every_image_in_the_order_of_the_source(model, images, out, backend, workers):
    summary = job(model, images, out, backend=backend, workers=workers)
    pd.testing.assert_frame_equal(table(out), expected(47), check_exact=True)
    assert (summary.images, summary.flagged, summary.unreadable) == (47, 0, 0)
    assert sorted(path.name[:11] for path in out.iterdir()) == ["_job.json", *(f"part-{k:06d}" for k in range(5))]
    assert [len(pd.read_parquet(path)) for path in sorted(out.glob("part-*"))] == [10, 10, 10, 10, 7]


def test_flags_at_the_models_rate(model, tmp_path, out):
    images = write_images(tmp_path / "many", 180)
    summary = job(model, images, out)
    assert summary.flagged == table(out).flagged.sum() == expected(180).flagged.sum() > 20
    assert summary.drift is None or "calibrat" in summary.drift


def test_discoveries_are_flagged_over_all_parts_together(tmp_path, out):
    model, images = write_model(tmp_path / "model", mode="fdr", rate=0.3), write_images(tmp_path / "many", 180)
    (images / "00/0003.png").write_bytes(b"")
    summary = job(model, images, out)
    found = table(out)
    judged = found[found.reason.isna()]
    assert (judged.flagged == decide(judged.p_value, fdr=0.3)).all()
    assert summary.flagged == judged.flagged.sum() > 20
    assert not (out / "_unflagged").exists()


def test_a_stop_between_flags_is_taken_up(tmp_path, out, monkeypatch):
    model, images = write_model(tmp_path / "model", mode="fdr", rate=0.3), write_images(tmp_path / "many", 180)
    job(model, images, tmp_path / "whole.parquet")
    write = BulkStore.write

    def stopping(self, table, number, fingerprint, *, flagged=True):
        if flagged and number == 7:
            raise KeyboardInterrupt
        write(self, table, number, fingerprint, flagged=flagged)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BulkStore, "write", stopping)
        job(model, images, out)
    assert len(list(out.glob("part-*"))) == 7
    job(model, images, out)
    pd.testing.assert_frame_equal(table(out), table(tmp_path / "whole.parquet"), check_exact=True)


def test_images_added_between_flags_change_them_all(tmp_path, out, monkeypatch):
    model, images = write_model(tmp_path / "model", mode="fdr", rate=0.3), write_images(tmp_path / "many", 150)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BulkStore, "finish", stopped)
        job(model, images, out)
    before = pd.concat([pd.read_parquet(path) for path in sorted(out.glob("part-*"))])
    job(model, write_images(images, 180), out)
    found = table(out)
    assert (found.flagged == decide(found.p_value, fdr=0.3)).all()
    assert before.flagged.sum() < found.flagged[:150].sum()


def stopped(*_) -> None:
    raise KeyboardInterrupt


def test_parts_are_handed_out_in_pieces_that_change_nothing(model, images, out, monkeypatch, tmp_path):
    job(model, images, tmp_path / "whole.parquet")
    monkeypatch.setattr(bulk_pieces, "PIECE", 3)
    job(model, images, out, backend="processes", workers=2)
    assert table(out).equals(table(tmp_path / "whole.parquet"))


def test_unreadable_images_keep_their_place_and_have_a_reason(model, images, out):
    (images / "00/0003.png").write_bytes(b"")
    (images / "01/0030.png").write_bytes(b"no image")
    whole = images / "01/0046.png"
    whole.write_bytes(whole.read_bytes()[:48])
    summary = job(model, images, out)
    found = table(out)
    assert summary.unreadable == 3
    assert found.path.tolist() == expected(47).path.tolist()
    unread = found[found.reason.notna()]
    assert unread.index.tolist() == [3, 30, 46]
    assert unread[["score", "p_value", "flagged"]].isna().all(axis=None)
    assert unread.reason[3] == "empty file (0 bytes)"
    assert unread.reason[30] == "not a PNG, JPEG, BMP, TIFF or WebP image"
    assert unread.reason[46].startswith("damaged: ")


def test_nothing_readable_is_an_error_that_leaves_the_reasons(model, tmp_path, out):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of the 1 images can be used"):
        job(model, tmp_path / "images", out)
    assert table(out).reason.tolist() == ["empty file (0 bytes)"]


def test_an_image_that_kills_its_worker_is_recorded_and_no_other_is_lost(model, images, out):
    white = images / "01/0033.png"
    plain(0).point(lambda _: 255).save(white)
    summary = job(model, images, out, backend="processes", workers=2)
    found = table(out)
    assert summary.unreadable == 1
    assert found.reason[33].startswith("the worker that read it died: ")
    assert "SIGKILL" in found.reason[33]
    rest = found.drop(index=33)
    pd.testing.assert_frame_equal(rest, expected(47).drop(index=33), check_exact=True, check_dtype=False)


def test_workers_that_always_die_end_the_job_which_can_go_on(model, images, out, monkeypatch):
    kept = (images / "01/0033.png").read_bytes()
    plain(0).point(lambda _: 255).save(images / "01/0033.png")
    monkeypatch.setattr(bulk_pieces, "MOST_DEADLY", 0)
    with pytest.raises(WorkerError, match="what is finished is kept"):
        job(model, images, out, backend="processes", workers=1)
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 0 < len(done) < 5
    (images / "01/0033.png").write_bytes(kept)
    job(model, images, out)
    assert done.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}.items()
    pd.testing.assert_frame_equal(table(out), expected(47), check_exact=True)


def test_a_finished_job_is_never_overwritten(model, images, out):
    job(model, images, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputError, match="finished already and is never overwritten"):
        job(model, images, out)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("name", ["out.parquet", "out.parquet/notes.txt"])
def test_what_is_not_a_job_is_never_overwritten(model, images, out, name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("precious")
    with pytest.raises(OutputError, match="never overwritten"):
        job(model, images, out)
    assert (tmp_path / name).read_text() == "precious"


def test_the_result_must_not_lie_in_the_source(model, images):
    with pytest.raises(OutputError, match="which is to be read"):
        job(model, images, images / "out.parquet")


@pytest.mark.parametrize("wrong", [{"backend": "threads"}, {"workers": 0}, {"address": "10.0.0.1:6379"}])
def test_a_job_that_cannot_begin_leaves_nothing(model, images, out, wrong):
    with pytest.raises(SettingError):
        run_bulk(MeanJudge, model, str(images), out=out, **wrong)
    with pytest.raises(InputError, match="does not exist"):
        job(model, images / "absent", out)
    assert not out.exists()


def test_a_model_that_is_replaced_in_mid_job(model, images, out, monkeypatch):
    from feint.runs import bulk_worker

    listed = BulkStore.list

    def replacing(self, parts):
        write_model(model, rate=0.2)
        bulk_worker._opened.cache_clear()  # as a worker that starts later would be
        return listed(self, parts)

    monkeypatch.setattr(BulkStore, "list", replacing)
    with pytest.raises(IntegrityError, match="was replaced while its job ran"):
        job(model, images, out)


def test_a_full_disk_ends_the_job_which_goes_on_when_there_is_space(model, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=140k", "tmpfs", place]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small file system")
    try:
        images, out = write_images(tmp_path / "many", 400), place / "out.parquet"
        with pytest.raises(OutputError, match="the disk is full"):
            job(model, images, out)
        done = len(list(out.glob("part-*")))
        assert 0 < done < 400 / PART
        subprocess.run(["mount", "-o", "remount,size=4m", place], check=True)
        job(model, images, out)
        pd.testing.assert_frame_equal(table(out), expected(400), check_exact=True)
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_files_whose_names_are_no_utf8(model, tmp_path, out):
    images = tmp_path / "images"
    images.mkdir()
    plain(1).save(images / "a.png")
    (images / "a.png").rename(os.fsdecode(os.fsencode(images) + b"/\xff.png"))
    job(model, images, out)
    assert table(out).path.tolist() == [r"\xff.png"]
