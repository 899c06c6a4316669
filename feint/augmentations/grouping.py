"""Batches whose images are treated in one of a few ways each, without a loop over images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def by_group(group: Tensor, make: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Return what `make(rows, k)` makes of the rows (indices) with `group` (n,) == k, put back in their order."""
    rows = {k: (group == k).nonzero()[:, 0] for k in torch.unique(group).tolist()}
    made = torch.cat([make(each, k) for k, each in rows.items()])
    return made[torch.cat(list(rows.values())).argsort()]


def choice(noise: Tensor, outcomes: int) -> Tensor:
    """Return one of `outcomes` integers, all equally likely, for each number of `noise` on [0, 1)."""
    return (noise * outcomes).long().clamp(max=outcomes - 1)
