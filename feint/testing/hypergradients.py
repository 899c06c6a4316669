r"""What every hypergradient promises, on a problem whose answer is known in closed form.

    lower(w, v) = 1/2 w^T A w - w^T (B v + b),   A symmetric, positive definite
    upper(w, v) = 1/2 || w - t ||^2 + 1/2 || v - s ||^2 + w^T C v

A gradient step with the diagonal rates D is w <- M w + D (B v + b) with M = I - D A, so that after K of them

    w_K = w* + M^K (w_0 - w*),   w* = A^-1 (B v + b),   dw_K / dv = (I - M^K) A^-1 B
    direct(w) = v - s + C^T w,   slope(w) = w - t + C v
    unrolled:    d upper / dv = direct(w_K) + (dw_K / dv)^T slope(w_K)
    first order: d upper / dv = direct(w_K)
    implicit:    d upper / dv = direct(w_0) + (A^-1 B)^T slope(w_0),   right for training where w_0 = w*

There is a tuple of checks for each of the three. All in float64. The weights are two tensors of different shapes, each
with its own rate, one a number, one a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from feint.core.streams import stream
from feint.testing.promises import promise
from feint.tuning.hypergradient import Hypergradient, Loss, Weights

WEIGHTS, HYPERPARAMETERS = 5, 3
TOLERANCE = 1e-10
ENOUGH = 200


class HypergradientMethod(Protocol):
    """A function like those of `feint.tuning.hypergradient`."""

    def __call__(
        self, lower: Loss, upper: Loss, w: Weights, v: Tensor, *, rates: Sequence[Tensor | float], steps: int
    ) -> Hypergradient: ...


HypergradientCheck = Callable[[HypergradientMethod], None]


def equals_the_closed_form(method: HypergradientMethod) -> None:
    """The gradient after 1, 2, 3 and 8 steps is that of the closed form, at rates near 1 where errors show."""
    problem = QuadraticProblem.made()
    for steps in (1, 2, 3, 8):
        error = _apart(problem.solve(method, steps).gradient, problem.gradient(steps))
        promise(error < TOLERANCE, f"after {steps} steps the hypergradient is off by {error:.2g} of its length.")


def equals_the_direct_path(method: HypergradientMethod) -> None:
    """The gradient after 1, 2, 3 and 8 steps is that of the upper problem at the trained weights held fixed."""
    problem = QuadraticProblem.made()
    for steps in (1, 2, 3, 8):
        error = _apart(problem.solve(method, steps).gradient, problem.direct(problem.trained(steps)))
        promise(error < TOLERANCE, f"after {steps} steps it is off the direct path by {error:.2g} of its length.")


def equals_the_implicit_closed_form(method: HypergradientMethod) -> None:
    """With steps enough the gradient is that of the implicit function theorem, at the solution and beside it."""
    for place, problem in (("at", QuadraticProblem.solved()), ("beside", QuadraticProblem.made())):
        error = _apart(problem.solve(method, ENOUGH).gradient, problem.implicit())
        promise(error < TOLERANCE, f"{place} the solution the hypergradient is off by {error:.2g} of its length.")


def counts_the_way_through_the_weights(method: HypergradientMethod) -> None:
    """Where `upper` does not name v at all, the gradient is that through the trained weights alone."""
    problem = replace(QuadraticProblem.made(), C=torch.zeros(WEIGHTS, HYPERPARAMETERS, dtype=torch.float64))
    found = method(problem.lower, problem.upper_of_weights, problem.w, problem.v, rates=problem.rates, steps=2)
    error = _apart(found.gradient, problem.gradient(2) - (problem.v - problem.s))
    promise(error < TOLERANCE, f"the part of the gradient through the weights is off by {error:.2g} of its length.")


def counts_the_implicit_way_through_the_weights(method: HypergradientMethod) -> None:
    """Where `upper` does not name v at all, the gradient is that through the solution alone."""
    problem = replace(QuadraticProblem.solved(), C=torch.zeros(WEIGHTS, HYPERPARAMETERS, dtype=torch.float64))
    found = method(problem.lower, problem.upper_of_weights, problem.w, problem.v, rates=problem.rates, steps=ENOUGH)
    error = _apart(found.gradient, problem.implicit() - (problem.v - problem.s))
    promise(error < TOLERANCE, f"the part of the gradient through the solution is off by {error:.2g} of its length.")


def tends_to_the_implicit_limit(method: HypergradientMethod) -> None:
    """With more steps the gradient comes ever closer to that of the exact solution of the lower problem."""
    _tends(method, QuadraticProblem.made(), QuadraticProblem.solved().implicit(), "the implicit limit")


def tends_to_the_direct_path_at_the_solution(method: HypergradientMethod) -> None:
    """With more steps the gradient comes ever closer to the direct path at the solution of the lower problem."""
    problem = QuadraticProblem.made()
    _tends(method, problem, problem.direct(problem.solution()), "the direct path at the solution")


def tends_to_the_inverse_hessian(method: HypergradientMethod) -> None:
    """With more steps the gradient at the solution comes ever closer to that with the exact inverse."""
    problem = QuadraticProblem.solved()
    _tends(method, problem, problem.implicit(), "the exact inverse")


def changes_neither_weights_nor_hyperparameters(method: HypergradientMethod) -> None:
    """Both keep their values, collect no gradient and are not made to require one."""
    problem = QuadraticProblem.made()
    given = (*problem.w, problem.v)
    before = [each.clone() for each in given]
    problem.solve(method, 3)
    promise(all(map(torch.equal, given, before)), "the weights or the hyperparameters were written into.")
    promise(not any(each.requires_grad for each in given), "the weights or the hyperparameters now require a gradient.")
    leaves = [each.clone().requires_grad_() for each in given]
    method(problem.lower, problem.upper, tuple(leaves[:-1]), leaves[-1], rates=problem.rates, steps=3)
    promise(all(each.grad is None for each in leaves), "a gradient was left in the weights or the hyperparameters.")


def returns_the_trained_weights_and_both_losses(method: HypergradientMethod) -> None:
    """`weights` are w_K, `upper` the loss there, `lower` that before the first step; none holds on to a graph."""
    problem = QuadraticProblem.made()
    _returns(problem.solve(method, 3), problem, problem.trained(3), "those after the steps")


def returns_the_given_weights_and_both_losses(method: HypergradientMethod) -> None:
    """`weights` are those given, `lower` and `upper` the losses there; none holds on to a graph."""
    problem = QuadraticProblem.made()
    _returns(problem.solve(method, 3), problem, problem.flat(problem.w), "those given")


UNROLLED_CHECKS: tuple[HypergradientCheck, ...] = (
    equals_the_closed_form,
    counts_the_way_through_the_weights,
    tends_to_the_implicit_limit,
    changes_neither_weights_nor_hyperparameters,
    returns_the_trained_weights_and_both_losses,
)

IMPLICIT_CHECKS: tuple[HypergradientCheck, ...] = (
    equals_the_implicit_closed_form,
    counts_the_implicit_way_through_the_weights,
    tends_to_the_inverse_hessian,
    changes_neither_weights_nor_hyperparameters,
    returns_the_given_weights_and_both_losses,
)

FIRST_ORDER_CHECKS: tuple[HypergradientCheck, ...] = (
    equals_the_direct_path,
    tends_to_the_direct_path_at_the_solution,
    changes_neither_weights_nor_hyperparameters,
    returns_the_trained_weights_and_both_losses,
)


@dataclass(frozen=True, kw_only=True)
class QuadraticProblem:
    """The bilevel problem of this file, with its solutions in closed form."""

    A: Tensor
    B: Tensor
    C: Tensor
    b: Tensor
    t: Tensor
    s: Tensor
    D: Tensor
    v: Tensor
    w: Weights

    @classmethod
    def made(cls) -> QuadraticProblem:
        """Return one with eigenvalues of A between 0.4 and 1.4 and rates 1 and about 0.9: steps of full size."""
        chance = stream(0, "testing", "quadratic")

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=chance, dtype=torch.float64)

        Q, _ = torch.linalg.qr(normal(WEIGHTS, WEIGHTS))
        A = Q @ torch.diag(torch.linspace(0.4, 1.4, WEIGHTS, dtype=torch.float64)) @ Q.T
        D = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.9], dtype=torch.float64)
        w0 = normal(WEIGHTS)
        return cls(
            A=A, B=normal(WEIGHTS, HYPERPARAMETERS), b=normal(WEIGHTS), t=normal(WEIGHTS), s=normal(HYPERPARAMETERS),
            D=D, v=normal(HYPERPARAMETERS), w=cls.split(w0), C=normal(WEIGHTS, HYPERPARAMETERS),
        )  # fmt: skip

    @classmethod
    def solved(cls) -> QuadraticProblem:
        """Return the same with weights that solve the lower problem."""
        problem = cls.made()
        return replace(problem, w=cls.split(problem.solution()))

    @property
    def rates(self) -> list[Tensor | float]:
        """One rate per weight tensor."""
        return [1.0, self.D[2:]]

    @staticmethod
    def flat(w: Weights) -> Tensor:
        """Return the weights as one vector."""
        return torch.cat([each.flatten() for each in w])

    @staticmethod
    def split(w: Tensor) -> Weights:
        """Return a vector as the tensors of the weights."""
        return w[:2].reshape(2, 1), w[2:]

    def lower(self, w: Weights, v: Tensor) -> Tensor:
        """Return 1/2 w^T A w - w^T (B v + b)."""
        x = self.flat(w)
        return x @ self.A @ x / 2 - x @ (self.B @ v + self.b)

    def upper(self, w: Weights, v: Tensor) -> Tensor:
        """Return 1/2 ||w - t||^2 + 1/2 ||v - s||^2 + w^T C v."""
        return self.upper_of_weights(w, v) + ((v - self.s) ** 2).sum() / 2 + self.flat(w) @ self.C @ v

    def upper_of_weights(self, w: Weights, v: Tensor) -> Tensor:  # noqa: ARG002
        """Return 1/2 ||w - t||^2, which v moves only through w."""
        return ((self.flat(w) - self.t) ** 2).sum() / 2

    def solve(self, method: HypergradientMethod, steps: int) -> Hypergradient:
        """Return what `method` makes of this problem."""
        return method(self.lower, self.upper, self.w, self.v, rates=self.rates, steps=steps)

    def solution(self) -> Tensor:
        """Return w*, the exact solution of the lower problem."""
        solution: Tensor = torch.linalg.solve(self.A, self.B @ self.v + self.b)
        return solution

    def trained(self, steps: int) -> Tensor:
        """Return w_K."""
        return self.solution() + self._power(steps) @ (self.flat(self.w) - self.solution())

    def gradient(self, steps: int) -> Tensor:
        """Return d upper(w_K(v), v) / dv."""
        identity = torch.eye(WEIGHTS, dtype=torch.float64)
        response: Tensor = (identity - self._power(steps)) @ torch.linalg.solve(self.A, self.B)
        return self.direct(self.trained(steps)) + response.T @ self.slope(self.trained(steps))

    def implicit(self) -> Tensor:
        """Return what the implicit function theorem says at the given weights, as if they were the solution."""
        response: Tensor = torch.linalg.solve(self.A, self.B)
        return self.direct(self.flat(self.w)) + response.T @ self.slope(self.flat(self.w))

    def direct(self, w: Tensor) -> Tensor:
        """Return d upper / dv at fixed weights, a vector."""
        return self.v - self.s + self.C.T @ w

    def slope(self, w: Tensor) -> Tensor:
        """Return d upper / dw."""
        return w - self.t + self.C @ self.v

    def _power(self, steps: int) -> Tensor:
        M = torch.eye(WEIGHTS, dtype=torch.float64) - torch.diag(self.D) @ self.A
        power: Tensor = torch.linalg.matrix_power(M, steps)
        return power


def _tends(method: HypergradientMethod, problem: QuadraticProblem, wanted: Tensor, what: str) -> None:
    errors = [_apart(problem.solve(method, steps).gradient, wanted) for steps in (1, 4, 16, 64)]
    sinking = all(after < before / 2 or after < TOLERANCE for before, after in pairwise(errors))
    promise(
        sinking and errors[-1] < 1e-6,
        f"after 1, 4, 16, 64 steps it is off {what} by {', '.join(f'{e:.2g}' for e in errors)}.",
    )


def _returns(found: Hypergradient, problem: QuadraticProblem, w: Tensor, whose: str) -> None:
    results = (found.gradient, *found.weights, found.upper, found.lower)
    promise(not any(each.requires_grad for each in results), "a result holds on to its graph: detach it.")
    promise(_apart(problem.flat(found.weights), w) < TOLERANCE, f"the weights returned are not {whose}.")
    upper = float(problem.upper(problem.split(w), problem.v).detach())
    promise(abs(float(found.upper) - upper) < TOLERANCE, f"upper is {float(found.upper):.6g}: want {upper:.6g}.")
    lower = float(problem.lower(problem.w, problem.v).detach())
    promise(abs(float(found.lower) - lower) < TOLERANCE, f"lower is {float(found.lower):.6g}: want {lower:.6g}.")


def _apart(found: Tensor, wanted: Tensor) -> float:
    """Return the distance as a share of the wanted vector's length."""
    return float(((found - wanted).norm() / wanted.norm()).detach())
