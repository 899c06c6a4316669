"""Nearest neighbours: how far an image is from the normal ones, as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor, nn

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Detector, Log, Scorer, as_unit
from feint.core.errors import SettingError

NUMBERS_AT_ONCE = 2**24


@final
class Bank(nn.Module):
    """The points (m, d) among which neighbours are sought, float or uint8 (read as bytes / 255).

    Its size is part of its state: a bank of another size takes it on in `load_state_dict`.

    Args:
        points: kept as they are. k: neighbours whose distances `forward` averages.
    """

    points: Tensor

    def __init__(self, points: Tensor, *, k: int = 1) -> None:
        super().__init__()
        self.k = k
        self.register_buffer("points", points)

    def forward(self, queries: Tensor) -> Tensor:
        """Return the mean distance (n,) of `queries` (n, d) to their k nearest points."""
        return self.nearest(queries, self.k)[0].mean(1)

    def __len__(self) -> int:
        return len(self.points)

    def at(self, indices: Tensor) -> Tensor:
        """Return the points (..., d) at `indices` (...)."""
        return _as_float(self.points[indices])

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return Euclidean distances (n, k), ascending, of `queries` (n, d) to their nearest points, and which (n, k).

        Candidates come from ||q||^2 - 2 q p + ||p||^2 around one of the points; their distances are then computed
        exactly, so that a score depends neither on the batch nor on cancellation. With less than k points, all count.

        Cost: O(n m d); memory bounded by 64 MB for each of queries, points and their products.
        """
        k, d = min(k, len(self)), self.points.shape[1]
        rows = max(1, min(NUMBERS_AT_ONCE // (k * d), 1024))
        found = [self._nearest(chunk, k) for chunk in torch.split(queries, rows)]
        return torch.cat([each[0] for each in found]), torch.cat([each[1] for each in found])

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        origin = _as_float(self.points[:1])
        squares = queries.new_empty(len(queries), 0)
        indices = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
        block = max(1, NUMBERS_AT_ONCE // max(self.points.shape[1], len(queries)))
        for start in range(0, len(self), block):
            points = _as_float(self.points[start : start + block]) - origin
            further = torch.addmm((points**2).sum(1), queries - origin, points.T, alpha=-2)
            closest, which = _smallest(further, min(k, len(points)))
            squares, indices = torch.cat([squares, closest], 1), torch.cat([indices, which + start], 1)
            squares, which = _smallest(squares, min(k, squares.shape[1]))
            indices = indices.gather(1, which)
        exact = (self.at(indices) - queries[:, None]).norm(dim=2)
        distances, order = exact.sort(dim=1, stable=True)
        return distances, indices.gather(1, order)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        points = state_dict.get(f"{prefix}points")
        if isinstance(points, Tensor) and points.shape[1:] == self.points.shape[1:]:
            self.points = torch.empty_like(points, device=self.points.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _smallest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k smallest of each row and where they are; for one, the minimum is several times faster."""
    if k == 1:
        least, where = values.min(dim=1, keepdim=True)
        return least, where
    chosen, which = values.topk(k, dim=1, largest=False)
    return chosen, which


def _as_float(points: Tensor) -> Tensor:
    return as_unit(points) if points.dtype == torch.uint8 else points


def check_neighbours(owner: str, k: int, images: int | None = None) -> None:
    """Raise SettingError unless `k` neighbours can be found among so many normal images; None: their number is open."""
    if images is None and k < 1:
        raise SettingError(f"{owner}.k must be at least 1: got {k}.")
    if images is not None and not 1 <= k <= images:
        raise SettingError(f"{owner}.k must be between 1 and the {images} normal images: got {k}.")


@final
class PixelScorer(Scorer):
    """Mean distance to the k nearest normal images; maps are the mean squared differences from them."""

    def __init__(self, normals: Tensor, *, k: int) -> None:
        super().__init__(normals.shape[1], (normals.shape[2], normals.shape[3]))
        self.bank = Bank(normals.flatten(1).clone(), k=k)

    def _scores(self, images: Tensor) -> Tensor:
        scores: Tensor = self.bank(images.flatten(1))
        return scores

    def _maps(self, images: Tensor) -> Tensor:
        _, indices = self.bank.nearest(images.flatten(1), self.bank.k)
        maps = images.new_zeros(images.shape[0], *self.size)
        for which in indices.unbind(1):
            maps += ((images - self.bank.at(which).reshape(images.shape)) ** 2).mean(1) / indices.shape[1]
        return maps


@final
@dataclass(frozen=True, kw_only=True)
class PixelKNN(Detector[PixelScorer]):
    """Nearest neighbours on raw pixels: the plainest baseline of a study.

        score(x) = (1/k) sum_{j in N_k(x)} || x - x_j ||

    Args:
        k: neighbours whose distances are averaged.

    Fails when: objects are not aligned, or the defect is small beside what varies among normal images.
    Cost: nothing to train; the normal images as bytes; O(n d) to score an image among n of d pixels.
    References: Ramaswamy, Rastogi, Shim (SIGMOD 2000), Efficient algorithms for mining outliers, with the distance to
    the k-th neighbour; the mean over k is Angiulli & Pizzuti's (PKDD 2002).
    Deviations: none known.
    """

    pseudo_anomalies: ClassVar[Literal["required", "refused", "optional"]] = "refused"

    k: int = 1

    def __post_init__(self) -> None:
        check_neighbours("PixelKNN", self.k)

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> PixelScorer:  # noqa: ARG002
        check_neighbours("PixelKNN", self.k, len(normals))
        return PixelScorer(normals, k=self.k).eval()
