"""Hypergradients broken in one way each, and honest ones: of the unrolled kind, the implicit and the first-order.

A twin that names `honest` breaks whichever method it is given; its kind says which.
"""

import inspect
from functools import partial
from types import SimpleNamespace

import torch

from feint.testing import hypergradients as checks
from feint.tuning.hypergradient import Hypergradient, first_order, implicit_cg, implicit_neumann, unrolled


def by_differences(lower, upper, w, v, *, rates, steps):
    """Honest, and another way to the answer: finite differences of the whole unrolled problem."""

    def trained(v):
        at = tuple(each.detach() for each in w)
        for _ in range(steps):
            at = tuple(each.requires_grad_() for each in at)
            gradients = torch.autograd.grad(lower(at, v), at)
            at = tuple((each - rate * g).detach() for each, rate, g in zip(at, rates, gradients, strict=True))
        return at

    v = v.detach()
    eye = torch.eye(len(v), dtype=v.dtype)
    # upper and lower are quadratic, so that central differences are exact at any width.
    gradient = torch.stack([(upper(trained(v + e), v + e) - upper(trained(v - e), v - e)) / 2 for e in eye])
    at = trained(v)
    return Hypergradient(gradient, at, lower(tuple(each.detach() for each in w), v).detach(), upper(at, v).detach())


def by_inverting(lower, upper, w, v, *, rates, steps):
    """Honest, and another way to the answer: the Hessian of weights and hyperparameters together, inverted."""
    sizes, n = [each.numel() for each in w], sum(each.numel() for each in w)

    def split(x):
        return tuple(part.reshape(each.shape) for part, each in zip(x[:n].split(sizes), w, strict=True)), x[n:]

    at = torch.cat([*(each.detach().flatten() for each in w), v.detach()])
    both = torch.autograd.functional.hessian(lambda x: lower(*split(x)), at)
    slope = torch.autograd.functional.jacobian(lambda x: upper(*split(x)), at)
    gradient = slope[n:] - both[:n, n:].T @ torch.linalg.solve(both[:n, :n], slope[:n])
    return Hypergradient(gradient, split(at)[0], lower(*split(at)), upper(*split(at)))


def by_stopping_the_graph(lower, upper, w, v, *, rates, steps):
    """Honest, and another way to the answer: unrolled, through a lower problem that hides v."""
    return unrolled(lambda w, v: lower(w, v.detach()), upper, w, v, rates=rates, steps=steps)


def zero_where_unused(lower, upper, w, v, *, rates, steps):
    """The first-order ablation, with a zero where `upper` does not name v."""
    return first_order(lower, lambda w, v: upper(w, v) + 0 * v.sum(), w, v, rates=rates, steps=steps)


def one_rate_for_all(lower, upper, w, v, *, rates, steps):
    """Uses the first rate for every weight."""
    return unrolled(lower, upper, w, v, rates=[rates[0]] * len(rates), steps=steps)


def without_the_direct_path(lower, upper, w, v, *, rates, steps, honest):
    """Forgets that v moves `upper` itself."""
    found = honest(lower, upper, w, v, rates=rates, steps=steps)
    hidden = honest(lower, lambda w, at: upper(w, v.detach()) + 0 * at.sum(), w, v, rates=rates, steps=steps)
    return found._replace(gradient=hidden.gradient)


def fails_without_the_direct_path(lower, upper, w, v, *, rates, steps, honest):
    """Cannot do without v in `upper`, as autograd cannot unless asked."""
    fixed = tuple(each.detach().requires_grad_() for each in w)
    leaf = v.detach().requires_grad_()
    (direct,) = torch.autograd.grad(upper(fixed, leaf), leaf, allow_unused=True)
    found = honest(lower, upper, w, v, rates=rates, steps=steps)
    return found if direct is not None else found._replace(gradient=torch.zeros_like(v))


def truncated(lower, upper, w, v, *, rates, steps):
    """Differentiates the last 8 steps only: right for few steps, and close to the limit, but not on it."""
    if steps <= 8:
        return unrolled(lower, upper, w, v, rates=rates, steps=steps)
    before = unrolled(lower, upper, w, v, rates=rates, steps=steps - 8)
    found = unrolled(lower, upper, before.weights, v, rates=rates, steps=8)
    return found._replace(lower=before.lower)


def at_most_eight_steps(lower, upper, w, v, *, rates, steps):
    return first_order(lower, upper, w, v, rates=rates, steps=min(steps, 8))


def at_the_given_weights(lower, upper, w, v, *, rates, steps):
    """Takes the direct path before the weights are trained."""
    found = first_order(lower, upper, w, v, rates=rates, steps=steps)
    return found._replace(gradient=first_order(lower, upper, w, v, rates=[0.0] * len(w), steps=1).gradient)


def damped_unasked(lower, upper, w, v, *, rates, steps):
    """Adds to the Hessian what keeps it from ever being exact."""
    return implicit_cg(lower, upper, w, v, rates=rates, steps=steps, damping=1e-3)


def identity_for_the_inverse(lower, upper, w, v, *, rates, steps):
    """Takes the Hessian for the identity, whatever the budget."""
    return implicit_neumann(lower, upper, w, v, rates=[1.0] * len(w), steps=1)


def trained_before(lower, upper, w, v, *, rates, steps):
    """Trains the weights it was given and differentiates there: no other thing at the solution."""
    there = first_order(lower, upper, w, v, rates=rates, steps=8).weights
    found = implicit_cg(lower, upper, w, v, rates=rates, steps=steps)
    return found._replace(gradient=implicit_cg(lower, upper, there, v, rates=rates, steps=steps).gradient)


