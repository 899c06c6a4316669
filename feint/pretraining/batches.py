"""What a step sees: a batch of images, and the views of them, the same however many processes share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feint.core.detector import as_unit
from feint.core.distributed import mine, processes
from feint.core.errors import InputError
from feint.core.streams import stream

FEWEST = 2


class Views(Protocol):
    """What makes a view of each image: an augmentation, or several."""

    def draw(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return all the randomness of `images` (n, c, h, w), whose shape alone counts: (n, k)."""
        ...

    def apply(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return a view of each image (n, c, h, w) in [0, 1]."""
        ...


@final
class Batches:
    """Batches drawn epoch by epoch without replacement; what is left of an epoch is dropped.

    Each step has streams of its own under `seed`, so that it sees the same whatever was before it. Of several
    processes each sees its share of the batch, under the noise that a single one would have drawn.

    Args:
        images: (n, c, h, w), uint8, in memory or mapped from a file. views: what makes each view.
        batch: images of a step over all processes; no more than there are.

    Raises: InputError where there are fewer than two images, or processes do not share the batch evenly.
    """

    def __init__(
        self, images: NDArray[np.uint8], views: Sequence[Views], *, batch: int, seed: int, device: str = "cpu"
    ) -> None:
        if min(batch, len(images)) < FEWEST:
            raise InputError(
                f"a batch needs at least {FEWEST} images to tell from each other: got {min(batch, len(images))}."
            )
        self.batch = min(batch, len(images))
        if self.batch % processes():
            raise InputError(
                f"a batch of {self.batch} images cannot be shared evenly by {processes()} processes: change --batch."
            )
        self.images, self.views, self.seed, self.device = images, views, seed, device

    def at(self, step: int) -> tuple[Tensor, list[Tensor]]:
        """Return which images (n,) a step sees, and their views (n, c, h, w) in [0, 1]: this process's share."""
        per_epoch = len(self.images) // self.batch
        order = torch.randperm(len(self.images), generator=stream(self.seed, "order", step // per_epoch))
        rows = mine(order[step % per_epoch * self.batch :][: self.batch])
        unit = as_unit(torch.from_numpy(self.images[rows.numpy()])).to(self.device)
        whole = torch.empty(1).expand(self.batch, *unit.shape[1:])
        generator = stream(self.seed, "views", step)
        return rows, [view.apply(unit, mine(view.draw(whole, generator=generator))) for view in self.views]
