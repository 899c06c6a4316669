r"""What every hypergradient promises, on a problem whose answer is known in closed form.

    lower(w, v) = 1/2 w^T A w - w^T (B v + b),   A symmetric, positive definite
    upper(w, v) = 1/2 || w - t ||^2 + 1/2 || v - s ||^2

A gradient step with the diagonal rates D is w <- M w + D (B v + b) with M = I - D A, so that after K of them

    w_K = w* + M^K (w_0 - w*),   w* = A^-1 (B v + b),   dw_K / dv = (I - M^K) A^-1 B
    d upper / dv = (dw_K / dv)^T (w_K - t) + v - s,   with the implicit limit B^T A^-1 (w* - t) + v - s

All in float64. The weights are two tensors of different shapes, each with its own rate, one a number, one a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from feint.core.streams import stream
from feint.testing.promises import promise
from feint.tuning.hypergradient import Hypergradient, Loss, Weights

WEIGHTS, HYPERPARAMETERS = 5, 3
TOLERANCE = 1e-10


class HypergradientMethod(Protocol):
    """A function like `feint.tuning.hypergradient.unrolled`."""

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


def counts_the_way_through_the_weights(method: HypergradientMethod) -> None:
    """Where `upper` does not name v at all, the gradient is that through the trained weights alone."""
    problem = QuadraticProblem.made()
    found = method(problem.lower, problem.upper_of_weights, problem.w, problem.v, rates=problem.rates, steps=2)
    error = _apart(found.gradient, problem.gradient(2) - (problem.v - problem.s))
    promise(error < TOLERANCE, f"the part of the gradient through the weights is off by {error:.2g} of its length.")


def tends_to_the_implicit_limit(method: HypergradientMethod) -> None:
    """With more steps the gradient comes ever closer to that of the exact solution of the lower problem."""
    problem = QuadraticProblem.made()
    errors = [_apart(problem.solve(method, steps).gradient, problem.limit()) for steps in (1, 4, 16, 64)]
    sinking = all(after < before / 2 for before, after in pairwise(errors))
    promise(
        sinking and errors[-1] < 1e-6,
        f"after 1, 4, 16, 64 steps it is off the implicit limit by {', '.join(f'{e:.2g}' for e in errors)}.",
    )


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
    found, w = problem.solve(method, 3), problem.trained(3)
    results = (found.gradient, *found.weights, found.upper, found.lower)
    promise(not any(each.requires_grad for each in results), "a result holds on to its graph: detach it.")
    promise(_apart(problem.flat(found.weights), w) < TOLERANCE, "the weights returned are not those after the steps.")
    upper = float(problem.upper(problem.split(w), problem.v).detach())
    promise(abs(float(found.upper) - upper) < TOLERANCE, f"upper is {float(found.upper):.6g}: want {upper:.6g}.")
    lower = float(problem.lower(problem.w, problem.v).detach())
    promise(abs(float(found.lower) - lower) < TOLERANCE, f"lower is {float(found.lower):.6g}: want {lower:.6g}.")


HYPERGRADIENT_CHECKS: tuple[HypergradientCheck, ...] = (
    equals_the_closed_form,
    counts_the_way_through_the_weights,
    tends_to_the_implicit_limit,
    changes_neither_weights_nor_hyperparameters,
    returns_the_trained_weights_and_both_losses,
)


@dataclass(frozen=True, kw_only=True)
class QuadraticProblem:
    """The bilevel problem of this file, with its solutions in closed form."""

    A: Tensor
    B: Tensor
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
            D=D, v=normal(HYPERPARAMETERS), w=(w0[:2].reshape(2, 1), w0[2:]),
        )  # fmt: skip

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
        """Return 1/2 ||w - t||^2 + 1/2 ||v - s||^2."""
        return self.upper_of_weights(w, v) + ((v - self.s) ** 2).sum() / 2

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
        return response.T @ (self.trained(steps) - self.t) + self.v - self.s

    def limit(self) -> Tensor:
        """Return d upper(w*(v), v) / dv, by the implicit function theorem."""
        response: Tensor = torch.linalg.solve(self.A, self.B)
        return response.T @ (self.solution() - self.t) + self.v - self.s

    def _power(self, steps: int) -> Tensor:
        M = torch.eye(WEIGHTS, dtype=torch.float64) - torch.diag(self.D) @ self.A
        power: Tensor = torch.linalg.matrix_power(M, steps)
        return power


def _apart(found: Tensor, wanted: Tensor) -> float:
    """Return the distance as a share of the wanted vector's length."""
    return float(((found - wanted).norm() / wanted.norm()).detach())
