"""Several discriminators that vote: for candidates that the data cannot tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from feint.core.augmentation import Policy
from feint.core.detector import Scorer
from feint.core.streams import seed_of
from feint.detectors.discriminator import Discriminator, DiscriminatorScorer


@final
class Committee(Scorer):
    """The mean over its members of arsinh((score - centre) / spread), each with a unit of its own.

    The arsinh is linear near 0 and logarithmic far out, so that no member outvotes the others by sheer size.

    The units come from normal images that neither trained nor calibrate it, so that the scores of calibration images
    and of new ones stay exchangeable. The map is the mean of the members' maps.

    Args:
        members: scorers of the same recipe and image size. units: centre and spread of each one's scores.
    """

    centres: Tensor
    spreads: Tensor

    def __init__(self, members: Sequence[DiscriminatorScorer], units: Sequence[tuple[float, float]]) -> None:
        super().__init__(members[0].channels, members[0].size)
        self.recipe = Discriminator(width=members[0].width, depth=members[0].depth, score=members[0].score)
        self.members = nn.ModuleList(members)
        self.register_buffer("centres", torch.tensor([centre for centre, _ in units], dtype=torch.float64))
        self.register_buffer("spreads", torch.tensor([spread for _, spread in units], dtype=torch.float64))

    def _each(self) -> list[DiscriminatorScorer]:
        return [member for member in self.members if isinstance(member, DiscriminatorScorer)]

    def _scores(self, images: Tensor) -> Tensor:
        scores = torch.stack([member.forward(images).double() for member in self._each()])
        return torch.asinh((scores - self.centres[:, None]) / self.spreads[:, None]).mean(0).float()

    def _maps(self, images: Tensor) -> Tensor:
        return torch.stack([member.map(images) for member in self._each()]).mean(0)


def _counting_from(before: int, log: Callable[[int, float], None]) -> Callable[[int, float], None]:
    return lambda step, loss: log(before + step, loss)


def fit_committee(
    detector: Discriminator,
    normals: Tensor,
    *,
    policies: Sequence[Policy | None],
    units: Sequence[tuple[float, float]],
    seed: int,
    log: Callable[[int, float], None],
) -> Committee:
    """Fit one discriminator per policy on normal images (n, c, h, w), uint8; returns their committee.

    `log(step, loss)` counts the steps of all members through. Cost: as many trainings as policies.
    """
    members = []
    for k, policy in enumerate(policies):
        members.append(
            detector.fit(
                normals,
                policy=policy,
                seed=seed_of(seed, "member", k),
                log=_counting_from(k * detector.steps, log),
            )
        )
    return Committee(members, units).to(detector.device).eval().requires_grad_(requires_grad=False)


def empty_committee(detector: Discriminator, channels: int, size: tuple[int, int], *, members: int) -> Committee:
    """Return a committee of this recipe into which a saved state can be loaded."""
    return Committee([detector.scorer(channels, size) for _ in range(members)], [(0.0, 1.0)] * members).eval()
