"""The hypergradient on a small self-tuning problem, against central differences; see also `test_contracts`."""

import pytest
import torch

from feint.core.streams import stream
from feint.testing.hypergradients import QuadraticProblem
from feint.tuning.alignment import alignment_loss
from feint.tuning.hypergradient import first_order, unrolled

ALPHA = 1.0
chance = stream(0, "toy")


def normal(*shape):
    return torch.randn(*shape, generator=chance, dtype=torch.float64)


X, CLEAN, CHANGED = normal(12, 3), normal(10, 3), normal(10, 3)
POOL = torch.cat([normal(6, 3), normal(6, 3) + 1.5])
INNER, OUTER = normal(12, 3).abs(), normal(10, 3).abs()
W = (normal(3, 2), normal(2))
V = torch.tensor([0.8, -0.5], dtype=torch.float64)


def augmented(x, u, v):
    """Two learnable strengths, one of them not linear."""
    return x + v[0] * u + torch.sin(v[1] * x)


def lower(w, v):
    """Logistic loss of a tanh embedding, fixed draws."""
    logits = torch.cat([torch.tanh(X @ w[0]) @ w[1], torch.tanh(augmented(X, INNER, v) @ w[0]) @ w[1]])
    target = torch.cat([torch.zeros(12), torch.ones(12)]).double()
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)


def upper(w, v):
    return alignment_loss(*(torch.tanh(z @ w[0]) for z in (CLEAN, augmented(CHANGED, OUTER, v), POOL)))


def central_differences(steps, step=1e-5):
    """Return the derivative of the upper loss after plain training, without autograd through it."""

    def trained_loss(v):
        w = W
        for _ in range(steps):
            at = tuple(each.clone().requires_grad_() for each in w)
            w = tuple(x.detach() - ALPHA * g for x, g in zip(at, torch.autograd.grad(lower(at, v), at), strict=True))
        return float(upper(w, v))

    unit = torch.eye(2, dtype=torch.float64) * step
    return torch.tensor([(trained_loss(V + e) - trained_loss(V - e)) / (2 * step) for e in unit], dtype=torch.float64)


def off(method, steps, *, low=lower):
    wanted = central_differences(steps)
    found = method(low, upper, W, V, rates=[ALPHA, ALPHA], steps=steps).gradient
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("steps", [1, 3])
def test_second_order_equals_central_differences(steps):
    assert off(unrolled, steps) < 1e-6


@pytest.mark.parametrize("steps", [1, 3])
def test_first_order_does_not(steps):
    assert off(first_order, steps) > 0.01


@pytest.mark.parametrize("steps", [1, 3])
def test_pseudo_anomalies_made_without_gradient_make_it_first_order(steps):
    """The trap of the public code of a successor paper: a differentiable inner loop around a detached augmentation."""
    assert off(unrolled, steps, low=lambda w, v: lower(w, v.detach())) > 0.01
    detached = unrolled(lambda w, v: lower(w, v.detach()), upper, W, V, rates=[ALPHA, ALPHA], steps=steps)
    ablation = first_order(lower, upper, W, V, rates=[ALPHA, ALPHA], steps=steps)
    assert torch.allclose(detached.gradient, ablation.gradient, rtol=1e-12)


def test_at_a_small_rate_first_order_is_nearly_right():
    """Why the tests above take a large one."""
    rates = [1e-4, 1e-4]
    a, b = (method(lower, upper, W, V, rates=rates, steps=1).gradient for method in (unrolled, first_order))
    assert (a - b).norm() / a.norm() < 1e-3


@pytest.mark.parametrize("steps", [1, 3])
def test_first_order_trains_the_same_weights_and_reports_the_same_losses(steps):
    problem = QuadraticProblem.made()
    a, b = problem.solve(unrolled, steps), problem.solve(first_order, steps)
    assert all(map(torch.allclose, a.weights, b.weights))
    assert a.upper.item() == pytest.approx(b.upper.item())
    assert a.lower.item() == pytest.approx(b.lower.item())


def test_first_order_on_the_quadratic_problem_is_the_direct_path():
    problem = QuadraticProblem.made()
    assert torch.allclose(problem.solve(first_order, 2).gradient, problem.v - problem.s)
    wanted = problem.gradient(2)
    assert (problem.solve(first_order, 2).gradient - wanted).norm() / wanted.norm() > 0.01


def test_first_order_is_zero_where_only_the_weights_act():
    problem = QuadraticProblem.made()
    found = first_order(problem.lower, problem.upper_of_weights, problem.w, problem.v, rates=problem.rates)
    assert found.gradient.tolist() == [0.0, 0.0, 0.0]
