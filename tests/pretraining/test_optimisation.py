"""The schedule, the two optimisers, and that what they remember survives being saved."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from feint.core.errors import IntegrityError, SettingError
from feint.pretraining.optimisation import Optimisation, load_optimiser_state, optimiser_state, usual

KINDS = [Optimisation(rate=0.1), Optimisation(kind="sgd", rate=0.1)]


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))


def descend(weights: nn.Module, optimiser: torch.optim.Optimizer, how: Optimisation, steps: range) -> None:
    for step in steps:
        optimiser.zero_grad()
        weights(torch.ones(2, 3) * (step + 1)).square().mean().backward()
        how.step(optimiser, step=step, steps=10)


@given(st.integers(1, 200), st.floats(0, 1))
def test_the_rate_rises_in_a_line_and_falls_in_a_cosine(steps, warm_up):
    how = Optimisation(rate=2.0, warm_up=warm_up)
    rates = [how.at(step, steps) for step in range(steps)]
    rising = math.ceil(warm_up * steps)
    assert rates[:rising] == pytest.approx([2.0 * (i + 1) / rising for i in range(rising)])
    falling = steps - rising
    assert rates[rising:] == pytest.approx([1 + math.cos(math.pi * i / falling) for i in range(falling)])
    assert all(0 < rate <= 2.0 for rate in rates)


def test_the_warm_up_ends_at_the_peak():
    assert max(Optimisation(rate=1.0).at(step, 100) for step in range(100)) == 1.0
    assert Optimisation(rate=1.0).at(4, 100) == 1.0


@pytest.mark.parametrize("how", KINDS, ids=lambda how: how.kind)
def test_a_step_is_that_of_torch(how):
    ours, theirs = network(), network()
    descend(ours, how.optimiser(ours.parameters()), how, range(5))
    reference = (
        torch.optim.SGD(theirs.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-4)
        if how.kind == "sgd"
        else torch.optim.AdamW(theirs.parameters(), lr=1.0, betas=(0.9, 0.999), weight_decay=1e-4)
    )
    for step in range(5):
        reference.param_groups[0]["lr"] = how.at(step, 10)
        reference.zero_grad()
        theirs(torch.ones(2, 3) * (step + 1)).square().mean().backward()
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_gradients_are_clipped_together():
    how = Optimisation(kind="sgd", rate=1.0, weight_decay=0.0, warm_up=0.0, clip=0.5)
    weights = network()
    before = torch.cat([each.detach().flatten().clone() for each in weights.parameters()])
    descend(weights, how.optimiser(weights.parameters()), how, range(1))
    moved = torch.cat([each.detach().flatten() for each in weights.parameters()]) - before
    assert float(moved.norm()) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("how", KINDS, ids=lambda how: how.kind)
def test_the_state_survives(how):
    whole, first, second = network(), network(), network()
    descend(whole, how.optimiser(whole.parameters()), how, range(6))
    optimiser = how.optimiser(first.parameters())
    descend(first, optimiser, how, range(3))
    kept = {name: value.clone() for name, value in optimiser_state(optimiser).items()}
    second.load_state_dict(first.state_dict())
    other = how.optimiser(second.parameters())
    load_optimiser_state(other, kept)
    descend(second, other, how, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_the_state_of_other_weights_is_refused():
    how, weights = KINDS[0], network()
    optimiser = how.optimiser(weights.parameters())
    descend(weights, optimiser, how, range(1))
    for other in (nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 4), nn.Linear(2, 1))):
        with pytest.raises(IntegrityError, match="another training"):
            load_optimiser_state(how.optimiser(other.parameters()), optimiser_state(optimiser))


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": -1.0}, {"rate": math.nan}, {"weight_decay": -0.1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(SettingError, match="above 0"):
        Optimisation(**wrong)


def test_each_encoder_has_its_usual_optimisation():
    assert usual("vit_tiny/8", batch=64).clip == 3.0
    assert usual("resnet18", batch=256).rate == pytest.approx(0.12)
    assert usual("resnet8", batch=256) == usual("vit_micro", batch=8) == Optimisation()
