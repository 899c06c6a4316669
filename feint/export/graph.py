"""The graph that is exported: a saved model with everything around it, without loops that depend on the data."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor, nn

from feint.core.detector import Scorer, as_unit
from feint.detectors.committee import Committee
from feint.detectors.density import GaussianDensity
from feint.detectors.neighbours import Bank
from feint.metrics.ranks import allowed_exceedances, exact_rate
from feint.records.run import PreprocessingRecord
from feint.runs.model import Model

TIE = 1e-5
ROUNDING = 1 + 1e-6


@final
class Graph(nn.Module):
    """From bytes (n, c, h, w) at the networks' sizes to score, label, map and p-value, as `Model.judge` gives them.

    It takes the n images once for each of `preprocessings(model)`, and hands each member those it was trained on.

        p(x) = (1 + sum_k #{i : s_k(i) + e_k(i) >= s_k(x)}) / (1 + m),   e = 1e-5 max(|s|, iqr of s_k)

    Scores come from k members, each compared with the calibration scores s_k of its own, m in all. Runtimes round
    differently: the slack e makes an image that itself is a calibration image tie with itself in each of them. It can
    only raise a p-value, so that the guarantee holds.

    The label is p <= rate; with a false discovery rate, Benjamini-Hochberg over the batch. The map (n, h, w) is that of
    the first member.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.members = nn.ModuleList(static(member.scorer) for member in model.members)
        inputs = preprocessings(model)
        self.inputs = [inputs.index(member.preprocessing) for member in model.members]
        self.judge = Judge([member.calibration for member in model.members], mode=model.mode, rate=model.rate)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, images: Tensor, *others: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scores (n,), labels (n,), maps (n, h, w) and p-values (n,)."""
        x = [as_unit(each) for each in (images, *others)]
        first = self.members[0]
        assert isinstance(first, Scorer)
        score, label, p = self.judge([member(x[i]) for member, i in zip(self.members, self.inputs, strict=True)])
        return score, label, first.map(x[0]), p


def preprocessings(model: Model) -> tuple[PreprocessingRecord, ...]:
    """Return how an image becomes each of the graph's inputs: what the members were trained on, each once, in order."""
    return tuple(dict.fromkeys(member.preprocessing for member in model.members))


@final
class Judge(nn.Module):
    """From the scores of each member to joint scores, labels and p-values: see `Graph`."""

    def __init__(
        self, calibrations: Sequence[np.ndarray], *, mode: Literal["false_alarm_rate", "fdr"], rate: float
    ) -> None:
        super().__init__()
        self.units: list[tuple[float, float]] = []
        for k, s in enumerate(calibrations):
            low, middle, high = (float(each) for each in np.quantile(s, [0.25, 0.5, 0.75]))
            slack = TIE * np.maximum(np.abs(s), high - low)
            self.register_buffer(f"reference{k}", torch.from_numpy(s + slack).float())
            self.units.append((middle, max(high - low, 1e-12)))
        self.m = sum(len(s) for s in calibrations)
        self.allowed = allowed_exceedances(self.m, rate)
        self.discoveries = float(exact_rate(rate)) if mode == "fdr" else None

    def forward(self, scores: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return joint scores (n,), labels (n,) and p-values (n,) from the scores (n,) of each member."""
        references = (self.get_buffer(f"reference{k}") for k in range(len(scores)))
        at_least = torch.stack([(r >= s[:, None]).sum(1) for r, s in zip(references, scores, strict=True)]).sum(0)
        p = (1 + at_least).to(torch.float32) / (1 + self.m)
        return self._joint(scores), self._labels(at_least, p), p

    def _joint(self, scores: list[Tensor]) -> Tensor:
        if len(scores) == 1:
            return scores[0]
        return torch.stack([(s - c) / u for s, (c, u) in zip(scores, self.units, strict=True)]).mean(0)

    def _labels(self, at_least: Tensor, p: Tensor) -> Tensor:
        if self.discoveries is None:
            return at_least < self.allowed
        rank = (p[None] <= p[:, None]).sum(1).to(torch.float32)
        small = p * p.shape[0] <= self.discoveries * ROUNDING * rank
        return p <= torch.where(small, p, torch.zeros_like(p)).amax(0)


@final
class _Votes(Scorer):
    """A `Committee` whose arsinh is taken in float32: ONNX Runtime has no other."""

    def __init__(self, committee: Committee) -> None:
        super().__init__(committee.channels, committee.size)
        self.members = nn.ModuleList(static(member) for member in committee.members)
        self.register_buffer("units", committee.units)
        self.register_buffer("map_units", committee.map_units.float())

    def _scores(self, images: Tensor) -> Tensor:
        units = self.get_buffer("units")
        scores = torch.stack([member(images).double() for member in self.members])
        return torch.asinh(((scores - units[:, :1]) / units[:, 1:]).float()).mean(0)

    def _maps(self, images: Tensor) -> Tensor:
        units = self.get_buffer("map_units")
        maps = torch.stack([member.map(images).float() for member in self.members if isinstance(member, Scorer)])
        return ((maps - units[:, 0, None, None, None]) / units[:, 1, None, None, None]).mean(0)


@final
class _WholeBank(nn.Module):
    """A `Bank` that compares all queries with all points at once: memory grows with the batch."""

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        points = bank.points
        self.k = bank.k
        self.register_buffer("points", as_unit(points) if points.dtype == torch.uint8 else points)

    def __len__(self) -> int:
        return len(self.get_buffer("points"))

    def forward(self, queries: Tensor) -> Tensor:
        return self.nearest(queries, self.k)[0].mean(1)

    def at(self, indices: Tensor) -> Tensor:
        return self.get_buffer("points")[indices]

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        points = self.get_buffer("points")
        k = min(k, len(self))
        origin = points[:1]
        around = points - origin
        squares = (around**2).sum(1) - 2 * (queries - origin) @ around.T
        which = squares.argmin(1, keepdim=True) if k == 1 else squares.topk(k, dim=1, largest=False).indices
        exact = (self.at(which) - queries[:, None]).norm(dim=2)
        distances, order = exact.topk(k, dim=1, largest=False)
        return distances, which.gather(1, order)


@final
class _Distance(nn.Module):
    """A `GaussianDensity` in float32: ONNX Runtime takes four times as long for matrices in float64."""

    def __init__(self, density: GaussianDensity) -> None:
        super().__init__()
        for name, value in density.named_buffers():
            self.register_buffer(name, value.float())

    def forward(self, embeddings: Tensor) -> Tensor:
        z = (embeddings - self.get_buffer("centre")) / self.get_buffer("spread")
        distances: Tensor = (z @ self.get_buffer("whitener")).norm(dim=1)
        return distances


def static(module: nn.Module) -> nn.Module:
    """Return a copy of a scorer that computes the same without looking at its data."""
    if isinstance(module, Committee):
        return _Votes(module)
    if isinstance(module, Bank):
        return _WholeBank(module)
    if isinstance(module, GaussianDensity):
        return _Distance(module)
    same = copy.copy(module)
    same._modules = {name: None if each is None else static(each) for name, each in module._modules.items()}
    return same.eval()
