"""Files are written whole, whoever else writes the same one at the same moment."""

import errno
import os
import threading
from pathlib import Path

from feint.core.files import atomic, atomic_folder, write_text


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


def _write_folder(path: Path) -> None:
    with atomic_folder(path):
        pass


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
