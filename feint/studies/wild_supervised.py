"""The supervised twin: the same encoder, images, views and budget, told every label."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from feint.augmentations.views import views_named
from feint.core.detector import SCORED_AT_ONCE, as_unit
from feint.core.streams import seed_of
from feint.networks.architectures import build
from feint.pretraining.batches import Batches
from feint.pretraining.training import Training


class Twin(Protocol):
    """What is asked of a cell."""

    @property
    def encoder(self) -> str: ...
    @property
    def views(self) -> str: ...
    @property
    def seed(self) -> int: ...
    def training(self) -> Training: ...


def supervised_logits(
    cell: Twin,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    labels: NDArray[np.int_],
    test: NDArray[np.intp],
    *,
    weighted: bool,
) -> NDArray[np.float64]:
    """Return the logits (m,) of the images at `test`, learnt from those at `rows` (k,) with their `labels` (k,).

    Cross-entropy of a linear head on what the encoder returns; `weighted`: both classes weigh alike.
    """
    mine, training = pixels[rows], cell.training()
    encoder = build(cell.encoder, channels=pixels.shape[1], size=pixels.shape[2:], seed=cell.seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(cell.seed, "heads"))
        network = nn.Sequential(encoder, nn.Linear(encoder.width, 1))
    optimiser = training.optimisation.optimiser(network.parameters())
    batches = Batches(mine, views_named(cell.views)[:1], batch=training.batch, seed=cell.seed)
    truth = torch.from_numpy(labels).float()
    weights = (
        torch.where(truth == 1, 0.5 / truth.mean(), 0.5 / (1 - truth.mean())) if weighted else torch.ones(len(truth))
    )
    for step in range(training.steps):
        chosen, (view,) = batches.at(step)
        loss = binary_cross_entropy_with_logits(network(view)[:, 0], truth[chosen], weights[chosen])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        training.optimisation.step(optimiser, step=step, steps=training.steps)
    with torch.no_grad():
        network.eval()
        chunks = (test[start : start + SCORED_AT_ONCE] for start in range(0, len(test), SCORED_AT_ONCE))
        logits: Tensor = torch.cat([network(as_unit(torch.from_numpy(pixels[rows])))[:, 0] for rows in chunks])
    return logits.double().numpy()
