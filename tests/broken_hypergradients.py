"""Hypergradients broken in one way each, and two honest ones."""

import torch

from feint.testing import hypergradients as checks
from feint.tuning.hypergradient import Hypergradient, first_order, unrolled


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


def zero_where_unused(lower, upper, w, v, *, rates, steps):
    """The first-order ablation, with a zero where `upper` does not name v."""
    return first_order(lower, lambda w, v: upper(w, v) + 0 * v.sum(), w, v, rates=rates, steps=steps)


def one_rate_for_all(lower, upper, w, v, *, rates, steps):
    """Uses the first rate for every weight."""
    return unrolled(lower, upper, w, v, rates=[rates[0]] * len(rates), steps=steps)


def without_the_direct_path(lower, upper, w, v, *, rates, steps):
    """Forgets that v moves `upper` itself."""
    found = unrolled(lower, upper, w, v, rates=rates, steps=steps)
    return found._replace(gradient=unrolled(lower, lambda w, _: upper(w, v), w, v, rates=rates, steps=steps).gradient)


def fails_without_the_direct_path(lower, upper, w, v, *, rates, steps):
    """Cannot do without v in `upper`, as autograd cannot unless asked."""
    fixed = tuple(each.detach().requires_grad_() for each in w)
    leaf = v.detach().requires_grad_()
    (direct,) = torch.autograd.grad(upper(fixed, leaf), leaf, allow_unused=True)
    found = unrolled(lower, upper, w, v, rates=rates, steps=steps)
    return found if direct is not None else found._replace(gradient=torch.zeros_like(v))


def truncated(lower, upper, w, v, *, rates, steps):
    """Differentiates the last 8 steps only: right for few steps, and close to the limit, but not on it."""
    if steps <= 8:
        return unrolled(lower, upper, w, v, rates=rates, steps=steps)
    before = unrolled(lower, upper, w, v, rates=rates, steps=steps - 8)
    found = unrolled(lower, upper, before.weights, v, rates=rates, steps=8)
    return found._replace(lower=before.lower)


def training_in_place(lower, upper, w, v, *, rates, steps):
    """Commits the trained weights into the ones it was given."""
    found = unrolled(lower, upper, w, v, rates=rates, steps=steps)
    for each, trained in zip(w, found.weights, strict=True):
        each.detach().copy_(trained)
    return found


def by_backward(lower, upper, w, v, *, rates, steps):
    """Leaves a gradient behind, as `loss.backward()` does."""
    found = unrolled(lower, upper, w, v, rates=rates, steps=steps)
    if v.requires_grad:
        (0 * v.sum()).backward()
    return found


def requiring(lower, upper, w, v, *, rates, steps):
    """Marks what it was given as requiring a gradient."""
    v.requires_grad_()
    return unrolled(lower, upper, w, v, rates=rates, steps=steps)


def losses_exchanged(lower, upper, w, v, *, rates, steps):
    found = unrolled(lower, upper, w, v, rates=rates, steps=steps)
    return found._replace(lower=found.upper, upper=found.lower)


def weights_not_trained(lower, upper, w, v, *, rates, steps):
    return unrolled(lower, upper, w, v, rates=rates, steps=steps)._replace(weights=tuple(each.clone() for each in w))


def holding_the_graph(lower, upper, w, v, *, rates, steps):
    found = unrolled(lower, upper, w, v, rates=rates, steps=steps)
    leaf = v.detach().requires_grad_()
    return found._replace(upper=found.upper + 0 * leaf.sum())


def make(twin):
    """Return the method of a twin: itself."""
    return twin


HONEST = [unrolled, by_differences]
TWINS = {
    checks.equals_the_closed_form: [first_order, one_rate_for_all, without_the_direct_path],
    checks.counts_the_way_through_the_weights: [zero_where_unused, fails_without_the_direct_path],
    checks.tends_to_the_implicit_limit: [truncated],
    checks.changes_neither_weights_nor_hyperparameters: [training_in_place, by_backward, requiring],
    checks.returns_the_trained_weights_and_both_losses: [losses_exchanged, weights_not_trained, holding_the_graph],
}
ALSO = {
    first_order: {checks.counts_the_way_through_the_weights, checks.tends_to_the_implicit_limit},
    zero_where_unused: {checks.equals_the_closed_form, checks.tends_to_the_implicit_limit},
    one_rate_for_all: {checks.counts_the_way_through_the_weights, checks.returns_the_trained_weights_and_both_losses},
    without_the_direct_path: {checks.tends_to_the_implicit_limit},
    training_in_place: {
        checks.equals_the_closed_form, checks.counts_the_way_through_the_weights,
        checks.returns_the_trained_weights_and_both_losses,
    },
}  # fmt: skip