def deaf_to_its_budget(lower, upper, w, v, *, rates, steps):
    """Takes as many terms as were tried, however many are asked for, up to a great number."""
    return implicit_neumann(lower, upper, w, v, rates=rates, steps=16 if steps < 100 else steps)


def training_in_place(lower, upper, w, v, *, rates, steps, honest):
    """Commits trained weights into the ones it was given, once it has its answer."""
    found = honest(lower, upper, w, v, rates=rates, steps=steps)
    found = found._replace(weights=tuple(each.clone() for each in found.weights))
    for each, trained in zip(w, first_order(lower, upper, w, v, rates=rates, steps=2).weights, strict=True):
        each.detach().copy_(trained)
    return found


def by_backward(lower, upper, w, v, *, rates, steps, honest):
    """Leaves a gradient behind, as `loss.backward()` does."""
    found = honest(lower, upper, w, v, rates=rates, steps=steps)
    if v.requires_grad:
        (0 * v.sum()).backward()
    return found


def requiring(lower, upper, w, v, *, rates, steps, honest):
    """Marks what it was given as requiring a gradient."""
    v.requires_grad_()
    return honest(lower, upper, w, v, rates=rates, steps=steps)


def losses_exchanged(lower, upper, w, v, *, rates, steps, honest):
    found = honest(lower, upper, w, v, rates=rates, steps=steps)
    return found._replace(lower=found.upper, upper=found.lower)


def weights_not_trained(lower, upper, w, v, *, rates, steps, honest):
    return honest(lower, upper, w, v, rates=rates, steps=steps)._replace(weights=tuple(each.clone() for each in w))


def weights_trained(lower, upper, w, v, *, rates, steps, honest):
    trained = first_order(lower, upper, w, v, rates=rates, steps=steps).weights
    return honest(lower, upper, w, v, rates=rates, steps=steps)._replace(weights=trained)


def holding_the_graph(lower, upper, w, v, *, rates, steps, honest):
    found = honest(lower, upper, w, v, rates=rates, steps=steps)
    leaf = v.detach().requires_grad_()
    return found._replace(upper=found.upper + 0 * leaf.sum())


def kind(honest, *, others, twins, also):
    """Return a kind of hypergradient as `test_contracts_bite` asks for it."""

    def make(twin):
        return partial(twin, honest=honest) if "honest" in inspect.signature(twin).parameters else twin

    return SimpleNamespace(HONEST=[honest, *others], TWINS=twins, ALSO=also, make=make)


THROUGH = checks.counts_the_way_through_the_weights
THROUGH_IMPLICIT = checks.counts_the_implicit_way_through_the_weights
TRAINED, GIVEN = checks.returns_the_trained_weights_and_both_losses, checks.returns_the_given_weights_and_both_losses
CHANGING = {checks.changes_neither_weights_nor_hyperparameters: [training_in_place, by_backward, requiring]}

UNROLLED = kind(
    unrolled,
    others=[by_differences],
    twins=CHANGING | {
        checks.equals_the_closed_form: [first_order, one_rate_for_all, without_the_direct_path],
        THROUGH: [zero_where_unused, fails_without_the_direct_path],
        checks.tends_to_the_implicit_limit: [truncated],
        TRAINED: [losses_exchanged, weights_not_trained, holding_the_graph],
    },
    also={
        first_order: {THROUGH, checks.tends_to_the_implicit_limit},
        zero_where_unused: {checks.equals_the_closed_form, checks.tends_to_the_implicit_limit},
        one_rate_for_all: {THROUGH, TRAINED},
        without_the_direct_path: {checks.tends_to_the_implicit_limit},
        training_in_place: {checks.equals_the_closed_form, THROUGH, TRAINED},
    },
)  # fmt: skip

IMPLICIT = kind(
    implicit_cg,
    others=[implicit_neumann, by_inverting],
    twins=CHANGING | {
        checks.equals_the_implicit_closed_form: [
            trained_before, damped_unasked, identity_for_the_inverse, without_the_direct_path,
        ],
        THROUGH_IMPLICIT: [fails_without_the_direct_path],
        checks.tends_to_the_inverse_hessian: [deaf_to_its_budget],
        GIVEN: [losses_exchanged, weights_trained, holding_the_graph],
    },
    also={
        damped_unasked: {THROUGH_IMPLICIT, checks.tends_to_the_inverse_hessian},
        identity_for_the_inverse: {THROUGH_IMPLICIT, checks.tends_to_the_inverse_hessian},
        without_the_direct_path: {checks.tends_to_the_inverse_hessian},
        training_in_place: {checks.equals_the_implicit_closed_form, GIVEN},
    },
)  # fmt: skip

FIRST_ORDER = kind(
    first_order,
    others=[by_stopping_the_graph],
    twins=CHANGING | {
        checks.equals_the_direct_path: [unrolled, at_the_given_weights, without_the_direct_path],
        checks.tends_to_the_direct_path_at_the_solution: [at_most_eight_steps],
        TRAINED: [losses_exchanged, weights_not_trained, holding_the_graph],
    },
    also={
        unrolled: {checks.tends_to_the_direct_path_at_the_solution},
        at_the_given_weights: {checks.tends_to_the_direct_path_at_the_solution},
        without_the_direct_path: {checks.tends_to_the_direct_path_at_the_solution},
        training_in_place: {checks.equals_the_direct_path, TRAINED},
    },
)  # fmt: skip
