"""Each folder holds a card made of its own records, and `feint evaluate` keeps it up to date."""

import json

import pytest
import yaml
from small_pretraining import SETTINGS, image_folder

import feint
from feint.core.errors import InputError, IntegrityError
from feint.runs.card import write_card


def header(path):
    return yaml.safe_load(path.read_text().split("\n---\n")[0])


def test_the_card_of_a_run(run):
    card = run.path / "card.md"
    before, told = card.read_bytes(), header(card)
    assert told["normal"]["images"] == run.record.data.normal.images == 110
    assert told["splits"]["calibration"] == run.record.calibration.images
    assert told["label_reads"] == {"run": 0, "evaluation": 0}
    assert write_card(run.path) == card
    assert card.read_bytes() == before


def test_evaluating_is_told_in_the_card(command, run, labels):
    for reads in (1, 2):
        assert command("evaluate", run.path, labels).code == 0
        told = header(run.path / "card.md")
        assert told["label_reads"] == {"run": 0, "evaluation": reads}
        assert told["auroc"] == json.loads((run.path / "evaluation.json").read_text())["auroc"]["value"]


@pytest.mark.usefixtures("small")
def test_the_card_of_a_pretraining(tmp_path):
    record = feint.pretrain(image_folder(tmp_path / "images"), out=tmp_path / "run", **SETTINGS)
    told = header(tmp_path / "run" / "card.md")
    assert told["images"]["fingerprint"] == record.images.fingerprint
    assert told["seed"] == record.seed
    before = (tmp_path / "run" / "card.md").read_bytes()
    assert write_card(tmp_path / "run").read_bytes() == before


def test_folders_that_have_no_card(tmp_path, run):
    with pytest.raises(InputError, match="no run.json"):
        write_card(tmp_path)
    (run.path / "evaluation.json").write_text('{"auroc":')
    with pytest.raises(IntegrityError, match="evaluation.json was cut short"):
        write_card(run.path)
