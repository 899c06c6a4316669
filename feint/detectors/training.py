"""The training that the small encoders share: AdamW down a loss, under a one-cycle schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from feint.core.detector import Log, finite

EVERY = 20


def descend(
    weights: Iterable[Tensor],
    loss: Callable[[], Tensor],
    *,
    steps: int,
    rate: float,
    weight_decay: float,
    log: Log,
) -> None:
    """Take `steps` steps down `loss()`, which draws its own batch each time; `log(step, loss)` as `lines` counts.

    Args:
        weights: what is trained. rate: peak learning rate; weight_decay likewise of AdamW.

    Raises: CollapseError where a loss that is logged is not finite.
    References: Loshchilov & Hutter (2019), arXiv:1711.05101; Smith & Topin (2018), arXiv:1708.07120.
    """
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(steps, 2))
    for step in range(steps):
        value = loss()
        optimiser.zero_grad()
        torch.autograd.backward(value)
        optimiser.step()
        schedule.step()
        if step % EVERY == 0 or step == steps - 1:
            log(step, finite(value, step))


def lines(steps: int) -> int:
    """Return how often `descend` logs: each twentieth step, and the last.

    Example:
        >>> [lines(steps) for steps in (1, 2, 20, 21, 22)]
        [1, 2, 2, 2, 3]
    """
    return 1 + (steps + EVERY - 2) // EVERY
