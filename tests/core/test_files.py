"""Files are written whole, whoever else writes the same one at the same moment."""

import errno
import os
import re
import threading
from pathlib import Path

import pytest

from feint.core.errors import OutputError
from feint.core.files import atomic, atomic_folder, refuse_unwritable, write_text


def _write_folder(path: Path) -> None:
    with atomic_folder(path):
        pass


def test_threads_that_write_one_file_at_once_never_mix(tmp_path):
    path = tmp_path / "ticket.json"
    texts = [letter * 1000 * (i + 1) for i, letter in enumerate("abcd")]
    problems = []

    def write(text: str, together: threading.Barrier) -> None:
        together.wait()
        try:
            write_text(path, text)
        except OSError as error:
            problems.append(error)

    for _ in range(100):
        together = threading.Barrier(len(texts))
        threads = [threading.Thread(target=write, args=(text, together)) for text in texts]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert path.read_text() in texts
    assert problems == []
    assert list(tmp_path.iterdir()) == [path]


def test_a_thread_that_writes_meanwhile_leaves_the_other_its_temporary_file(tmp_path):
    with atomic(tmp_path / "file") as temporary:
        temporary.write_text("first")
        other = threading.Thread(target=write_text, args=(tmp_path / "file", "second"))
        other.start()
        other.join()
        assert (temporary.read_text(), (tmp_path / "file").read_text()) == ("first", "second")
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "picture").touch()
        other = threading.Thread(target=_write_folder, args=(tmp_path / "folder",))
        other.start()
        other.join()
        (tmp_path / "folder").rmdir()
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file", "folder", "picture"]


@pytest.mark.parametrize("write", [lambda path: write_text(path, "text"), _write_folder])
@pytest.mark.parametrize("place", ["file/new", "file/folder/new", "n" * 300])
def test_where_nothing_can_be_written_one_sentence_says_so(write, place, tmp_path):
    (tmp_path / "file").write_text("precious")
    path = tmp_path / place
    with pytest.raises(OutputError) as raised:
        write(path)
    if place.startswith("file"):
        with pytest.raises(OutputError, match=re.escape(f"{path} cannot be written: Not a directory.")):
            refuse_unwritable(path)
    assert str(raised.value).startswith(f"{path} cannot be written: ")
    assert str(raised.value).endswith(". Make it writable, or choose another place.")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["precious"]


def test_a_folder_that_is_read_only_is_told_before_anything_is_done(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path / "folder")  # root may write everywhere
    with pytest.raises(OutputError, match="Permission denied"):
        refuse_unwritable(tmp_path / "folder/new/file")
    refuse_unwritable(tmp_path / "other/new/file")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_durable_file_is_on_the_disk_before_it_has_its_name_and_then_the_name_is(tmp_path, monkeypatch):
    path, flushed, fsync = tmp_path / "record.json", [], os.fsync

    def noting(descriptor: int) -> None:
        flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink(), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    write_text(path, "{}", durable=True)
    (temporary, early), folder = flushed
    assert (temporary.parent, temporary.name[:13], early) == (tmp_path, ".record.json.", False)
    assert folder == (tmp_path, True)


def test_a_share_that_cannot_flush_folders_is_no_hindrance(tmp_path, monkeypatch):
    fsync = os.fsync

    def refusing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)
    write_text(tmp_path / "record.json", "{}", durable=True)
    assert (tmp_path / "record.json").read_text() == "{}"


def test_a_folder_that_came_into_being_meanwhile_is_kept(tmp_path):
    path = tmp_path / "folder"
    with pytest.raises(OutputError, match="came into being meanwhile and is never overwritten"), atomic_folder(path):
        path.mkdir()
        (path / "mine").write_text("precious")
    assert [each.name for each in tmp_path.rglob("*")] == ["folder", "mine"]
