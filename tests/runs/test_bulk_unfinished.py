"""A bulk job that was stopped: what the same call makes of it, and what is refused or noticed."""

import shutil

import pandas as pd
import pytest
from filelock import FileLock
from small_bulk import MeanJudge, expected, job, plain, table, write_images, write_model

from feint.core.errors import InputError, IntegrityError, OutputError
from feint.runs.bulk import run_bulk
from feint.runs.bulk_store import BulkStore


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", 47)


@pytest.fixture(autouse=True)
def unfinished(model, images, out, monkeypatch):
    """Stop a job before its fourth part."""
    write = BulkStore.write

    def stopping(self, table, number, fingerprint, *, flagged=True):
        if number == 3:
            raise KeyboardInterrupt
        write(self, table, number, fingerprint, flagged=flagged)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BulkStore, "write", stopping)
        job(model, images, out)
    assert len(list(out.glob("part-*"))) == 3


def test_it_goes_on_and_leaves_the_finished_parts_alone(model, images, out):
    (out / ".part-000003-0123456789ab.parquet.1.tmp").write_bytes(b"half")
    done = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    job(model, images, out, backend="processes", workers=2)
    pd.testing.assert_frame_equal(table(out), expected(47), check_exact=True)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert not list(out.glob(".*"))


def test_it_is_not_continued_on_another_source(model, images, out, tmp_path):
    shutil.copytree(images, tmp_path / "other")
    with pytest.raises(OutputError, match=r"another source \(.*/images, now .*/other\)"):
        job(model, tmp_path / "other", out)


def test_it_is_not_continued_with_another_model(model, images, out):
    write_model(model, rate=0.2)
    with pytest.raises(OutputError, match=r"another model \([0-9a-f]{12}\.\.\., now [0-9a-f]{12}\.\.\.\)"):
        job(model, images, out)


def test_it_is_not_continued_with_other_parts(model, images, out):
    with pytest.raises(OutputError, match=r"another part size \(10, now 11\)"):
        run_bulk(MeanJudge, model, str(images), out=out, backend="serial", part_size=11)


def test_it_notices_an_image_that_is_new_among_the_finished(model, images, out):
    plain(9).save(images / "00/0011-and-a-half.png")
    with pytest.raises(InputError, match=r"part-000001-.* has 00/0011.png where there is 00/0011-and-a-half.png"):
        job(model, images, out)


def test_it_notices_images_that_are_gone(model, images, out):
    shutil.rmtree(images / "01")
    with pytest.raises(InputError, match=r"part-000002-.* has 01/0025.png where there is nothing now"):
        job(model, images, out)


def test_it_scores_what_was_added_behind_the_finished(model, images, out):
    for i in range(47, 50):
        plain(i).save(images / f"01/{i:04d}.png")
    job(model, images, out)
    pd.testing.assert_frame_equal(table(out), expected(50), check_exact=True)


def test_it_is_not_for_two_at_once(model, images, out):
    with FileLock(out / "_lock"), pytest.raises(OutputError, match="being written by another job"):
        job(model, images, out)


def test_a_record_that_was_changed(model, images, out):
    (out / "_job.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"_job\.json was changed"):
        job(model, images, out)


def test_a_record_that_was_cut_short(model, images, out):
    (out / "_job.json").write_text("")
    job(model, images, out)
    pd.testing.assert_frame_equal(table(out), expected(47), check_exact=True)
