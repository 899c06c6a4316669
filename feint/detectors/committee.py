"""Several scorers that vote: for candidates that the data cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from feint.core.detector import Scorer

Unit = tuple[float, float]


@final
class Committee(Scorer):
    """The mean over its members of arsinh((score - centre) / spread), each with a unit of its own.

    The arsinh is linear near 0 and logarithmic far out, so that no member outvotes the others by sheer size. The map
    is the mean of the members' maps, each in units of its own.

    The units come from normal images that calibrate nothing, so that the scores of calibration images and of new ones
    stay exchangeable.

    Args:
        members: scorers of any kind for images of the same shape. units: centre and spread of each one's scores.
        map_units: the same of their maps.
    """

    units: Tensor
    map_units: Tensor

    def __init__(self, members: Sequence[Scorer], *, units: Sequence[Unit], map_units: Sequence[Unit]) -> None:
        super().__init__(members[0].channels, members[0].size)
        self.members = nn.ModuleList(members)
        self.register_buffer("units", torch.tensor(units, dtype=torch.float64))
        self.register_buffer("map_units", torch.tensor(map_units, dtype=torch.float32))
        self.eval().requires_grad_(requires_grad=False)

    def _each(self) -> list[Scorer]:
        return [member for member in self.members if isinstance(member, Scorer)]

    def _scores(self, images: Tensor) -> Tensor:
        scores = torch.stack([member.forward(images).double() for member in self._each()])
        return torch.asinh((scores - self.units[:, :1]) / self.units[:, 1:]).mean(0).float()

    def _maps(self, images: Tensor) -> Tensor:
        maps = torch.stack([member.map(images).float() for member in self._each()])
        centres, spreads = self.map_units[:, 0, None, None, None], self.map_units[:, 1, None, None, None]
        return ((maps - centres) / spreads).mean(0)


def unit_of(values: Tensor) -> Unit:
    """Return the median and the quartile distance of values (n,), the latter above 0."""
    low, middle, high = torch.quantile(values.double(), torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    return float(middle), max(float(high - low), 1e-6 * max(1.0, abs(float(middle))))
