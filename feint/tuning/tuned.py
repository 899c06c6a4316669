"""The detector at one setting of a landscape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from feint.core.augmentation import Policy, PseudoAnomalies
from feint.core.detector import Detector, Log
from feint.core.errors import SettingError
from feint.detectors.discriminator import Discriminator, DiscriminatorScorer
from feint.tuning.landscape import LandscapeTuner


@final
@dataclass(frozen=True, kw_only=True)
class TunedDiscriminator(Detector[DiscriminatorScorer]):
    """A `Discriminator` conditioned on the magnitudes, trained over the policy's range and taken at one setting.

    One setting alone teaches less: a plain `Discriminator` trained there was worse on all tasks that were compared
    (`benchmarks/landscape.py`).

    Args:
        at: the magnitudes, in the augmentation's order. For the rest see `LandscapeTuner`.

    Fails when: see `LandscapeTuner`. Cost: that of one `Discriminator` of as many steps.
    References: see `LandscapeTuner`.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "required"

    at: tuple[float, ...]
    width: int = 16
    depth: int = 4
    steps: int = 600
    nuisances: tuple[Policy, ...] = field(default=())
    device: str = "cpu"

    def scorer(self, channels: int, size: tuple[int, int]) -> DiscriminatorScorer:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        return Discriminator(width=self.width, depth=self.depth).scorer(channels, size)

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> DiscriminatorScorer:
        if not isinstance(policy, Policy) or len(policy.low) != len(self.at):
            raise SettingError(
                f"TunedDiscriminator: give the policy of an augmentation with {len(self.at)} magnitudes."
            )
        tuner = LandscapeTuner(
            width=self.width, depth=self.depth, steps=self.steps, nuisances=self.nuisances, device=self.device
        )
        landscape = tuner.fit(normals, policy=policy, seed=seed, log=log)
        return landscape.at(torch.tensor(self.at, device=self.device), normals)
