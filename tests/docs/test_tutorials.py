"""The tutorials run, and print what their pages show; numbers aside, which a smaller budget changes."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def printed(small, tmp_path, monkeypatch, capsys):
    """Return a function that runs a tutorial by its name, with the small budget, and returns what it prints."""
    monkeypatch.syspath_prepend(EXAMPLES)

    def run(name):
        sys.modules.pop(name, None)
        importlib.import_module(name).main(tmp_path / "workplace")
        return capsys.readouterr().out

    return run


def shown(name):
    """Return the output that the page of a tutorial shows."""
    return (EXAMPLES / "output" / f"{name}.txt").read_text()


def tables(text):
    """Return the lines of a text that are rows of images, and the headers above them, without their numbers."""
    return [
        re.sub(r"-?\d\.\d+|\b[01]$", "#", line).split()
        for line in text.splitlines()
        if re.search(r"\.png|^ *path", line)
    ]


def test_factory_parts(printed):
    out, page = printed("factory_parts"), shown("factory_parts")
    tomorrow = [line for line in tables(page) if line[0].startswith("part-20")]
    assert len(tomorrow) == 10
    assert [line for line in tables(out) if line[0].startswith("part-20")] == tomorrow
    for text in (out, page):
        assert re.search(r"\d+ of 100 unlabelled images", text)
        assert re.search(r"the graph and the run agree on \d+ images", text)
        assert float(re.search(r"AUROC (\d\.\d+) \(", text)[1]) > 0.7


def test_what_the_page_says_of_the_scratched_plates():
    flagged = {line.split()[0] for line in shown("factory_parts").splitlines() if re.match(r" *part-20.* 1$", line)}
    assert flagged == {"part-2005.png"}


def test_few_marks(printed):
    out, page = printed("few_marks"), shown("few_marks")
    for text in (out, page):
        assert re.search(r"^30 images marked, \d+ of them anomalous$", text, re.MULTILINE)
    assert len(out.splitlines()) == len(page.splitlines())


def test_class_folders(printed):
    out, page = printed("class_folders"), shown("class_folders")
    for mine, theirs in zip(out.splitlines(), page.splitlines(), strict=True):
        for one, other in zip(mine.split(), theirs.split(), strict=True):
            if re.fullmatch(r"\d\.\d+", one):
                assert float(one) == pytest.approx(float(other), abs=0.1), (mine, theirs)
            else:
                assert one == other
