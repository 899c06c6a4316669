"""A saved model that was cut short or changed is refused; nothing in it is ever executed."""

import json
import pickle
import shutil
from pathlib import Path

import pytest

from feint.core.errors import IntegrityError
from feint.core.files import sha256_of
from feint.runs.model import Manifest, Model
from feint.runs.run import Run


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    return shutil.copytree(finished.path, tmp_path / "run")


@pytest.fixture
def refused(command, copy, finished, tmp_path):
    """Return a check that the changed run is refused by the command line, in a sentence and without a file."""

    def check(words: str) -> None:
        outcome = command("score", copy, finished.unlabelled, "--out", tmp_path / "s.csv", "--maps", tmp_path / "maps")
        assert outcome.code == 5
        assert words in outcome.sentence
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    return check


@pytest.mark.parametrize("kept", [0, 7, 1000, -1])
def test_weights_cut_short(copy, refused, kept):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    refused("is not the file that this run wrote")


@pytest.mark.parametrize("at", [0, 9, 0.5, -1])
def test_one_bit_flipped(copy, refused, at):
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[int(at * len(content)) if isinstance(at, float) else at] ^= 1
    weights.write_bytes(content)
    refused("It was cut short or changed")


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_missing_file(copy, refused, name):
    (copy / name).unlink()
    refused("is missing")


@pytest.mark.parametrize("kept", [0, 1, 200, -3])
def test_a_manifest_cut_short(copy, refused, kept):
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text()[:kept])
    refused("was cut short or changed")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"rate": 0.05', '"rate": 0.9', "was changed after this run wrote it"),
        ('"white": 255', '"white": 128', "was changed after this run wrote it"),
        ('"sha256": "', '"sha256": "0', "was changed"),
        ('"voters": ', '"voters_": ', "was cut short or changed"),
        ('"format": 2', '"format": 99', "this version of Feint reads 2"),
    ],
)
def test_an_edited_manifest(copy, refused, old, new, words):
    manifest = copy / "manifest.json"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    refused(words)


def resealed(copy: Path) -> None:
    """Make manifest.json vouch for whatever model.safetensors now is, as an attacker would."""
    manifest = Manifest.model_validate_json((copy / "manifest.json").read_bytes())
    manifest = manifest.model_copy(update={"sha256": sha256_of(copy / "model.safetensors")})
    sealed = manifest.model_copy(update={"own_sha256": manifest.digest()})
    (copy / "manifest.json").write_text(sealed.model_dump_json())


class Trap:
    """Leaves a file wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_place_of_the_weights_is_never_executed(copy, refused, tmp_path):
    trap = tmp_path / "run/executed"
    (copy / "model.safetensors").write_bytes(pickle.dumps(Trap(trap)))
    refused("is not the file that this run wrote")
    resealed(copy)
    refused("does not fit")
    assert not trap.exists()
    pickle.loads((copy / "model.safetensors").read_bytes())
    assert trap.exists()  # the trap works


def test_weights_of_another_shape_do_not_fit(copy, refused):
    text = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(text.replace('"width": 8', '"width": 16'))
    resealed(copy)
    refused("does not fit")


def test_an_untouched_copy_loads(copy):
    resealed(copy)
    assert len(Model.load(copy).members) == 1


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("run.json", lambda text: text[:-9], "cut short or changed"),
        ("run.json", lambda text: json.dumps(json.loads(text) | {"more": 1}), "cut short or changed"),
        ("scores.csv", lambda text: text[: len(text) // 2 - 3] + "\n,,x", "cut short or changed"),
        ("scores.csv", lambda _: "path,score\n", "was changed"),
        ("scores.csv", lambda _: "", "cut short or changed"),
    ],
)
def test_records_that_were_changed(copy, name, change, words):
    (copy / name).write_text(change((copy / name).read_text()))
    run = Run(copy)
    with pytest.raises(IntegrityError, match=words):
        _ = (run.record, run.scores)


def test_a_table_that_is_missing(copy):
    (copy / "scores.csv").unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        _ = Run(copy).scores
