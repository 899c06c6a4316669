"""Barlow Twins: each dimension agrees between views, and no two dimensions say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from feint.core.detector import check_settings
from feint.core.pretraining import Learner, Method
from feint.pretraining.heads import check_batch, drawn, mlp, over_the_batch, widths

EPS = 1e-5


def barlow_twins_loss(za: Tensor, zb: Tensor, *, redundancy: float, scale: float) -> Tensor:
    r"""Return how far the correlation of projections (N, D) of two views is from the identity: (), at least 0.

        C = Z_a^T Z_b / N,   L = scale ( sum_i (1 - C_ii)^2 + redundancy sum_{i != j} C_ij^2 )

    with every dimension of Z_a and Z_b standardised over the batch. Where all projections are the same, C is 0 and L
    is scale D.

    Cost: N D^2 multiplications.
    References: Zbontar, Jing, Misra, LeCun, Deny (2021), arXiv:2103.03230, equations 1 and 2.
    Deviations: 1e-5 is added to the (biased) variance, as in the batch normalisation of the authors' code.
    """
    correlation = _standardised(za).T @ _standardised(zb) / len(za)
    diagonal = correlation.diagonal()
    same, other = (1 - diagonal).square().sum(), (correlation - torch.diag(diagonal)).square().sum()
    return scale * (same + redundancy * other)


@final
class BarlowTwinsLearner(Learner):
    """An encoder and a projector of three layers."""

    def __init__(self, encoder: nn.Module, recipe: BarlowTwins, *, seed: int) -> None:
        super().__init__()
        self.encoder, self.recipe = encoder, recipe
        width, hidden, self.out = widths(
            encoder, small=(256, 256), large=(2048, 2048), chosen=(recipe.hidden, recipe.out)
        )
        with drawn(seed):
            self.projector = mlp((width, hidden, hidden, self.out), bias=False)

    def loss(self, views: Sequence[Tensor], *, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss of the two views; InputError for a batch of one image, which has no correlations."""
        check_batch(views)
        za, zb = (self.project(view) for view in views)
        return over_the_batch(
            partial(barlow_twins_loss, redundancy=self.recipe.redundancy, scale=self.recipe.scale), za, zb
        )

    def project(self, images: Tensor) -> Tensor:
        """Return projections (n, D), not yet standardised."""
        projections: Tensor = self.projector(self.encoder(images))
        return projections

    def floor(self, batch: int) -> float:  # noqa: ARG002
        """Return scale D: of an encoder that says the same of every image, no dimension agrees with itself."""
        return self.recipe.scale * self.out


@final
@dataclass(frozen=True, kw_only=True)
class BarlowTwins(Method):
    """Redundancy reduction: the correlation of the two views' projections becomes the identity.

    Args:
        redundancy: lambda, above 0, by which correlations of different dimensions count. 0.005 as in the paper.
        scale: of the loss, above 0. 1 as in lightly; solo-learn's 0.1 goes with LARS.
        hidden, out: widths of the projector; None: 256 for encoders narrower than 128, 2,048 for others.

    Fails when: the projector is narrow: there are then few pairs of dimensions to tell apart.
    Cost: two encoder passes an image, forward and backward, and N D^2 multiplications for a batch of N.
    References: Zbontar, Jing, Misra, LeCun, Deny (2021), Barlow Twins, arXiv:2103.03230.
    Deviations: the projector is 2,048 wide at most, where the paper has 8,192; the optimiser is not LARS.
    """

    name: ClassVar[str] = "barlow_twins"

    redundancy: float = 5e-3
    scale: float = 1.0
    hidden: int | None = None
    out: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "redundancy": 0 < self.redundancy < math.inf,
            "scale": 0 < self.scale < math.inf,
            "hidden": self.hidden is None or self.hidden >= 1,
            "out": self.out is None or self.out >= 2,
        }
        rules = "redundancy and scale are above 0 and finite, hidden is at least 1 and out at least 2"
        check_settings(self, allowed, rules)

    def _learner(self, encoder: nn.Module, seed: int) -> BarlowTwinsLearner:
        return BarlowTwinsLearner(encoder, self, seed=seed)


def _standardised(z: Tensor) -> Tensor:
    variance, mean = torch.var_mean(z, dim=0, correction=0)
    return (z - mean) / (variance + EPS).sqrt()
