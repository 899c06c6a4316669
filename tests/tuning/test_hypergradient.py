"""The hypergradient on a small self-tuning problem, against central differences; see also `test_contracts`."""

import pytest
import torch

from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.testing.hypergradients import QuadraticProblem
from feint.tuning.alignment import alignment_loss
from feint.tuning.hypergradient import first_order, implicit_cg, implicit_neumann, unrolled

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
    assert torch.allclose(problem.solve(first_order, 2).gradient, problem.direct(problem.trained(2)))
    wanted = problem.gradient(2)
    assert (problem.solve(first_order, 2).gradient - wanted).norm() / wanted.norm() > 0.01


def test_first_order_is_zero_where_only_the_weights_act():
    problem = QuadraticProblem.made()
    found = first_order(problem.lower, problem.upper_of_weights, problem.w, problem.v, rates=problem.rates)
    assert found.gradient.tolist() == [0.0, 0.0, 0.0]


def regularised(w, v):
    """The lower problem with one solution."""
    return lower(w, v) + 0.05 * sum((each**2).sum() for each in w)


def solved(v):
    """Return the weights that solve `regularised`, by Newton's method from W: plain linear algebra on the Hessian."""
    shapes = [each.shape for each in W]

    def split(x):
        return tuple(part.reshape(shape) for part, shape in zip(x.split([6, 2]), shapes, strict=True))

    at = unrolled(regularised, upper, W, v, rates=[1.0, 1.0], steps=60).weights
    x = torch.cat([each.flatten() for each in at])
    for _ in range(6):
        slope = torch.autograd.functional.jacobian(lambda x: regularised(split(x), v), x)
        hessian = torch.autograd.functional.hessian(lambda x: regularised(split(x), v), x)
        x = x - torch.linalg.solve(hessian, slope)
    assert slope.norm() < 1e-9
    return split(x)


def best_response_differences(step=1e-5):
    """Return the derivative of the upper loss after training to the end, anew for every v."""
    unit = torch.eye(2, dtype=torch.float64) * step
    ends = [(upper(solved(V + e), V + e) - upper(solved(V - e), V - e)) / (2 * step) for e in unit]
    return torch.stack(ends).detach()


@pytest.mark.parametrize(("method", "steps"), [(implicit_cg, 20), (implicit_neumann, 600)])
def test_implicit_equals_central_differences_of_training_to_the_end(method, steps):
    wanted = best_response_differences()
    found = method(regularised, upper, solved(V), V, rates=[1.0, 1.0], steps=steps).gradient
    assert (found - wanted).norm() / wanted.norm() < 1e-6
    direct = first_order(regularised, upper, solved(V), V, rates=[1.0, 1.0]).gradient
    assert (direct - wanted).norm() / wanted.norm() > 0.1


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_neumann_at_the_solution_is_unrolling_as_many_steps(steps):
    w, rates = solved(V), [ALPHA, torch.tensor([0.3, 1.2], dtype=torch.float64)]
    series = implicit_neumann(regularised, upper, w, V, rates=rates, steps=steps).gradient
    assert torch.allclose(series, unrolled(regularised, upper, w, V, rates=rates, steps=steps).gradient, rtol=1e-7)


@pytest.mark.parametrize("method", [implicit_cg, implicit_neumann])
def test_damping_adds_to_the_eigenvalues(method):
    problem, damping = QuadraticProblem.solved(), 0.3
    found = method(problem.lower, problem.upper, problem.w, problem.v, rates=problem.rates, steps=100, damping=damping)
    w = problem.flat(problem.w)
    inverse = torch.linalg.inv(problem.A + damping * torch.eye(5, dtype=torch.float64))
    wanted = problem.direct(w) + problem.B.T @ inverse @ problem.slope(w)
    assert torch.allclose(found.gradient, wanted, rtol=1e-9)


def test_conjugate_gradients_need_no_more_steps_than_weights():
    problem = QuadraticProblem.solved()
    for rates in (problem.rates, [1.0, 1.0], [1e-3, 7.0]):
        found = implicit_cg(problem.lower, problem.upper, problem.w, problem.v, rates=rates, steps=5)
        assert torch.allclose(found.gradient, problem.implicit(), rtol=1e-8)


def test_conjugate_gradients_stop_where_the_problem_bends_downwards():
    """What is left is one unrolled step: a Neumann series of one term."""
    problem = QuadraticProblem.solved()

    def bent(w, v):
        return problem.lower(w, v) - (problem.flat(w) ** 2).sum()

    found = implicit_cg(bent, problem.upper, problem.w, problem.v, rates=problem.rates, steps=5)
    one = implicit_neumann(bent, problem.upper, problem.w, problem.v, rates=problem.rates, steps=1)
    assert torch.allclose(found.gradient, one.gradient)
    enough = implicit_cg(bent, problem.upper, problem.w, problem.v, rates=problem.rates, steps=9, damping=2.0)
    assert torch.allclose(enough.gradient, problem.implicit(), rtol=1e-8)


@pytest.mark.parametrize("method", [unrolled, first_order, implicit_cg, implicit_neumann])
def test_no_steps_are_refused(method):
    with pytest.raises(SettingError, match="at least 1: got 0"):
        QuadraticProblem.made().solve(method, 0)


@pytest.mark.parametrize("method", [implicit_cg, implicit_neumann])
def test_negative_damping_is_refused(method):
    with pytest.raises(SettingError, match="damping must be at least 0: got -1"):
        method(lower, upper, W, V, rates=[1.0, 1.0], damping=-1)
