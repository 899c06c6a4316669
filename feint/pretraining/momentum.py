"""The teacher that follows its student: an exponential moving average of weights."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import nn


def teacher_of(*students: nn.Module) -> nn.Sequential:
    """Return a copy of the `students`, one after another, whose parameters want no gradient."""
    return deepcopy(nn.Sequential(*students)).requires_grad_(requires_grad=False)


def momentum(start: float, progress: float) -> float:
    r"""Return tau, the share of itself that the teacher keeps; it rises from `start` to 1 along half a cosine.

        tau_t = 1 - (1 - tau_0) (cos(pi t / T) + 1) / 2

    Args:
        start: tau_0, in [0, 1].
        progress: t / T, the share of the training that is done, in [0, 1].

    References: Grill et al. (2020), arXiv:2006.07733, section 3.2.
    Deviations: none known.

    Example:
        >>> [round(momentum(0.99, progress), 6) for progress in (0, 0.5, 1)]
        [0.99, 0.995, 1.0]
    """
    return 1 - (1 - start) * (math.cos(math.pi * progress) + 1) / 2


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, tau: float) -> None:
    """Move the parameters of `teacher` towards those of `student`: xi <- tau xi + (1 - tau) theta.

    Buffers stay: the running statistics of the teacher's batch normalisations are those of what it has seen itself.

    References: Grill et al. (2020), arXiv:2006.07733, equation 1.
    Deviations: none known.
    """
    for xi, theta in zip(teacher.parameters(), student.parameters(), strict=True):
        xi.lerp_(theta, 1 - tau)
