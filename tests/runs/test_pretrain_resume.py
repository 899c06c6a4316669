"""A pretraining that was stopped, killed or out of space goes on to the bits of one that never was."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import small_pretraining
import test_full_disk
from small_pretraining import SETTINGS, StoppedAt, image_folder, logged, losses, pretrain_arguments, same_tensors

import feint
from feint.cli.terminal import TerminalMonitor
from feint.core.errors import OutputError
from feint.runs import chronicle

disk = test_full_disk.disk


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Return 24 images; not to be changed."""
    return image_folder(tmp_path_factory.mktemp("pretrain") / "images")


@pytest.fixture
def out(tmp_path, small, monkeypatch) -> Path:
    """Return the run to make; it is saved after every second of its 8 steps."""
    monkeypatch.setattr(chronicle, "SAVES", small_pretraining.SAVES)
    return tmp_path / "run"


def partial(out: Path) -> Path:
    return out.with_name(out.name + ".partial")


def stopped(images: Path, out: Path, at: int, **settings: object) -> Path:
    """Pretrain, interrupted as step `at` is heard of; return what is left."""
    with pytest.raises(KeyboardInterrupt):
        feint.pretrain(images, out=out, monitor=StoppedAt(at), **SETTINGS | settings)
    assert steps(partial(out) / "result") == list(range(1, at))
    return partial(out)


def steps(run: Path) -> list[float]:
    return [line["step"] for line in logged(run)]


def same_run(one: Path, other: Path) -> bool:
    """Tell whether two runs hold the same weights, checkpoints and losses, bit for bit."""
    weights = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert weights == sorted(path.relative_to(other) for path in other.rglob("*.safetensors"))
    return all(same_tensors(one / path, other / path) for path in weights) and losses(one) == losses(other)


@pytest.mark.parametrize(
    ("method", "encoder"), [("simclr", "resnet8"), ("byol", "resnet8"), ("dino", "vit_micro/8"), ("mae", "vit_micro/8")]
)
def test_resuming_ends_in_the_bits_of_a_training_never_stopped(images, out, tmp_path, method, encoder):
    settings = SETTINGS | {"method": method, "encoder": encoder}
    whole = feint.pretrain(images, out=tmp_path / "whole", **settings)
    stopped(images, out, 6, method=method, encoder=encoder)
    monitor = StoppedAt()
    record = feint.pretrain(images, out=out, resume=True, monitor=monitor, **settings)
    assert "Going on after step 4 of 8." in monitor.told
    assert steps(out) == list(range(1, 9))
    assert same_run(tmp_path / "whole", out)
    assert record == whole.model_copy(update={"images_per_second": record.images_per_second})
    assert not partial(out).exists()


def test_ctrl_c_keeps_what_was_saved_and_says_how_to_go_on(command, images, out, monkeypatch):
    with monkeypatch.context() as context:
        stopping = StoppedAt(6)
        context.setattr(TerminalMonitor, "phase", lambda _, name: stopping.phase(name))
        context.setattr(TerminalMonitor, "advance", lambda _, done, total: stopping.advance(done, total))
        outcome = command(*pretrain_arguments(images, out))
    assert (outcome.code, outcome.out) == (130, "")
    assert "the same command with --resume goes on from there" in outcome.sentence
    assert not out.exists()
    outcome = command(*pretrain_arguments(images, out, "--resume"))
    assert (outcome.code, "Going on after step 4 of 8." in outcome.err) == (0, True)
    assert steps(out) == list(range(1, 9))


def test_a_kill_in_mid_training(images, out, tmp_path):
    words = [sys.executable, small_pretraining.__file__, images, out]
    killed = subprocess.run(words, env=os.environ | {"FEINT_CORES": "1"}, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["run.partial"]
    with (partial(out) / "result/log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # a line that was being written as the power failed
    feint.pretrain(images, out=out, resume=True, **SETTINGS)
    feint.pretrain(images, out=tmp_path / "whole", **SETTINGS)
    assert same_run(tmp_path / "whole", out)


def test_what_was_saved_is_not_removed_for_other_settings_or_images(images, out, tmp_path):
    whole, others = feint.pretrain(images, out=tmp_path / "whole", **SETTINGS), image_folder(tmp_path / "others", 23)
    stopped(images, out, 6)
    for change in ({"seed": 1}, {"steps": 9}, {"method": "byol"}, {"images": others}):
        (name,) = change
        with pytest.raises(OutputError, match=rf"other settings or images \({name}\): repeat that command"):
            feint.pretrain(**{"images": images} | SETTINGS | change, out=out, resume=True)
    with pytest.raises(OutputError, match="go on from there with --resume, delete it"):
        feint.pretrain(images, out=out, **SETTINGS)
    record = feint.pretrain(images, out=out, resume=True, **SETTINGS)
    assert same_run(tmp_path / "whole", out)
    assert record.steps == whole.steps


def test_without_resume_what_was_never_saved_is_replaced(images, out):
    stopped(images, out, 2)
    stopped(images, out, 3)


def test_steps_before_anything_was_saved_are_logged_once(images, out):
    stopped(images, out, 2)
    monitor = StoppedAt()
    feint.pretrain(images, out=out, resume=True, monitor=monitor, **SETTINGS)
    assert f"Nothing to go on from at {partial(out)}: starting afresh." in monitor.told
    assert steps(out) == list(range(1, 9))


def test_what_was_damaged_meanwhile_is_told(command, images, out, tmp_path):
    left, words = stopped(images, out, 6), pretrain_arguments(images, out, "--resume")
    kept = shutil.copytree(left, tmp_path / "kept")
    (left / "result/log.jsonl").write_text("")
    outcome = command(*words)
    assert (outcome.code, "holds 0 of the 4 steps" in outcome.sentence) == (5, True)
    shutil.copytree(kept, left, dirs_exist_ok=True)
    state = left / "jobs/training.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    outcome = command(*words)
    assert (outcome.code, "was cut short" in outcome.sentence) == (5, True)
    assert state.exists()


# What it writes, in KiB: images 6, each checkpoint 440, the state 1,300 and as much while it is replaced.
@pytest.mark.parametrize("kib", [8, 16, 300, 1_000])
def test_a_full_disk_before_anything_is_saved(command, images, disk, kib):
    place = disk(kib)
    outcome = command(*pretrain_arguments(images, place / "run"))
    assert (outcome.code, "Free some space" in outcome.sentence) == (4, True)
    assert list(place.rglob("*")) == []


def test_a_full_disk_in_mid_training_keeps_what_was_trained(command, images, out, disk, tmp_path):
    place = disk(3_400)
    outcome = command(*pretrain_arguments(images, place / "run"))
    assert outcome.code == 4
    assert "the disk is full" in outcome.sentence
    assert outcome.sentence.endswith("What was trained is kept: the same command with --resume goes on.")
    shutil.copytree(place / "run.partial", partial(out))
    outcome = command(*pretrain_arguments(images, out, "--resume"))
    assert (outcome.code, "Going on after step" in outcome.err) == (0, True)
    feint.pretrain(images, out=tmp_path / "whole", **SETTINGS)
    assert same_run(tmp_path / "whole", out)
