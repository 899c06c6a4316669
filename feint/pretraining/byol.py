"""BYOL: from one view, what a slow teacher makes of the other is predicted; no image is told from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from feint.core.detector import check_settings
from feint.core.pretraining import Learner, Method
from feint.pretraining.heads import check_batch, drawn, mlp, over_the_batch, widths
from feint.pretraining.momentum import follow, momentum, teacher_of


def byol_loss(pa: Tensor, zb_teacher: Tensor, pb: Tensor, za_teacher: Tensor) -> Tensor:
    r"""Return the mean squared distance () of predictions and the teacher's projections of the other view.

        L = 1/2 [ (2 - 2 cos(p_a, z'_b)) + (2 - 2 cos(p_b, z'_a)) ]

    In [0, 4]; all four are (N, p). No gradient reaches the teacher's.

    Cost: 4 N p multiplications.
    References: Grill et al. (2020), arXiv:2006.07733, equation 2.
    Deviations: the two terms are averaged, where the paper adds them.
    """
    ahead = cosine_similarity(pa, zb_teacher.detach(), dim=1)
    back = cosine_similarity(pb, za_teacher.detach(), dim=1)
    return (2 - ahead - back).mean()


@final
class BYOLLearner(Learner):
    """A student (encoder, projector and predictor), and a teacher (encoder and projector) that follows it slowly."""

    def __init__(self, encoder: nn.Module, recipe: BYOL, *, seed: int) -> None:
        super().__init__()
        self.encoder, self.momentum = encoder, recipe.momentum
        sizes = widths(encoder, small=(256, 64), large=(4096, 256), chosen=(recipe.hidden, recipe.out))
        _, hidden, out = sizes
        with drawn(seed):
            self.projector = mlp(sizes)
            self.predictor = mlp((out, hidden, out))
        self.teacher = teacher_of(self.encoder, self.projector)

    def loss(self, views: Sequence[Tensor], *, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss of the two views; InputError for a batch of one image, which cannot be normalised."""
        check_batch(views)
        pa, pb = (self.predictor(self.project(view)) for view in views)
        with torch.no_grad():
            za, zb = (self.teacher(view) for view in views)
        return over_the_batch(byol_loss, pa, zb, pb, za)

    def project(self, images: Tensor) -> Tensor:
        """Return the student's projections (n, p), from which the predictions are made."""
        projections: Tensor = self.projector(self.encoder(images))
        return projections

    def after_step(self, progress: float) -> None:
        """Let the teacher follow the student."""
        follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum(self.momentum, progress))


@final
@dataclass(frozen=True, kw_only=True)
class BYOL(Method):
    """Bootstrap your own latent: the student predicts from a view what its teacher makes of the other view.

    Args:
        momentum: tau_0, the share of itself that the teacher keeps in the first step, in [0, 1]; it rises to 1. 0.99
            as in solo-learn's recipe for small data; the paper has 0.996 for 300 epochs of ImageNet.
        hidden, out: widths of projector and predictor; None: 256 and 64 for encoders narrower than 128, 4,096 and 256
            for others.

    Its loss does not tell whether it has collapsed, as it is then at its least, 0: there is no `floor`. Watch the
    spread of the projections.

    Fails when: the predictor is too slow, or the teacher too fast; all images then come to lie on one point.
    Cost: two encoder passes an image, forward and backward, and two forward for the teacher.
    References: Grill et al. (2020), Bootstrap your own latent, arXiv:2006.07733; momentum: section 3.2.
    Deviations: the optimiser is not LARS.
    """

    name: ClassVar[str] = "byol"

    momentum: float = 0.99
    hidden: int | None = None
    out: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "momentum": 0 <= self.momentum <= 1,
            "hidden": self.hidden is None or self.hidden >= 1,
            "out": self.out is None or self.out >= 1,
        }
        check_settings(self, allowed, "momentum lies in [0, 1], hidden and out are at least 1")

    def _learner(self, encoder: nn.Module, seed: int) -> BYOLLearner:
        return BYOLLearner(encoder, self, seed=seed)
