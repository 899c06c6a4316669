"""`feint assess` on the command line: words for people, one flat object for programs, one sentence for errors."""

import json
from pathlib import Path

import pytest
from small_runs import picture, write

from feint.cli.assess import NAMES
from feint.records.assessment import MetricValues
from feint.runs import measuring
from feint.runs.pretrain import run_pretrain
from feint.runs.pretrain_settings import PretrainSettings

SIDE = 16
KEYS = list(MetricValues.model_fields)


@pytest.fixture
def folder(tmp_path) -> Path:
    images = write(tmp_path / "images", {f"{i:02d}.png": picture(i, side=SIDE) for i in range(24)})
    (images / "broken.png").write_bytes(b"no image")
    return images


@pytest.fixture
def run(small, tmp_path, folder, monkeypatch) -> Path:
    monkeypatch.setattr(measuring, "VIEWS_EACH", 2)
    settings = PretrainSettings(method="simclr", encoder="resnet8", image_size=SIDE, steps=4, batch=8)
    run_pretrain(folder, settings, out=tmp_path / "run")
    return tmp_path / "run"


def test_words_come_first_and_every_metric_has_a_line(command, run, folder):
    outcome = command("assess", run, folder)
    assert outcome.code == 0
    assert "Left out: broken.png" in outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("simclr on resnet8, seen through 24 images")
    header = next(i for i, line in enumerate(lines) if "untrained" in line)
    assert any(line.startswith("Keep ") for line in lines[:header])
    assert lines[header].split("  ")[-1].strip() == "projector"
    table = lines[header : header + 1 + len(KEYS)]
    assert len({len(line) for line in table}) == 1
    assert [line.split("  ")[0] for line in table[1:]] == list(NAMES.values())
    assert list(NAMES) == KEYS
    assert "can-i-trust-rankme" in lines[-1]


def test_json_is_one_flat_object_and_the_file_of_the_run(command, run, folder):
    outcome = command("assess", run, folder, "--json", "--seed", "7")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found == json.loads((run / "assessment.json").read_text())
    assert all(found[key] is None or isinstance(found[key], float) for key in KEYS)
    assert [each["step"] for each in found["checkpoints"]] == [1, 2, 3, 4]
    assert found["rankme"] == found["checkpoints"][-1]["encoder"]["rankme"]
    assert {"n", "d", "centring", "eps", "direction", "note"} <= set(found["details"]["rankme"])
    assert (found["images"], len(found["skipped"]), found["seed"]) == (24, 1, 7)
    assert set(found["keep"]) == {"step", "why"}
    assert set(found["projector"]) == set(found["untrained"]) == set(KEYS)


def test_errors_are_one_sentence(command, tmp_path, folder, run):
    outcome = command("assess", tmp_path, folder)
    assert (outcome.code, outcome.out) == (3, "")
    assert "is no pretraining" in outcome.sentence
    outcome = command("assess", run, tmp_path / "nowhere")
    assert outcome.code == 3
    assert "does not exist" in outcome.sentence
