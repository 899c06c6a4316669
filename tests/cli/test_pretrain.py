"""`feint pretrain` as a command: what goes where, and that its help is quick."""

import json

import pytest
from small_pretraining import image_folder, pretrain_arguments
from test_commands import HEAVY, imported, python

from feint.records.pretraining import PretrainingRecord


@pytest.fixture
def images(tmp_path):
    return image_folder(tmp_path / "some images", 8)


def test_json_alone_goes_to_stdout_and_is_the_record(command, images, tmp_path):
    outcome = command(*pretrain_arguments(images, tmp_path / "run", "--steps", 2, "--json"))
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found.pop("run") == str(tmp_path / "run")
    saved = (tmp_path / "run/pretraining.json").read_text()
    assert PretrainingRecord.model_validate(found) == PretrainingRecord.model_validate_json(saved)


def test_the_last_line_says_where_the_encoder_lies_and_what_to_do_with_it(command, images, tmp_path):
    run = tmp_path / "run"
    outcome = command(*pretrain_arguments(images, run, "--steps", 2))
    last = outcome.err.splitlines()[-1]
    assert last.startswith(f"Encoder: {run}. ")
    assert f"feint assess {run} '{images}'" in last
    assert last.endswith(f"feint tune NORMAL UNLABELLED --out ANOTHER --encoder {run}")
    assert (outcome.code, outcome.out) == (0, "")


def test_help_names_what_there_is_and_imports_nothing_heavy():
    help_asked = "sys.argv = ['feint', 'pretrain', '--help']; from feint.cli import main; main()"
    assert imported(help_asked) & HEAVY == set()
    found = python("-m", "feint", "pretrain", "--help")
    for word in ("barlow_twins", "vit_micro", "--resume", "--precision", "torchrun"):
        assert word in found.stdout
    assert found.stderr == ""
