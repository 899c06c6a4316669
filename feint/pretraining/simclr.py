"""SimCLR: the other view of an image is to be told from all other images of the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from feint.core.detector import check_settings
from feint.core.pretraining import Learner, Method
from feint.pretraining.heads import check_batch, drawn, mlp, over_the_batch, widths


def nt_xent(za: Tensor, zb: Tensor, temperature: float) -> Tensor:
    r"""Return the normalised and temperature-scaled cross-entropy () of projections (N, p) of two views.

        l(i, j) = - log( exp(cos(z_i, z_j) / T) / sum_{k != i} exp(cos(z_i, z_k) / T) ),   j the other view of i

    The mean of l over the 2 N rows, at least 0. Where all projections are the same it is ln(2 N - 1).

    Cost: 4 N^2 p multiplications.
    References: Chen, Kornblith, Norouzi, Hinton (2020), arXiv:2002.05709, equation 1.
    Deviations: none known.
    """
    z = normalize(torch.cat([za, zb]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    return cross_entropy(logits, torch.arange(len(z), device=z.device).roll(len(za)))


@final
class SimCLRLearner(Learner):
    """An encoder and a projector of two layers without batch normalisation."""

    def __init__(self, encoder: nn.Module, recipe: SimCLR, *, seed: int) -> None:
        super().__init__()
        self.encoder, self.temperature = encoder, recipe.temperature
        sizes = widths(encoder, small=(256, 64), large=(2048, 256), chosen=(recipe.hidden, recipe.out))
        with drawn(seed):
            self.projector = mlp(sizes, norm=False)

    def loss(self, views: Sequence[Tensor], *, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return NT-Xent of the two views; InputError for a batch of one image, which has no other to be told from."""
        check_batch(views)
        za, zb = (self.project(view) for view in views)
        return over_the_batch(partial(nt_xent, temperature=self.temperature), za, zb)

    def project(self, images: Tensor) -> Tensor:
        """Return projections (n, p), not yet normalised."""
        projections: Tensor = self.projector(self.encoder(images))
        return projections

    def floor(self, batch: int) -> float:
        """Return ln(2 N - 1): an image's other view is then no likelier than any other row."""
        return math.log(2 * batch - 1)


@final
@dataclass(frozen=True, kw_only=True)
class SimCLR(Method):
    """Contrastive learning: the two views of an image lie close together, and far from all other images.

    Args:
        temperature: T, above 0; the lower, the more the nearest of the other images count. 0.2 as in solo-learn's
            recipe for small images.
        hidden, out: widths of the projector; None: 256 and 64 for encoders narrower than 128, 2,048 and 256 for
            others.

    Fails when: the batch is small, as it holds all there is to be told apart; or when many images are near copies of
        one another, which are pushed apart all the same.
    Cost: two encoder passes an image, forward and backward, and 16 N^2 p multiplications for a batch of N.
    References: Chen, Kornblith, Norouzi, Hinton (2020), A simple framework for contrastive learning of visual
        representations, arXiv:2002.05709.
    Deviations: the projector is as in solo-learn, 2048 wide and without batch normalisation; the optimiser is not LARS.
    """

    name: ClassVar[str] = "simclr"

    temperature: float = 0.2
    hidden: int | None = None
    out: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "temperature": 0 < self.temperature < math.inf,
            "hidden": self.hidden is None or self.hidden >= 1,
            "out": self.out is None or self.out >= 1,
        }
        check_settings(self, allowed, "temperature is above 0 and finite, hidden and out at least 1")

    def _learner(self, encoder: nn.Module, seed: int) -> SimCLRLearner:
        return SimCLRLearner(encoder, self, seed=seed)
