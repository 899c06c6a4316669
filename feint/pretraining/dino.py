"""DINO: a student tells of one view what its own slow teacher says of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, normalize

from feint.core.detector import check_settings
from feint.core.distributed import processes, summed
from feint.core.pretraining import Learner, Method
from feint.networks.batch_norm import GlobalBatchNorm
from feint.pretraining.heads import SMALL_WIDTH, drawn, widths
from feint.pretraining.momentum import follow, momentum, teacher_of


def dino_loss(
    students: Sequence[Tensor],
    teachers: Sequence[Tensor],
    centre: Tensor,
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> Tensor:
    r"""Return the cross-entropy (), at least 0, of what the student says of a view to what the teacher says of another.

        L = mean over teacher views i and student views j != i of  - mean_n sum_k q_ik log p_jk
        q_i = softmax((t_i - c) / T_t),   p_j = softmax(s_j / T_s)

    A student that tells nothing apart has L = ln K. No gradient reaches the teacher.

    Args:
        students: logits s_j (n, K) of each view; teachers: logits t_i (n, K) of the first of the same views.
        centre: c (K,), a running mean of the teacher's logits.
        student_temperature, teacher_temperature: T_s and T_t, above 0.

    Cost: as many times n K as there are pairs.
    References: Caron et al. (2021), Emerging Properties in Self-Supervised Vision Transformers, arXiv:2104.14294,
    equations 1 to 3.
    Deviations: none known.
    """
    said = [torch.log_softmax(s / student_temperature, dim=1) for s in students]
    wanted = [torch.softmax((t.detach() - centre) / teacher_temperature, dim=1) for t in teachers]
    pairs = [-(q * p).sum(1).mean() for i, q in enumerate(wanted) for j, p in enumerate(said) if i != j]
    return torch.stack(pairs).mean()


@final
class DINOHead(nn.Module):
    """Logits (n, K) of h (n, d): three layers to a bottleneck, whose direction is compared with K prototypes.

        z = g(h) / ||g(h)||,   logit_k = z . w_k / ||w_k||

    Args:
        norm: batch normalisation after the two hidden layers, as encoders that have it themselves need.
    """

    def __init__(self, width: int, *, hidden: int, bottleneck: int, prototypes: int, norm: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(into, hidden, bias=not norm) for into in (width, hidden)])
        self.norms = nn.ModuleList([GlobalBatchNorm(hidden) if norm else nn.Identity() for _ in self.layers])
        self.bottleneck = nn.Linear(hidden, bottleneck)
        for layer in (*self.layers, self.bottleneck):
            nn.init.trunc_normal_(layer.weight, std=layer.in_features**-0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)

    def forward(self, h: Tensor, *, frozen: bool = False) -> Tensor:
        """Return logits (n, K) in [-1, 1], in single precision; `frozen` keeps the prototypes from being trained."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = gelu(norm(layer(h)))
        z, w = self.bottleneck(h).float(), self.prototypes.weight
        with torch.autocast(z.device.type, enabled=False):
            return linear(normalize(z, dim=1), normalize(w.detach() if frozen else w, dim=1))


