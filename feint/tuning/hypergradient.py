"""The gradient of an upper problem with respect to hyperparameters of the lower one.

Plain calculus: these functions know weights `w`, hyperparameters `v` and two losses, and never see a model or data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Weights = tuple[Tensor, ...]
Loss = Callable[[Weights, Tensor], Tensor]


class Hypergradient(NamedTuple):
    """The hypergradient (like v), the weights after the lower steps (detached), and both losses."""

    gradient: Tensor
    weights: Weights
    lower: Tensor
    upper: Tensor


def unrolled(
    lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Sequence[Tensor | float], steps: int = 1
) -> Hypergradient:
    r"""Return the second-order hypergradient through `steps` gradient steps of the lower problem.

        w' = w - alpha grad_w lower(w, v)  (`steps` times);   d upper(w'(v), v) / dv
           = d upper / dv at fixed w'  -  alpha (d/dv grad_w lower)^T grad_w' upper       (one step)

    Args:
        w: weights; v: hyperparameters (m,). Neither is changed.
        rates: alpha, one per weight tensor: a number or a tensor of the weight's shape (a diagonal preconditioner,
            taken as constant).

    Cost: memory grows with `steps`; one step costs about three times a plain gradient of each loss.
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, section 3; Finn, Abbeel, Levine (ICML 2017),
    arXiv:1703.03400. Deviations: none known.
    """
    v = v.detach().requires_grad_()
    at = tuple(each.detach().requires_grad_() for each in w)
    first = None
    for _ in range(steps):
        value = lower(at, v)
        first = value.detach() if first is None else first
        gradients = torch.autograd.grad(value, at, create_graph=True)
        at = tuple(each - rate * g for each, rate, g in zip(at, rates, gradients, strict=True))
    result = upper(at, v)
    (gradient,) = torch.autograd.grad(result, v, materialize_grads=True)
    assert first is not None
    return Hypergradient(gradient, tuple(each.detach() for each in at), first, result.detach())


def first_order(
    lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Sequence[Tensor | float], steps: int = 1
) -> Hypergradient:
    """Return the hypergradient with the weights taken as constant: only the path of `upper` through v. For ablation.

    Arguments and result as of `unrolled`; wrong wherever v acts through the trained weights.
    """
    v = v.detach().requires_grad_()
    at = tuple(each.detach().requires_grad_() for each in w)
    first = None
    for _ in range(steps):
        value = lower(at, v.detach())
        first = value.detach() if first is None else first
        gradients = torch.autograd.grad(value, at)
        at = tuple(
            (each - rate * g).detach().requires_grad_() for each, rate, g in zip(at, rates, gradients, strict=True)
        )
    result = upper(at, v)
    (gradient,) = torch.autograd.grad(result, v, materialize_grads=True)
    assert first is not None
    return Hypergradient(gradient, tuple(each.detach() for each in at), first, result.detach())
