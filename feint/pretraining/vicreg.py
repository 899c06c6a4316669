"""VICReg: views agree, every dimension keeps its spread, and no two dimensions say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from feint.core.detector import check_settings
from feint.core.pretraining import Learner, Method
from feint.pretraining.heads import check_batch, drawn, mlp, over_the_batch, widths


def vicreg_loss(za: Tensor, zb: Tensor, *, similarity: float, variance: float, covariance: float, eps: float) -> Tensor:
    r"""Return the variance-invariance-covariance loss () of projections (N, D) of two views, at least 0.

        L = similarity s(Z_a, Z_b) + variance (v(Z_a) + v(Z_b)) / 2 + covariance (c(Z_a) + c(Z_b))
        s = mean of (Z_a - Z_b)^2,   v(Z) = mean_i relu(1 - sqrt(Var_i + eps)),   c(Z) = sum_{i != j} Cov_ij^2 / D

    with the unbiased Var and Cov. Where all projections are the same, L is variance (1 - sqrt(eps)): 24.75 by default.

    Cost: 2 N D^2 multiplications.
    References: Bardes, Ponce, LeCun (2022), arXiv:2105.04906, equations 1 to 6.
    Deviations: as in the authors' code, s is a mean over dimensions too, and v the mean of the views, not their sum.
    """
    spread, redundant = za.new_zeros(()), za.new_zeros(())
    for z in (za, zb):
        centred = z - z.mean(0)
        cov = centred.T @ centred / (len(z) - 1)
        var = cov.diagonal()
        spread = spread + torch.relu(1 - (var + eps).sqrt()).mean() / 2
        redundant = redundant + (cov - torch.diag(var)).square().sum() / z.shape[1]
    return similarity * mse_loss(za, zb) + variance * spread + covariance * redundant


@final
class VICRegLearner(Learner):
    """An encoder and a projector of three layers."""

    def __init__(self, encoder: nn.Module, recipe: VICReg, *, seed: int) -> None:
        super().__init__()
        self.encoder, self.recipe = encoder, recipe
        width, hidden, out = widths(encoder, small=(256, 256), large=(2048, 2048), chosen=(recipe.hidden, recipe.out))
        with drawn(seed):
            self.projector = mlp((width, hidden, hidden, out), bias=False)

    def loss(self, views: Sequence[Tensor], *, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss of the two views; InputError for a batch of one image, which has no variance."""
        check_batch(views)
        za, zb = (self.project(view) for view in views)
        recipe = self.recipe
        loss = partial(
            vicreg_loss,
            similarity=recipe.similarity,
            variance=recipe.variance,
            covariance=recipe.covariance,
            eps=recipe.eps,
        )
        return over_the_batch(loss, za, zb)

    def project(self, images: Tensor) -> Tensor:
        """Return projections (n, D)."""
        projections: Tensor = self.projector(self.encoder(images))
        return projections

    def floor(self, batch: int) -> float:  # noqa: ARG002
        """Return variance (1 - sqrt(eps)): projections that are all the same agree, and have no spread."""
        return self.recipe.variance * (1 - math.sqrt(self.recipe.eps))


@final
@dataclass(frozen=True, kw_only=True)
class VICReg(Method):
    """Invariance by the distance of views, without collapse by a term for variance and one for covariance.

    Args:
        similarity, variance, covariance: the weights lambda, mu and nu, at least 0; 25, 25 and 1 as in the paper.
        eps: added to variances, above 0 and below 1, so that the root has a gradient at 0.
        hidden, out: widths of the projector; None: 256 for encoders narrower than 128, 2,048 for others.

    Fails when: the batch is hardly larger than the projector is wide: covariances are then noise.
    Cost: two encoder passes an image, forward and backward, and 2 N D^2 multiplications for a batch of N.
    References: Bardes, Ponce, LeCun (2022), VICReg, arXiv:2105.04906.
    Deviations: the projector is 2,048 wide at most, where the paper has 8,192; the optimiser is not LARS.
    """

    name: ClassVar[str] = "vicreg"

    similarity: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    eps: float = 1e-4
    hidden: int | None = None
    out: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "similarity": 0 <= self.similarity < math.inf,
            "variance": 0 <= self.variance < math.inf,
            "covariance": 0 <= self.covariance < math.inf,
            "eps": 0 < self.eps < 1,
            "hidden": self.hidden is None or self.hidden >= 1,
            "out": self.out is None or self.out >= 2,
        }
        rules = (
            "similarity, variance and covariance are at least 0 and finite, eps lies in (0, 1), hidden is at least 1 "
            "and out at least 2"
        )
        check_settings(self, allowed, rules)

    def _learner(self, encoder: nn.Module, seed: int) -> VICRegLearner:
        return VICRegLearner(encoder, self, seed=seed)
