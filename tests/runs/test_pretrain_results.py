"""What a pretraining leaves, from images of every shape, and what it says while it goes on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_pretraining import image_folder, logged, losses, pretrain_arguments, same_tensors
from small_runs import picture, write

import feint
from feint.augmentations.views import views_named
from feint.networks.architectures import build, load_encoder, read_info
from feint.pretraining import METHODS
from feint.pretraining.optimisation import usual
from feint.pretraining.training import Pretraining, Training
from feint.records.pretraining import PretrainingRecord


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return 24 images; not to be changed."""
    return image_folder(tmp_path_factory.mktemp("pretrain") / "images")


def record_of(out) -> PretrainingRecord:
    return PretrainingRecord.model_validate_json((out / "pretraining.json").read_text())


def test_the_result_is_the_training_of_these_images(command, images, tmp_path):
    """The loop alone, on the same pixels in memory, ends in the same bits."""
    out = tmp_path / "run"
    assert command(*pretrain_arguments(images, out, "--rate", 0.002, "--seed", 3)).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    pixels = np.stack([picture(i, side=16) for i in range(24)])[:, None]
    encoder = build("resnet8", channels=1, size=(16, 16), seed=3)
    how = Training(optimisation=replace(usual("resnet8", batch=8), rate=0.002), steps=8, batch=8, seed=3)
    learner = METHODS["simclr"]().learner(encoder, seed=3)
    heard = []
    Pretraining(learner, pixels, views_named("defect"), training=how).run(lambda step: heard.append(step.loss))
    assert losses(out) == heard
    saved = load_file(out / "learner.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in learner.state_dict().items())
    assert len(saved) == len(learner.state_dict())
    made, info = load_encoder(out / "encoder.safetensors")
    assert (info.architecture, info.channels, info.size) == ("resnet8", 1, (16, 16))
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), encoder.parameters(), strict=True))


def test_checkpoints_at_the_quarters_the_last_being_the_learner(command, images, tmp_path):
    out = tmp_path / "run"
    assert command(*pretrain_arguments(images, out)).code == 0
    kept = [out / f"checkpoints/step-{step:06d}.safetensors" for step in (2, 4, 6, 8)]
    assert sorted((out / "checkpoints").iterdir()) == kept
    assert same_tensors(kept[3], out / "learner.safetensors")
    assert not same_tensors(kept[2], kept[3])
    assert record_of(out).checkpoints == [2, 4, 6, 8]
    names = {"card.md", "checkpoints", "encoder.safetensors", "learner.safetensors", "log.jsonl", "pretraining.json"}
    assert {path.name for path in out.iterdir()} == names


@pytest.mark.parametrize(
    ("method", "encoder", "full", "views"),
    [
        ("byol", "resnet8", "resnet8", "defect"),
        ("barlow_twins", "vit_micro", "vit_micro/4", "defect"),
        ("dino", "vit_micro/8", "vit_micro/8", "defect"),
        ("mae", "vit_micro", "vit_micro/4", "mae"),
        ("vicreg", "resnet8", "resnet8", "defect"),
    ],
)
def test_every_method(images, tmp_path, small, method, encoder, full, views):
    record = feint.pretrain(images, out=tmp_path / "run", method=method, encoder=encoder, image_size=16, steps=3)
    assert (record.method, record.encoder, record.views) == (method, full, views)
    assert record.readout == ("mean" if method == "mae" else "both")
    assert record == record_of(tmp_path / "run")
    assert record.loss == losses(tmp_path / "run")[-1]
    assert read_info(tmp_path / "run/encoder.safetensors").readout == record.readout


def test_half_precision_leaves_weights_in_single(images, tmp_path, small):
    arguments = {"encoder": "resnet18", "image_size": 16, "steps": 2, "batch": 4}
    record = feint.pretrain(images, out=tmp_path / "run", precision="bf16", **arguments)
    assert (record.precision, record.rate) == ("bf16", pytest.approx(0.06 * 4 / 128))
    assert {value.dtype for value in load_file(tmp_path / "run/encoder.safetensors").values()} == {
        torch.float32,
        torch.int64,
    }


