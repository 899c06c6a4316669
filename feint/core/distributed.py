"""One batch over several processes: sums and rows of all of them, through which gradients flow.

With `torchrun`, each process holds a share of the batch. Every loss and every batch statistic is then that of the whole
batch, and gradients are averaged over processes, so that any number of them takes the same step. In a single process
the functions return what they are given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, distributed


def processes() -> int:
    """Return how many processes share each batch."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if processes() > 1 else 0


def summed(x: Tensor) -> Tensor:
    """Return the sum of `x` (any shape) over all processes; its gradient is the sum of theirs."""
    return x if processes() == 1 else cast("Tensor", _Summed.apply(x))  # type: ignore[no-untyped-call]


def gathered(x: Tensor) -> Tensor:
    """Return the rows of `x` (n, ...) of all processes, in their order: (processes * n, ...); gradients flow back."""
    if processes() == 1:
        return x
    before, after = rank(), processes() - rank() - 1
    return summed(torch.cat([x.new_zeros(before * len(x), *x.shape[1:]), x, x.new_zeros(after * len(x), *x.shape[1:])]))


def mine(x: Tensor) -> Tensor:
    """Return this process's rows of `x` (processes * n, ...): the share that `gathered` would put in its place."""
    return x.chunk(processes())[rank()]


@torch.no_grad()
def average_gradients(weights: Iterable[Tensor]) -> None:
    """Replace the gradient of each weight by its mean over all processes."""
    if processes() == 1:
        return
    for weight in weights:
        if weight.grad is not None:
            distributed.all_reduce(weight.grad)
            weight.grad /= processes()


class _Summed(torch.autograd.Function):
    """The sum over processes: each of them feeds all of their losses, so that its gradient is summed too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        found = x.detach().clone()
        distributed.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        found = gradients[0].contiguous().clone()
        distributed.all_reduce(found)
        return found
