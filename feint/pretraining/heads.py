"""What stands on an encoder: projectors and predictors, how wide they are, and how what they give is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from feint.core.distributed import gathered, processes
from feint.core.errors import InputError
from feint.core.pretraining import TrainableEncoder
from feint.core.streams import seed_of
from feint.networks.batch_norm import GlobalBatchNorm

SMALL_WIDTH = 128
"""Encoders narrower than this are trained on a CPU, and get small heads."""


def widths(
    encoder: nn.Module, *, small: tuple[int, int], large: tuple[int, int], chosen: tuple[int | None, int | None]
) -> tuple[int, int, int]:
    """Return how wide a projector is: what it is given, its hidden layers, and its output.

    A width that was `chosen` is taken. Others are the `small` ones for encoders narrower than 128, the `large` ones,
    from the literature, for others, such as ViT-Tiny (192) and ResNet-18 (512).
    """
    width = cast("TrainableEncoder", encoder).width
    hidden, out = small if width < SMALL_WIDTH else large
    return width, (hidden if chosen[0] is None else chosen[0]), (out if chosen[1] is None else chosen[1])


def mlp(sizes: Sequence[int], *, norm: bool = True, bias: bool = True) -> nn.Sequential:
    """Return linear layers from sizes[0] to sizes[-1] with ReLU between them.

    Args:
        norm: normalise the hidden layers over the batch of all processes; their own bias is then left out.
        bias: of the last layer. Leave it out where the loss does not see it, as it has no gradient there.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes[:-1]):
        layers += [nn.Linear(before, after, bias=not norm), *([GlobalBatchNorm(after)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], bias=bias))


@contextmanager
def drawn(seed: int) -> Iterator[None]:
    """Let the heads that are built inside draw their weights from the stream "heads" of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(seed, "heads"))
        yield


def check_batch(views: Sequence[Tensor]) -> None:
    """Raise InputError unless there are two images or more to compare, over all processes."""
    images = len(views[0]) * processes()
    if images < 2:
        raise InputError(
            f"images are compared with others of their batch, which needs at least 2 of them: got {images}. Take a "
            "larger batch, or leave out the last, incomplete one."
        )


def over_the_batch(loss: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """Return `loss` of the `rows` (n, p) each, those of all processes together, in single precision.

    Products of rows are not left to half precision: its three digits are too few for correlations near 0.
    """
    with torch.autocast(rows[0].device.type, enabled=False):
        return loss(*(gathered(each.float()) for each in rows))
