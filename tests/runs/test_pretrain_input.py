"""Impossible input to a pretraining ends in one sentence, and leaves nothing behind."""

import pytest
from small_pretraining import image_folder, pretrain_arguments
from small_runs import picture, write

import feint
from feint.core.errors import SettingError


@pytest.fixture
def fails(command, tmp_path):
    """Return a maker of failing `feint pretrain`s that checks that nothing is left, and returns the sentence."""
    images = image_folder(tmp_path / "images", 6)

    def run(code: int, *more: object, images=images) -> str:
        before = sorted(tmp_path.rglob("*"))
        outcome = command(*pretrain_arguments(images, tmp_path / "run", *more))
        assert outcome.code == code, outcome.err
        assert outcome.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return outcome.sentence

    return run


def test_a_batch_of_one(fails):
    assert "a batch needs at least 2 images" in fails(2, "--batch", 1)


def test_one_image(fails, tmp_path):
    sentence = fails(3, images=image_folder(tmp_path / "one", 1))
    assert sentence.startswith("there is 1 readable image: nothing can be learned")


def test_one_image_repeated(fails, tmp_path):
    same = write(tmp_path / "same", {f"{i}.png": picture(0) for i in range(9)})
    assert fails(3, images=same).startswith("all 9 images are identical, pixel for pixel")


def test_a_missing_and_an_empty_folder(fails, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "does not exist" in fails(3, images=tmp_path / "absent")
    assert "no images in" in fails(3, images=tmp_path / "empty")


def test_a_method_that_is_not_applicable_is_told_before_an_image_is_read(fails, tmp_path):
    for encoder in ("resnet18", "resnet8"):
        sentence = fails(2, "--method", "mae", "--encoder", encoder, images=tmp_path / "absent")
        assert sentence.startswith(f"mae is not applicable to {encoder}: ")
        assert "vit_tiny or vit_micro" in sentence


@pytest.mark.parametrize(
    ("option", "word", "close"),
    [
        ("--method", "simcrl", "did you mean simclr?"),
        ("--method", "barlow", "did you mean barlow_twins?"),
        ("--method", "?", "choose from simclr, byol"),
        ("--encoder", "resnet81", "Did you mean resnet8?"),
        ("--encoder", "resnet8/4", "there is no encoder 'resnet8/4'"),
        ("--encoder", "vit_tiny/0", "the patch of vit_tiny must be 1 to 64 px"),
        ("--views", "defects", "did you mean 'defect'?"),
        ("--views", "crop+colour", "did you mean 'color'?"),
        ("--precision", "fp16", "fp16"),
    ],
)
def test_an_unknown_name_is_told_with_the_closest_there_is(command, tmp_path, option, word, close):
    outcome = command(*pretrain_arguments(tmp_path / "absent", tmp_path / "run", option, word))
    assert outcome.code == 2
    assert close in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_all_wrong_settings_are_told_at_once(fails):
    options = (
        "--image-size",
        4,
        "--steps",
        0,
        "--rate",
        -1,
        "--weight-decay",
        "nan",
        "--device",
        "tpu9",
        "--method",
        "x",
    )
    sentence = fails(2, *options)
    assert all(name in sentence for name in ("image_size", "steps", "rate", "weight_decay", "device", "method"))


def test_a_run_that_exists_is_never_overwritten(fails, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run.partial").mkdir()
    for name in ("run", "run.partial"):
        (tmp_path / name / "mine.txt").write_text("precious")
    assert "exists already and is never overwritten" in fails(4)
    assert "exists already" in fails(4, "--resume")
    assert (tmp_path / "run/mine.txt").read_text() == (tmp_path / "run.partial/mine.txt").read_text() == "precious"


def test_a_place_where_nothing_can_be_made(fails, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in fails(4, "--out", tmp_path / "file/run")


def test_a_training_that_diverges(fails):
    sentence = fails(6, "--rate", 1e30, "--encoder", "vit_micro/8")
    assert "diverged at step" in sentence
    assert "--rate" in sentence


def test_precision_in_python(tmp_path):
    with pytest.raises(SettingError, match="precision: .*'fp32' or 'bf16'"):
        feint.pretrain(tmp_path, out=tmp_path / "run", precision="fp16")
