"""The folder of a bulk job: what it says of the job, after a power failure too, and whose work it never removes."""

import json
import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from small_bulk import PART, MeanJudge, job, table, write_images

from feint.core.errors import IntegrityError, OutputError
from feint.data.remote import digest_of_queries, redacted
from feint.runs.bulk import run_bulk
from feint.runs.bulk_store import BulkStore, Job

JOB = Job(feint="1", model="a" * 64, source="/images", column=None, part_size=2)
FINGERPRINT = "0" * 12


def write_part(store: BulkStore, number: int = 0) -> None:
    store.write(pa.table({"path": ["a.png"], "flagged": [1]}), number, FINGERPRINT)


def unfinished(out: Path, job: Job = JOB) -> None:
    """Leave a job with one part."""
    with BulkStore(out) as store:
        store.begin(job)
        write_part(store)


def taken_up(out: Path, job: Job = JOB) -> list[int]:
    """Begin a job again; return the parts it finds."""
    with BulkStore(out) as store:
        store.begin(job)
        return list(store.parts())


def test_a_column_called_finished(out):
    named = JOB.model_copy(update={"column": "finished"})
    unfinished(out, named)
    assert taken_up(out, named) == [0]


@pytest.mark.parametrize("left", ["", "{", json.dumps(JOB.model_dump())[:40], "[]", "\xff"])
def test_what_was_cut_short_is_told_by_the_parts(out, left):
    unfinished(out)
    (out / "_job.json").write_text(left, encoding="latin-1")
    with pytest.raises(IntegrityError, match=r"_job\.json was cut short, and part-000000-.*repeat the command") as told:
        taken_up(out, JOB.model_copy(update={"model": "b" * 64}))
    assert "delete" not in str(told.value)
    assert taken_up(out) == [0]
    assert Job.model_validate_json((out / "_job.json").read_text()) == JOB


def test_what_was_changed_is_refused(out):
    unfinished(out)
    (out / "_job.json").write_text('{"format": 1}')
    with pytest.raises(IntegrityError, match=r"_job\.json was changed"):
        taken_up(out)


@pytest.fixture
def flushed(monkeypatch) -> list[Path]:
    """Return the files and folders that are flushed to the disk, as they are called then."""
    places: list[Path] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        places.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return places


def test_every_record_is_on_the_disk_before_the_job_goes_on(out, flushed):
    with BulkStore(out) as store:
        for step, name in (
            (lambda: store.begin(JOB), "_job.json"),
            (lambda: write_part(store), f"part-000000-{FINGERPRINT}.parquet"),
            (lambda: store.finish({"images": 1}), "_job.json"),
        ):
            flushed.clear()
            step()
            file, folder = flushed
            assert file.name.startswith(f".{name}.")
            assert (file.parent, folder) == (out, out)


class TestTwoJobsInOneFolder:
    """One fails before it has done anything; the other begins meanwhile."""

    @pytest.fixture
    def first(self, out):
        store = BulkStore(out).__enter__()
        store.begin(JOB)
        return store

    def leave(self, store: BulkStore) -> None:
        store.__exit__(ValueError, ValueError(), None)

    def test_what_the_other_does_after_the_lock_is_released_stays(self, out, first, monkeypatch):
        release = first._lock.release

        def then_another(*words, **options):
            release(*words, **options)
            unfinished(out)

        monkeypatch.setattr(first._lock, "release", then_another)
        self.leave(first)
        assert taken_up(out) == [0]

    def test_while_the_first_removes_its_files_the_other_must_wait_or_is_left_alone(self, out, first, monkeypatch):
        unlink, others = Path.unlink, []

        def after_another_tried(path, **options):
            unlink(path, **options)
            monkeypatch.setattr(Path, "unlink", unlink)
            try:
                unfinished(out)
                others.append("done")
            except OutputError as error:
                others.append(str(error))
            monkeypatch.setattr(Path, "unlink", after_another_tried)

        monkeypatch.setattr(Path, "unlink", after_another_tried)
        self.leave(first)
        monkeypatch.setattr(Path, "unlink", unlink)
        assert [each for each in others[:-1] if "being written by another job" not in each] == []
        assert others[-1] == "done"
        assert taken_up(out) == [0]

    def test_nothing_stays_of_the_first_alone(self, out, first):
        (out / "_unflagged").mkdir()
        self.leave(first)
        assert not out.exists()


class TestSecretsInUrls:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://ann:pass@host/a?X-Amz-Signature=abc&b=c", "https://***@host/a?***"),
            ("https://ghp_token@host/a", "https://***@host/a"),
            ("zip://in::https://ann:pass@host/a.zip?sig=abc", "zip://in::https://***@host/a.zip?***"),
            ("zip://in?x=y::https://host/a.zip", "zip://in?***::https://host/a.zip"),
            ("error 403, url='https://ann:pass@host/a?sig=abc', so?", "error 403, url='https://***@host/a?***', so?"),
            ("s3://bucket/mail@home/why not", "s3://bucket/mail@home/why not"),
            ("/images/what?/a@b", "/images/what?/a@b"),
        ],
    )
    def test_what_is_shown(self, url, shown):
        assert redacted(url) == shown

    def test_another_query_is_told_apart(self):
        assert digest_of_queries("https://host/a?b=1") != digest_of_queries("https://host/a?b=2")
        assert digest_of_queries("https://host/a?b=1") == digest_of_queries("https://ann@host/a?b=1")
        assert digest_of_queries("https://host/a") is None

    def test_none_stays_in_the_folder_of_a_job_that_is_killed(self, model, images, out):
        url = "memory://ann:pass@plant/images?sig=abc"
        system, root = fsspec.core.url_to_fs(url)
        system.put(f"{images}/", f"{root}/", recursive=True)
        kept = {}

        def peek(progress) -> None:
            kept.update({path: path.read_bytes() for path in out.rglob("*") if path.is_file()})

        run_bulk(MeanJudge, model, url, out=out, backend="serial", part_size=PART, tell=peek)
        system.rm("/", recursive=True)
        assert {"_listing", "_job.json"} <= {path.name for path in kept}
        assert [path for path, content in kept.items() if b"ann" in content or b"abc" in content] == []
        assert "memory://***@plant/images?***" in (out / "_job.json").read_text()
        assert len(table(out)) == 12

    def test_none_stays_in_a_reason(self, model, images, out, monkeypatch):
        system = fsspec.filesystem("memory")
        system.put(f"{images}/", "/images", recursive=True)
        fetch = type(system).cat_file

        def failing_once(self, path):
            if path.endswith("0003.png"):
                raise OSError("500, url='https://ann:pass@host/a?sig=abc'")
            return fetch(self, path)

        monkeypatch.setattr("feint.data.remote.PAUSES", ())
        monkeypatch.setattr(type(system), "cat_file", failing_once)
        job(model, "memory://images", out)
        system.rm("/", recursive=True)
        assert table(out).reason[3] == "cannot be fetched: 500, url='https://***@host/a?***'"

    @pytest.fixture
    def images(self, tmp_path):
        return write_images(tmp_path / "images", 12)
