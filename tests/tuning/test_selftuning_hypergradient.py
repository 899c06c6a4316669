"""The tuner's hypergradient, through the detector's update and through the augmentation, against differences."""

from dataclasses import replace

import pytest
import torch
from small_tuning import CUTDIFF_AT, NORMAL, POOL, STARTS, TINY
from torch import nn

from feint.augmentations import CutDiff
from feint.tuning.hypergradient import unrolled
from feint.tuning.selftuning import _adam, _Start


class Smooth(nn.Module):
    """A classifier without kinks, so that differences are exact to many digits."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(360, 6)
        self.head = nn.Linear(6, 1)

    def forward(self, images):
        embeddings = torch.tanh(self.inside(images.flatten(1) - 0.5))
        return embeddings, self.head(embeddings)[:, 0]


def in_double(recipe, augmentation, network=None):
    """Return a start that computes in float64."""
    start = _Start(recipe, NORMAL, POOL, augmentation, seed=0)
    if network is not None:
        start.network = network
        start.optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate)
    start.network.double()
    batch = start._batch
    start._batch = lambda images, n: batch(images, n).double()
    return start


def smooth():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Smooth()


def off(start, rho, *, order="second", step=1e-5):
    """Return how far the hypergradient is from central differences with the same images and noise."""
    chance = start.chance.get_state()

    def at(value):
        start.chance.set_state(chance)
        return start.hypergradient(value)

    start.recipe = replace(start.recipe, order="second")
    unit = torch.eye(len(rho), dtype=torch.float64) * step
    wanted = torch.stack([(at(rho + e).upper - at(rho - e).upper) / (2 * step) for e in unit])
    start.recipe = replace(start.recipe, order=order)
    return float((at(rho).gradient - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(("augmentation", "values"), STARTS)
def test_hypergradient_equals_central_differences(augmentation, values):
    start = in_double(replace(TINY, rate=1.0), augmentation, smooth())
    assert off(start, augmentation.free(values).double()) < 1e-6


@pytest.mark.parametrize(("augmentation", "values"), STARTS)
def test_the_first_order_variant_does_not(augmentation, values):
    start = in_double(replace(TINY, rate=1.0), augmentation, smooth())
    assert off(start, augmentation.free(values).double(), order="first") > 0.01


@pytest.mark.parametrize(("augmentation", "values"), STARTS)
def test_hypergradient_of_the_real_encoder_with_adams_step_sizes(augmentation, values):
    """ReLUs switch within the difference's width, so fewer digits agree."""
    start, rho = in_double(replace(TINY, rate=0.01), augmentation), augmentation.free(values).double()
    for _ in range(5):
        start._plain_step(rho)
    assert off(start, rho, step=1e-6) < 1e-3


@pytest.mark.parametrize(("augmentation", "values"), STARTS)
def test_every_magnitude_moves_the_trained_weights(augmentation, values):
    """d(sum theta') / da: zero in code whose inner augmentation is made without gradient."""
    start = _Start(TINY, NORMAL, POOL, augmentation, seed=0)
    images = start._batch(NORMAL, 8)
    noise = augmentation.draw(images, generator=start.chance)
    weights = tuple(start.network.parameters())
    found = unrolled(
        lambda w, v: start._lower(images, noise, w, v),
        lambda w, _: sum(each.sum() for each in w),
        weights,
        augmentation.free(values),
        rates=[1.0] * len(weights),
    )
    assert (found.gradient.abs() > 1e-6).all()


def test_a_hypergradient_leaves_the_detector_as_it_was():
    start = _Start(TINY, NORMAL, POOL, CutDiff(), seed=0)
    before = [p.clone() for p in start.network.parameters()]
    start.hypergradient(CutDiff().free(CUTDIFF_AT))
    assert all(map(torch.equal, before, start.network.parameters()))
    assert all(p.grad is None for p in start.network.parameters())


def test_the_lower_step_has_adams_size_for_every_weight():
    """Under a constant gradient of whatever size, Adam moves a weight by its rate."""
    start = _Start(TINY, NORMAL, POOL, CutDiff(), seed=0)
    assert start._scaled_rates() == [TINY.rate] * len(list(start.network.parameters()))
    sizes = [10.0 ** (i % 5 - 1) for i, _ in enumerate(start.network.parameters())]
    for _ in range(5):
        for weight, size in zip(start.network.parameters(), sizes, strict=True):
            weight.grad = torch.full_like(weight, size)
        start.optimiser.step()
    moves = torch.stack([(rate * size).mean() for rate, size in zip(start._scaled_rates(), sizes, strict=True)])
    assert torch.allclose(moves, torch.full_like(moves, TINY.rate), rtol=2e-3)


def test_adam_equals_torchs():
    rho = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    leaf = rho.clone().requires_grad_()
    optimiser = torch.optim.Adam([leaf], lr=0.05, betas=(0.9, 0.99), eps=1e-12)
    moments = [torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)]
    for update in range(20):
        gradient = torch.sin(3 * rho + update)
        leaf.grad = gradient.clone()
        optimiser.step()
        rho = _adam(rho, gradient, moments, update, torch.full((3,), 0.05, dtype=torch.float64))
        assert torch.allclose(rho, leaf.detach(), rtol=1e-9)
