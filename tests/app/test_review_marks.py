"""Marks are on disk at once, every one can be undone, and what was known at any moment is known later."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.app.review.marks import Marks, Undone
from feint.core.errors import IntegrityError
from feint.data.labels import read_labels

MARKING = """
import sys
from pathlib import Path
from feint.app.review.marks import Marks
marks = Marks(Path(sys.argv[1]), images="pool")
for i in range(100000):
    marks.mark(f"{i}.png", i % 2)
    print(i, flush=True)
"""


@pytest.fixture
def marks(tmp_path):
    found = Marks(tmp_path / "marks.sqlite", images="pool")
    yield found
    found.close()


def test_the_csv_is_what_evaluate_and_refit_read(marks, tmp_path):
    names = ['with,comma "and quotes".png', "übung/ß.png", "=cmd|' /C calc'!A0.png", "plain.png"]
    for i, name in enumerate(names):
        marks.mark(name, i % 2)
    (tmp_path / "marks.csv").write_text(marks.csv(), encoding="utf-8")
    assert read_labels(tmp_path / "marks.csv").by_path == {name: i % 2 for i, name in enumerate(names)}


def test_a_killed_process_loses_nothing_that_was_shown(tmp_path):
    file = tmp_path / "marks.sqlite"
    process = subprocess.Popen([sys.executable, "-c", MARKING, file], stdout=subprocess.PIPE, text=True)
    shown = [process.stdout.readline() for _ in range(40)]
    process.send_signal(signal.SIGKILL)
    shown += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    last = int(shown[-1])
    found = Marks(file, images="pool")
    assert set(range(last + 1)) <= {int(name.removesuffix(".png")) for name in found.now()}
    assert found.undo().path == f"{len(found.now())}.png"
    found.close()


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("abc"), st.sampled_from([0, 1, None]))), max_size=25))
def test_undo_takes_back_one_mark_after_the_other(tmp_path_factory, steps):
    found = Marks(tmp_path_factory.mktemp("marks") / "marks.sqlite", images="pool")
    states, moments = [{}], {0: {}}
    for step in steps:
        if step is None:
            undone = found.undo()
            assert (undone is None) == (len(states) == 1)
            states = states[:-1] if len(states) > 1 else states
        else:
            path, label = step
            now = {k: v for k, v in (states[-1] | {path: label}).items() if v is not None}
            found.mark(path, label)
            states += [now] if now != states[-1] else []
        assert found.now() == states[-1]
        moments[found.moment] = states[-1]
    assert all(found.at(moment) == state for moment, state in moments.items())
    found.close()


def test_sets_of_images_are_kept_apart_and_come_back(marks, tmp_path):
    other = Marks(tmp_path / "marks.sqlite", images="other")
    marks.mark("a.png", 1)
    other.mark("a.png", 0)
    other.close()
    again = Marks(tmp_path / "marks.sqlite", images="other")
    assert (marks.now(), again.now()) == ({"a.png": 1}, {"a.png": 0})
    assert again.undo() == Undone("a.png", None)
    assert marks.label("a.png") == 1
    again.close()


def test_a_file_that_holds_no_marks_is_named(tmp_path):
    file = tmp_path / "marks.sqlite"
    file.write_bytes(os.urandom(4096))
    with pytest.raises(IntegrityError, match=r"marks\.sqlite holds no marks"):
        Marks(file, images="pool")
