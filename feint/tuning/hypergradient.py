"""The gradient of an upper problem with respect to hyperparameters of the lower one, in four ways.

Plain calculus: these functions know weights `w`, hyperparameters `v` and two losses, and never see a model or data.
They are called alike, and `docs/hypergradients.md` says which is right when, and what each costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from feint.core.errors import SettingError

Weights = tuple[Tensor, ...]
Loss = Callable[[Weights, Tensor], Tensor]
Rates = Sequence[Tensor | float]


class Hypergradient(NamedTuple):
    """The hypergradient (like v), the weights after the lower steps (detached), and both losses."""

    gradient: Tensor
    weights: Weights
    lower: Tensor
    upper: Tensor


def unrolled(lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Rates, steps: int = 1) -> Hypergradient:
    r"""Return the second-order hypergradient through `steps` gradient steps of the lower problem.

        w' = w - alpha grad_w lower(w, v)  (`steps` times);   d upper(w'(v), v) / dv
           = d upper / dv at fixed w'  -  alpha (d/dv grad_w lower)^T grad_w' upper       (one step)

    Args:
        w: weights; v: hyperparameters (m,). Neither is changed.
        rates: alpha, one per weight tensor: a number or a tensor of the weight's shape (a diagonal preconditioner,
            taken as constant).

    Raises: SettingError where `steps` is below 1.
    Fails when: what counts is where the weights end, not where a few steps bring them: it is exact for its own steps
    and blind to all later ones. With several steps, where an eigenvalue of the rates times the Hessian is above 2: they
    diverge, and Adam's scaling without its momentum is often that steep.
    Cost: one step 4.3 plain steps of training, each further one 3.5 more, and memory alike (`docs/hypergradients.md`).
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, section 3; Finn, Abbeel, Levine (ICML 2017),
    arXiv:1703.03400, section 2.2. Deviations: none known.
    """
    v = v.detach().requires_grad_()
    trained, first = _trained(lower, w, v, rates=rates, steps=steps, keep_graph=True)
    return _result(upper, trained, v, first)


def first_order(lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Rates, steps: int = 1) -> Hypergradient:
    """Return the hypergradient with the weights taken as constant: only the path of `upper` through v.

    Arguments, errors and result as of `unrolled`.

    Fails when: v acts through the trained weights: it is wrong by all of that, and zero where `upper` does not name v.
    Cost: a plain gradient of `lower` per step and one of `upper`; no graph is kept from step to step.
    References: an ablation of Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033. Deviations: none known.
    """
    v = v.detach().requires_grad_()
    trained, first = _trained(lower, w, v.detach(), rates=rates, steps=steps, keep_graph=False)
    return _result(upper, trained, v, first)


def implicit_cg(
    lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Rates, steps: int = 10, damping: float = 0.0
) -> Hypergradient:
    r"""Return the hypergradient at a solution w of the lower problem, with conjugate gradients for the inverse Hessian.

        d upper(w*(v), v) / dv = d upper / dv  -  (d/dv grad_w lower)^T q,   (H + damping I) q = grad_w upper

    with H the Hessian of `lower` in w, of which only products with vectors are ever made.

    Args:
        w: weights that solve the lower problem, which are not trained further; v: hyperparameters (m,). Neither is
            changed.
        rates: the diagonal preconditioner, one per weight tensor: a number or a tensor of the weight's shape, positive.
            It changes how fast q is found, not what is found.
        steps: products of H with a vector, at most: it stops where q is exact.
        damping: added to the eigenvalues of H, so that directions flatter than it count for little.

    Returns: `weights` are the given ones, `lower` and `upper` the losses there.
    Raises: SettingError where `steps` is below 1 or `damping` below 0.
    Fails when: w is not a solution: the formula then holds for no training at all. Where H + damping I bends downwards
    (a network that is not trained out), the search stops there with the q that it has, `rates` times grad_w upper at
    the least, which is one unrolled step.
    Cost: memory of one unrolled step whatever `steps`; time of about two plain steps of training per step.
    References: Pedregosa (ICML 2016), arXiv:1602.02355, algorithm 1; Rajeswaran, Finn, Kakade, Levine (NeurIPS 2019),
    arXiv:1909.04630, lemma 1; stopping at negative curvature, Nocedal & Wright (2006), algorithm 7.1.
    Deviations: preconditioned; a number of steps in place of a tolerance.
    """
    at = _at_solution(lower, upper, w, v, rates=rates, steps=steps, damping=damping)
    q, residual = torch.zeros_like(at.slope), at.slope
    scaled = at.rates * residual
    direction, square = scaled, residual @ scaled
    for step in range(steps):
        product = at.hessian_times(direction)
        curvature = direction @ product
        if not curvature > 0:
            q = scaled if step == 0 else q
            break
        size = square / curvature
        q = q + size * direction
        residual = residual - size * product
        scaled = at.rates * residual
        before, square = square, residual @ scaled
        direction = scaled + square / before * direction
    return at.result(q)


def implicit_neumann(
    lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Rates, steps: int = 10, damping: float = 0.0
) -> Hypergradient:
    r"""Return the hypergradient at a solution w of the lower problem, with a Neumann series for the inverse Hessian.

        d upper(w*(v), v) / dv = d upper / dv  -  (d/dv grad_w lower)^T q,
        q = sum_{j < steps} (I - D (H + damping I))^j D grad_w upper,     D the diagonal matrix of the `rates`

    With as many steps and without damping, at a solution, the same as `unrolled`, whose memory it does not need.
    Arguments, result and errors as of `implicit_cg`, but for `rates`, which are the step sizes of the series.

    Fails when: w is not a solution, as `implicit_cg`; an eigenvalue of D (H + damping I) is not between 0 and 2: the
    series then diverges, as training with these rates would.
    Cost: memory of one unrolled step whatever `steps`; time of about two plain steps of training per step.
    References: Lorraine, Vicol, Duvenaud (AISTATS 2020), arXiv:1911.02590, algorithms 2 and 3.
    Deviations: a rate per weight; damping.
    """
    at = _at_solution(lower, upper, w, v, rates=rates, steps=steps, damping=damping)
    term = at.rates * at.slope
    q = term
    for _ in range(steps - 1):
        term = term - at.rates * at.hessian_times(term)
        q = q + term
    return at.result(q)


def _trained(
    lower: Loss, w: Weights, v: Tensor, *, rates: Rates, steps: int, keep_graph: bool
) -> tuple[Weights, Tensor]:
    """Return the weights after `steps` gradient steps, and `lower` before the first."""
    _check_steps(steps)
    at = tuple(each.detach().requires_grad_() for each in w)
    losses = []
    for _ in range(steps):
        loss = lower(at, v)
        gradients = torch.autograd.grad(loss, at, create_graph=keep_graph)
        at = tuple(each - rate * g for each, rate, g in zip(at, rates, gradients, strict=True))
        if not keep_graph:
            at = tuple(each.detach().requires_grad_() for each in at)
        losses.append(loss.detach())
    return at, losses[0]


def _result(upper: Loss, at: Weights, v: Tensor, first: Tensor) -> Hypergradient:
    result = upper(at, v)
    (gradient,) = torch.autograd.grad(result, v, materialize_grads=True)
    return Hypergradient(gradient, tuple(each.detach() for each in at), first, result.detach())


@dataclass(frozen=True, kw_only=True)
class _Solution:
    """Both problems to second order around weights w: all that the implicit function theorem asks for.

    `leaves` are w and v as the leaves of the graph of `gradients` (of `lower` in w); `slope` (grad_w upper) and `rates`
    are vectors as long as all weights together.
    """

    leaves: tuple[Weights, Tensor]
    gradients: Weights
    slope: Tensor
    rates: Tensor
    damping: float
    found: Hypergradient

    def hessian_times(self, p: Tensor) -> Tensor:
        """Return (H + damping I) p."""
        weights, _ = self.leaves
        product = torch.autograd.grad(self._along(p), weights, retain_graph=True, materialize_grads=True)
        return _flat(product) + self.damping * p

    def result(self, q: Tensor) -> Hypergradient:
        """Return the hypergradient: the direct path less (d/dv grad_w lower)^T q."""
        _, v = self.leaves
        (through,) = torch.autograd.grad(self._along(q), v, materialize_grads=True)
        return self.found._replace(gradient=self.found.gradient - through)

    def _along(self, p: Tensor) -> Tensor:
        """Return grad_w lower times p, a number with a graph."""
        parts: Weights = torch.split(p, [each.numel() for each in self.gradients])
        return torch.stack([g.flatten() @ part for g, part in zip(self.gradients, parts, strict=True)]).sum()


def _at_solution(
    lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Rates, steps: int, damping: float
) -> _Solution:
    _check_steps(steps)
    if damping < 0:
        raise SettingError(f"damping must be at least 0: got {damping}.")
    v = v.detach().requires_grad_()
    at = tuple(each.detach().requires_grad_() for each in w)
    above = upper(at, v)
    direct, *slope = torch.autograd.grad(above, (v, *at), materialize_grads=True)
    below = lower(at, v)
    return _Solution(
        leaves=(at, v),
        gradients=torch.autograd.grad(below, at, create_graph=True),
        slope=_flat(slope),
        rates=_flat([torch.as_tensor(rate).to(each).expand_as(each) for rate, each in zip(rates, w, strict=True)]),
        damping=damping,
        found=Hypergradient(direct, tuple(each.detach() for each in w), below.detach(), above.detach()),
    )


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten() for each in tensors])


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise SettingError(f"steps must be at least 1: got {steps}.")
