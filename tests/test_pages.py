"""The examples in the pages do what the pages say, commands are commands, settings are settings."""

import re
import shlex
from dataclasses import fields
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest
import typer
from small_runs import picture, write

from feint.augmentations.views import PRESETS, views_named
from feint.cli import app
from feint.pretraining import METHODS
from feint.studies.plan import arms_of
from feint.studies.plan_file import parse_plan
from feint.testing.augmentations import AUGMENTATION_CHECKS
from feint.testing.detectors import DETECTOR_CHECKS

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def defined(page, name):
    names = {"__name__": "page"}
    exec(compile(blocks(page, "python")[0], page, "exec", dont_inherit=True), names)
    return names[name]()


def kept(check, subject):
    try:
        check(subject)
    except SkipTest as nothing:
        pytest.skip(str(nothing))


@pytest.mark.parametrize("check", DETECTOR_CHECKS)
def test_the_detector_of_the_page(check):
    kept(check, defined("add-a-detector.md", "MeanImage"))


@pytest.mark.parametrize("check", AUGMENTATION_CHECKS)
def test_the_augmentation_of_the_page(check):
    kept(check, defined("add-an-augmentation.md", "Haze"))


def test_the_plan_of_the_page(tmp_path):
    images, classes = np.zeros((10, 28, 28), np.uint8), np.arange(10)
    (tmp_path / "DATA").mkdir()
    np.savez(tmp_path / "DATA" / "mnist.npz", x_train=images, y_train=classes, x_test=images, y_test=classes)
    arms, left_out = arms_of(parse_plan(blocks("run-a-study.md", "toml")[0], folder=tmp_path))
    assert len(arms) == 5
    assert len(left_out) == 4


def commands():
    """Return every `feint ...` line of the README and the pages, without its comment."""
    pages = [DOCS.parent / "README.md", *DOCS.glob("*.md"), *DOCS.glob("methods/*.md"), *DOCS.glob("tutorials/*.md")]
    text = "".join(block for page in sorted(pages) for block in blocks(page, "sh"))
    lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    found = [line[line.index("feint") + 1 :] for line in lines if "feint" in line]
    return [words for words in found if words]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_command_line_understands_the_commands_of_the_pages(words):
    command, name, words = typer.main.get_command(app), "feint", list(words)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    command.make_context(name, words)


@pytest.mark.usefixtures("small")
def test_the_pretraining_of_the_page(tmp_path, monkeypatch):
    write(tmp_path / "images" / "all", {f"{i:02d}.png": picture(i) for i in range(16)})
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(blocks("pretrain.md", "python")[0], "pretrain.md", "exec", dont_inherit=True), names)
    assert names["record"].checkpoints == [5, 10, 15, 20]
    assert names["found"].keep.step in {None, 5, 10, 15, 20}


@pytest.mark.parametrize("method", METHODS)
def test_the_page_of_a_method_names_its_settings_and_their_defaults(method):
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", (DOCS / f"methods/{method}.md").read_text(), re.MULTILINE)
    told = {name: row[1] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    settings = {each.name: each.default for each in fields(METHODS[method])}
    assert told.keys() == settings.keys()
    for name, default in settings.items():
        numbers = [float(number) for number in re.findall(r"\d[\d.]*(?:e-?\d+)?", told[name].replace(",", " "))]
        assert default is None or default in numbers, name


def test_the_views_of_the_page():
    page = (DOCS / "pretrain.md").read_text()
    assert {name for name in re.findall(r"^\| `(\w+)`", page, re.MULTILINE) if name in PRESETS} == set(PRESETS)
    for composition in re.findall(r"`(\w+\+[\w.+-]+)`", page):
        assert views_named(composition)
