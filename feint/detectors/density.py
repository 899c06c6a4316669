"""Gaussian densities on embeddings and, per position, on maps: the distance of an image from the normal ones."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from feint.core.errors import CollapseError

EPSILON = 1e-6
FLOOR = 0.5


@final
class GaussianDensity(nn.Module):
    """Mahalanobis distance to normal embeddings with the Ledoit-Wolf covariance.

        score(z) = || L^T ((z - mu) / sigma) ||,   L L^T = S^-1,   S the Ledoit-Wolf covariance of (z - mu) / sigma

    Cost: fitting O(n d^2 + d^3), scoring O(d^2) an image.
    References: the Gaussian density estimator of Li et al. (2021), arXiv:2104.04015, equation 4; shrinkage by
    Ledoit & Wolf (2004), Journal of Multivariate Analysis 88. Deviations: features are standardised first, since
    maps of different depth have different scales, by at least half the median spread, so that with few images
    shrinkage tames a feature that hardly ever moves; 1e-6 is added to the covariance's diagonal.
    """

    centre: Tensor
    spread: Tensor
    whitener: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(size, dtype=torch.float64))
        self.register_buffer("whitener", torch.eye(size, dtype=torch.float64))

    @torch.no_grad()
    def fit(self, embeddings: Tensor) -> None:
        """Fit on normal embeddings (n, d); raises CollapseError where all of them are the same."""
        from sklearn.covariance import ledoit_wolf

        z = embeddings.double().cpu()
        centre, spread = z.mean(0), z.std(0, correction=min(1, len(z) - 1))
        if not torch.isfinite(z).all():
            raise CollapseError("the embeddings of the normal images are not finite: the training diverged.")
        if not spread.max() >= EPSILON:
            raise CollapseError(
                "the embeddings of all normal images are the same: the images are identical, or the training collapsed."
            )
        spread = spread.clamp(min=max(float(FLOOR * spread.median()), EPSILON * float(spread.max())))
        covariance, _ = ledoit_wolf(((z - centre) / spread).numpy(), assume_centered=True)
        shrunk = torch.from_numpy(covariance) + EPSILON * torch.eye(len(centre), dtype=torch.float64)
        self.centre.copy_(centre)
        self.spread.copy_(spread)
        self.whitener.copy_(torch.linalg.cholesky(torch.linalg.inv(shrunk)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return distances (n,) in standard deviations, higher = more anomalous, for embeddings (n, d)."""
        z = (embeddings.double() - self.centre) / self.spread
        distances: Tensor = (z @ self.whitener).norm(dim=1)
        return distances.float()


@final
class PositionDensity(nn.Module):
    """One Gaussian per position of a map, smoothed over 3 x 3 positions: distances that also make an anomaly map.

    The covariance is shrunk by a tenth towards its mean variance, since images are few where channels are many.

    Fails when: the parts are not aligned, so that a position means nothing; the density is then that of all places
    mixed, and weak. Cost: fitting O(p (n c^2 + c^3)), state p c^2 numbers.
    References: Defard et al. (2021), "PaDiM", arXiv:2011.08785, section III-B.
    Deviations: features of an encoder trained here or of none; no random choice of channels; 3 x 3 smoothing.
    """

    SHRINKAGE = 0.1
    centre: Tensor
    whitener: Tensor

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        p = size[0] * size[1]
        self.register_buffer("centre", torch.zeros(p, 1, channels))
        self.register_buffer("whitener", torch.eye(channels).repeat(p, 1, 1))

    @staticmethod
    def _positions(maps: Tensor) -> Tensor:
        return avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False).flatten(2).permute(2, 0, 1)

    @torch.no_grad()
    def fit(self, maps: Tensor) -> None:
        """Fit on the maps (n, c, h, w) of normal images."""
        z = self._positions(maps)
        centre = z.mean(1, keepdim=True)
        identity = torch.eye(z.shape[2], device=z.device)
        variance = torch.var(z, dim=1, correction=0).mean()
        for p in range(len(z)):
            d = (z[p] - centre[p]).double()
            covariance = d.T @ d / len(d)
            level = torch.clamp(covariance.diagonal().mean(), min=1e-3 * variance.double() + 1e-12)
            shrunk = (1 - self.SHRINKAGE) * covariance + self.SHRINKAGE * level * identity
            self.whitener[p] = torch.linalg.cholesky(torch.linalg.inv(shrunk)).float()
        self.centre.copy_(centre)

    def forward(self, maps: Tensor) -> Tensor:
        """Return distances (n, h, w), higher = more anomalous, for maps (n, c, h, w)."""
        distances: Tensor = torch.bmm(self._positions(maps) - self.centre, self.whitener).norm(dim=2)
        return distances.T.reshape(maps.shape[0], *maps.shape[2:])


def upsample(distances: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (n, h, w) at `size` from coarse ones (n, h', w'), bilinearly."""
    return interpolate(distances[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