@final
class DINOLearner(Learner):
    """A student (`encoder` and `head`), its teacher, and the centre c (K,) of what the teacher says.

    Batch normalisation sees both views at once, as in the original. The teacher normalises by the batch, too: only its
    weights follow the student's, its running statistics are its own.
    """

    centre: Tensor
    latest: Tensor

    def __init__(self, encoder: nn.Module, recipe: DINO, *, seed: int) -> None:
        super().__init__()
        self.encoder, self.recipe = encoder, recipe
        width, hidden, bottleneck = widths(
            encoder, small=(128, 64), large=(2048, 256), chosen=(recipe.hidden, recipe.bottleneck)
        )
        self.prototypes = recipe.prototypes or (256 if width < SMALL_WIDTH else 4096)
        with drawn(seed):
            self.head = DINOHead(
                width,
                hidden=hidden,
                bottleneck=bottleneck,
                prototypes=self.prototypes,
                norm=not hasattr(encoder, "tokens"),
            )
        self.teacher = teacher_of(self.encoder, self.head)
        self.register_buffer("centre", torch.zeros(self.prototypes))
        self.register_buffer("latest", torch.zeros(self.prototypes), persistent=False)

    def loss(self, views: Sequence[Tensor], *, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss () of this process's images; its mean over processes is that of the whole batch."""
        images = torch.cat(list(views))
        with torch.no_grad():
            teacher = self.teacher(images)
            self.latest = summed(teacher.mean(0)) / processes()
        student = self.head(self.encoder(images), frozen=progress < self.recipe.frozen)
        return dino_loss(
            student.chunk(len(views)),
            teacher.chunk(len(views)),
            self.centre,
            student_temperature=self.recipe.student_temperature,
            teacher_temperature=self.recipe.teacher_temperature_at(progress),
        )

    def after_step(self, progress: float) -> None:
        """Let the teacher follow the student, and the centre what the teacher said in this step."""
        follow(self.teacher, nn.Sequential(self.encoder, self.head), momentum(self.recipe.momentum, progress))
        self.centre.lerp_(self.latest, 1 - self.recipe.centre_momentum)

    def project(self, images: Tensor) -> Tensor:
        """Return the student's logits (n, K)."""
        logits: Tensor = self.head(self.encoder(images))
        return logits

    def floor(self, batch: int) -> float:  # noqa: ARG002
        """Return ln K, the loss where student and teacher say the same of every image, and nothing."""
        return math.log(self.prototypes)


@final
@dataclass(frozen=True, kw_only=True)
class DINO(Method):
    r"""Self-distillation without labels, of two global views: see `dino_loss`.

        teacher <- tau teacher + (1 - tau) student,   c <- m c + (1 - m) mean of the teacher's logits

    after each step, both over the images of all processes; tau rises from `momentum` to 1 along a cosine.

    Args:
        prototypes: K; hidden, bottleneck: widths of the head. None: 256, 128 and 64 for encoders narrower than
            128, else 4,096, 2,048 and 256.
        momentum: tau at the start, in [0, 1]. centre_momentum: m, in [0, 1].
        student_temperature: T_s. teacher_temperature: T_t at the start.
        last_teacher_temperature: T_t after `warm_up`, a share of the training during which it changes linearly.
        frozen: the share of the training during which the prototypes stay as they are; the original's is one epoch.

    Fails when: teacher and student come to say the same of every image; the loss then stays at ln K (`floor`) if they
    say nothing, and falls to 0 if it is always one prototype. Small batches and a fast teacher make that more likely.
    Cost: 2 n passes through the encoder forward and backward, and 2 n forward through the teacher.
    References: Caron et al. (2021), arXiv:2104.14294, sections 3.1 and 5.3 and appendix C.
    Deviations: no local views; the teacher's temperature is constant by default; heads of small encoders are narrower;
    weights of a head start with a spread of 1 / sqrt(inputs), which is the original's 0.02 at its width of 2,048;
    the student's encoder is kept, not the teacher's, which at the end of the cosine is an average of its last steps.
    """

    name: ClassVar[str] = "dino"

    prototypes: int | None = None
    hidden: int | None = None
    bottleneck: int | None = None
    momentum: float = 0.996
    centre_momentum: float = 0.9
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    last_teacher_temperature: float = 0.04
    warm_up: float = 0.3
    frozen: float = 0.0

    def __post_init__(self) -> None:
        allowed = {
            "prototypes": self.prototypes is None or self.prototypes >= 2,
            "hidden": self.hidden is None or self.hidden >= 1,
            "bottleneck": self.bottleneck is None or self.bottleneck >= 1,
            "momentum": 0 <= self.momentum <= 1,
            "centre_momentum": 0 <= self.centre_momentum <= 1,
            "student_temperature": self.student_temperature > 0,
            "teacher_temperature": self.teacher_temperature > 0,
            "last_teacher_temperature": self.last_teacher_temperature > 0,
            "warm_up": 0 <= self.warm_up <= 1,
            "frozen": 0 <= self.frozen <= 1,
        }
        rules = (
            "prototypes is at least 2, hidden and bottleneck at least 1, temperatures are above 0, and momentum, "
            "centre_momentum, warm_up and frozen lie in [0, 1]"
        )
        check_settings(self, allowed, rules)

    def teacher_temperature_at(self, progress: float) -> float:
        """Return T_t at a share of the training.

        Example:
            >>> warm = DINO(last_teacher_temperature=0.07, warm_up=0.5)
            >>> [round(warm.teacher_temperature_at(progress), 3) for progress in (0.0, 0.25, 0.5, 0.9)]
            [0.04, 0.055, 0.07, 0.07]
        """
        if progress >= self.warm_up:
            return self.last_teacher_temperature
        rise = self.last_teacher_temperature - self.teacher_temperature
        return self.teacher_temperature + rise * progress / self.warm_up

    def _learner(self, encoder: nn.Module, seed: int) -> DINOLearner:
        return DINOLearner(encoder, self, seed=seed)