@pytest.mark.parametrize(
    ("shape", "encoder", "full", "size"),
    [
        ((60, 124), "vit_micro", "vit_micro/8", (64, 128)),
        ((62, 30), "vit_micro", "vit_micro/8", (64, 32)),
        ((28, 28), "vit_micro/7", "vit_micro/7", (28, 28)),
        ((28, 28), "resnet8", "resnet8", (28, 28)),
    ],
)
def test_sides_are_rounded_to_whole_patches_and_the_patch_stays(tmp_path, small, shape, encoder, full, size):
    """Rounding 124 px to 128 px for patches of 8 px must not call for those of 16 px, which 128 px have."""
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
    record = feint.pretrain(images, out=tmp_path / "run", encoder=encoder, image_size=126, steps=1, batch=2)
    assert (record.encoder, record.preprocessing.height, record.preprocessing.width) == (full, *size)
    assert read_info(tmp_path / "run/encoder.safetensors").size == size


def test_colour_images(tmp_path, small):
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
    record = feint.pretrain(images, out=tmp_path / "run", views="crop+color", image_size=16, steps=1, batch=4)
    assert (record.channels, record.views) == (3, "crop+color")
    assert read_info(tmp_path / "run/encoder.safetensors").channels == 3


def test_progress_tells_loss_pace_spread_rank_and_the_time_left(command, images, tmp_path):
    outcome = command(*pretrain_arguments(images, tmp_path / "run", "--steps", 40))
    lines = [line for line in outcome.err.splitlines() if line.startswith("Step ")]
    assert len(lines) == 20
    assert "40 of 40" in lines[-1]
    for word in ("loss", "images/s", "spread", "rank", "left"):
        assert word in lines[5]
    log = logged(tmp_path / "run")
    assert [line["step"] for line in log] == list(range(1, 41))
    assert [line["step"] for line in log if "rankme_centred" in line] == list(range(2, 41, 2))
    assert log[0]["rate"] < log[1]["rate"] == 1e-3 > log[-1]["rate"]
    assert record_of(tmp_path / "run").images_per_second == log[-1]["images_per_second"] > 0


def test_looking_at_embeddings_does_not_change_the_training(images, tmp_path, small):
    """With 40 steps a look is after every second one; a single look at the end gives the same weights."""
    from feint.runs import chronicle

    feint.pretrain(images, out=tmp_path / "often", method="byol", image_size=16, steps=6, batch=8)
    with pytest.MonkeyPatch.context() as context:
        context.setattr(chronicle, "LOOKS", 1)
        feint.pretrain(images, out=tmp_path / "once", method="byol", image_size=16, steps=6, batch=8)
    assert len([line for line in logged(tmp_path / "once") if "std_of_l2" in line]) == 1
    assert same_tensors(tmp_path / "often/learner.safetensors", tmp_path / "once/learner.safetensors")


def test_a_collapse_is_alarmed(command, images, tmp_path):
    """A huge weight decay takes every weight to 0 and all images to one point, and the loss to ln(2 N - 1)."""
    options = ("--rate", 1, "--weight-decay", 0.99, "--steps", 120, "--encoder", "vit_micro/8")
    outcome = command(*pretrain_arguments(images, tmp_path / "run", *options))
    assert outcome.code == 0
    told = {warning.code: warning.message for warning in record_of(tmp_path / "run").warnings}
    assert told["collapsed_embeddings"].startswith("At step 120, the encoder maps all images to nearly the same")
    assert set(told) == {"collapsed_embeddings", "collapsed_embeddings@projector", "loss_at_floor"}
    assert f"within 1 % of {np.log(15):.4g} for 100 steps" in told["loss_at_floor"]
    assert "Alarm: the encoder maps all images" in outcome.err
    assert f"Note: {told['collapsed_embeddings']}" in outcome.err


def test_a_training_that_learns_raises_no_alarm(command, images, tmp_path):
    assert "Alarm" not in command(*pretrain_arguments(images, tmp_path / "run", "--steps", 120)).err
    assert record_of(tmp_path / "run").warnings == []


def test_few_images_are_told_and_all_seen_in_each_step(command, tmp_path):
    few = image_folder(tmp_path / "few", 5)
    outcome = command(*pretrain_arguments(few, tmp_path / "run", "--encoder", "resnet8"))
    assert outcome.code == 0
    assert "Note: 5 images are fewer than a batch of 8: each step sees all of them." in outcome.err
    assert record_of(tmp_path / "run").batch == 5


def test_copies_and_damaged_files_are_told(command, tmp_path):
    folder = write(tmp_path / "copies", {f"{i:03d}.png": picture(i % 8, side=16) for i in range(16)})
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:60])
    outcome = command(*pretrain_arguments(folder, tmp_path / "run"))
    assert outcome.code == 0
    record = record_of(tmp_path / "run")
    assert {warning.code for warning in record.warnings} == {"skipped", "duplicates"}
    assert "8 of 16 images are exact copies of others" in outcome.err
    assert record.images.images == 16
