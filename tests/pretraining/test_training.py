"""The loop of all methods: it repeats itself, goes on where it was stopped, and says when it has diverged."""

import math
import time

import numpy as np
import pytest
import torch

from feint.augmentations.views import views_named
from feint.core.errors import CollapseError, IntegrityError
from feint.networks.architectures import build
from feint.pretraining import METHODS
from feint.pretraining.optimisation import Optimisation
from feint.pretraining.training import Pace, Precision, Pretraining, Step, Training
from feint.testing.promises import global_generators_untouched

SIDE, STEPS = 16, 4
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 1, SIDE, SIDE), np.uint8)
ADAMW, SGD = Optimisation(), Optimisation(kind="sgd", rate=0.01)


def pretraining(
    method: str, how: Optimisation = ADAMW, *, precision: Precision = "fp32", encoder: str = "", seed: int = 0
) -> Pretraining:
    name = encoder or ("vit_micro/8" if method in {"dino", "mae"} else "resnet8")
    network = build(name, channels=1, size=(SIDE, SIDE), seed=seed)
    training = Training(optimisation=how, steps=STEPS, batch=6, seed=seed, precision=precision)
    return Pretraining(METHODS[method]().learner(network, seed=seed), IMAGES, views_named("defect"), training=training)


def losses(of: Pretraining, *, until: int | None = None) -> list[float]:
    heard: list[Step] = []
    done = of.done
    of.run(heard.append, until=until)
    assert [step.number for step in heard] == list(range(done + 1, of.done + 1))
    return [step.loss for step in heard]


def same_state(a: Pretraining, b: Pretraining) -> bool:
    one, other = a.learner.state_dict(), b.learner.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("how", [ADAMW, SGD], ids=lambda how: how.kind)
@pytest.mark.parametrize("method", METHODS)
def test_going_on_from_a_saved_state_ends_in_the_bits_of_a_training_never_stopped(method, how, tmp_path):
    whole, first, second = (pretraining(method, how) for _ in range(3))
    with global_generators_untouched("training"):
        heard = losses(whole)
    assert len(heard) == STEPS
    begun = losses(first, until=2)
    first.save(tmp_path / "state.safetensors")
    second.load(tmp_path / "state.safetensors")
    assert second.done == 2
    assert begun + losses(second) == heard
    assert same_state(whole, second)
    assert not same_state(whole, first)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_is_near_single_precision(method):
    half, single = losses(pretraining(method, precision="bf16")), losses(pretraining(method))
    assert half != single
    assert half == pytest.approx(single, rel=0.03)


def test_weights_and_what_the_optimiser_remembers_stay_in_single_precision_when_computing_in_half():
    of = pretraining("simclr", precision="bf16")
    losses(of)
    kinds = {each.dtype for each in of.learner.parameters()}
    kinds |= {value.dtype for state in of.optimiser.state.values() for value in state.values()}
    assert kinds == {torch.float32}


def test_the_seed_decides():
    assert losses(pretraining("simclr", seed=1)) != losses(pretraining("simclr"))


def test_a_run_ends_at_the_last_step():
    of = pretraining("simclr")
    assert len(losses(of, until=99)) == STEPS
    assert losses(of) == []


def test_a_training_that_diverges_is_told():
    with pytest.raises(CollapseError, match=r"diverged at step [234]: the loss is .*--rate"):
        losses(pretraining("simclr", Optimisation(kind="sgd", rate=1e30, warm_up=0.0)))


@pytest.mark.parametrize("left", [0, 7, 500])
def test_a_state_that_was_cut_short_is_refused(left, tmp_path):
    path, of = tmp_path / "state.safetensors", pretraining("simclr")
    of.save(path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(IntegrityError, match="cut short"):
        of.load(path)


def test_the_state_of_another_training_is_refused(tmp_path):
    path, of = tmp_path / "state.safetensors", pretraining("simclr")
    losses(of, until=1)
    of.save(path)
    for other in (pretraining("byol"), pretraining("simclr", encoder="vit_micro/8")):
        with pytest.raises(IntegrityError, match="another method or encoder"):
            other.load(path)
    with pytest.raises(IntegrityError, match="no saved training"):
        of.load(tmp_path / "absent")


@pytest.mark.parametrize(("steps", "kept"), [(100, [25, 50, 75, 100]), (10, [3, 5, 8, 10]), (2, [1, 2]), (1, [1])])
def test_checkpoints_are_at_the_quarters(steps, kept):
    assert Training(optimisation=ADAMW, steps=steps, batch=2, seed=0).kept() == kept


def test_the_pace_counts_images_after_the_first_step():
    pace = Pace(64)
    assert pace.left(10) == "an unknown time"
    pace.step()
    assert pace.rate == 0
    for _ in range(2):
        time.sleep(0.05)
        pace.step()
    assert 0 < pace.rate <= 64 / 0.05
    assert pace.left(0) == "0 s"
    assert pace.left(math.ceil(1000 * pace.rate / 64)) == "17 min"
