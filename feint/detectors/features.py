"""Distance from normal on the pooled features of an encoder: nearest neighbours, or a Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Log, Scorer, thinned
from feint.detectors.density import GaussianDensity, PositionDensity, upsample
from feint.detectors.encoders import EncoderDetector, in_chunks, middle
from feint.detectors.neighbours import Bank, check_neighbours
from feint.networks.conv import pooled
from feint.networks.pretrained import Encoder

Pool = Callable[[list[Tensor]], Tensor]

MOST_CHANNELS = 64
MOST_MAPPED = 500


@final
class FeatureScorer(Scorer):
    """A distance on pooled features; maps are those of one Gaussian per position of the first middle map.

    The map's density is fitted on at most 500 evenly spaced images and 64 evenly spaced channels, so that a wide
    encoder's fits in memory.

    Args:
        encoder, distance: from images to maps, from features (n, d) to scores (n,).
        pool: from maps to features: mean, maximum and standard deviation of every stage, if nothing else is said.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], *, encoder: Encoder, distance: nn.Module, pool: Pool = pooled
    ) -> None:
        super().__init__(channels, size)
        self.encoder, self.distance, self.pool = encoder, distance, pool
        with torch.no_grad():
            seen = _thinned(middle(encoder.maps(torch.zeros(1, channels, *size)))[0])
        self.position = PositionDensity(seen.shape[1], (seen.shape[2], seen.shape[3]))

    @torch.no_grad()
    def fit_maps(self, normals: Tensor) -> None:
        """Fit the density behind the anomaly maps on normal images (n, c, h, w), uint8."""
        normals = thinned(normals, MOST_MAPPED)
        maps = [_thinned(middle(self.encoder.maps(chunk))[0]) for chunk in in_chunks(normals)]
        self.position.fit(torch.cat(maps))

    def _embeddings(self, images: Tensor) -> Tensor:
        return self.pool(self.encoder.maps(images))

    def _scores(self, images: Tensor) -> Tensor:
        scores: Tensor = self.distance(self._embeddings(images))
        return scores

    def _maps(self, images: Tensor) -> Tensor:
        return upsample(self.position(_thinned(middle(self.encoder.maps(images))[0])), self.size)


@final
@dataclass(frozen=True, kw_only=True)
class FeatureKNN(EncoderDetector[FeatureScorer]):
    """Nearest neighbours on the pooled features of an encoder.

        score(x) = (1/k) sum_{j in N_k(x)} || z(x) - z(x_j) ||

    Args:
        k: neighbours whose distances are averaged; for the rest see `EncoderDetector`.

    Fails when: the defect is small: pooling leaves little of it. Cost: one pass of the encoder for every image.
    References: Bergman, Cohen, Hoshen (2020), Deep nearest neighbor anomaly detection, arXiv:2002.10445.
    Deviations: pooled over all stages, by mean, maximum and standard deviation; theirs is the mean of the last one.
    """

    k: int = 3

    def __post_init__(self) -> None:
        EncoderDetector.__post_init__(self)
        check_neighbours("FeatureKNN", self.k)

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> FeatureScorer:
        check_neighbours("FeatureKNN", self.k, len(normals))
        encoder = self._encoder(normals, policy, seed, log)
        return fitted_scorer(normals, encoder, Bank(pooled_features(encoder, normals), k=self.k))

    def _around(self, encoder: Encoder, channels: int, size: tuple[int, int]) -> FeatureScorer:
        bank = Bank(torch.zeros(1, feature_size(encoder, channels, size)), k=self.k)
        return FeatureScorer(channels, size, encoder=encoder, distance=bank).eval()


@final
@dataclass(frozen=True, kw_only=True)
class FeatureGaussian(EncoderDetector[FeatureScorer]):
    """Mahalanobis distance on the pooled features of an encoder, with the Ledoit-Wolf covariance (`GaussianDensity`).

    Args: see `EncoderDetector`.

    Fails when: the normal images fall into kinds with gaps between them. Cost: one pass of the encoder for every
    image; O(n d^2 + d^3) to fit: d is 744 with the small encoder and 1,488 with Lite0.
    References: Rippel, Mertens, Merhof (ICPR 2020), arXiv:2005.14140.
    Deviations: pooled over all stages at once, by mean, maximum and standard deviation.
    """

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> FeatureScorer:
        encoder = self._encoder(normals, policy, seed, log)
        features = pooled_features(encoder, normals)
        density = GaussianDensity(features.shape[1])
        density.fit(features)
        return fitted_scorer(normals, encoder, density)

    def _around(self, encoder: Encoder, channels: int, size: tuple[int, int]) -> FeatureScorer:
        density = GaussianDensity(feature_size(encoder, channels, size))
        return FeatureScorer(channels, size, encoder=encoder, distance=density).eval()


def fitted_scorer(normals: Tensor, encoder: Encoder, distance: nn.Module, *, pool: Pool = pooled) -> FeatureScorer:
    """Return a scorer with this `distance`, already fitted, and maps fitted on normal images (n, c, h, w), uint8."""
    size = (normals.shape[2], normals.shape[3])
    scorer = FeatureScorer(normals.shape[1], size, encoder=encoder, distance=distance, pool=pool)
    scorer.fit_maps(normals)
    return scorer.eval()


@torch.no_grad()
def feature_size(encoder: Encoder, channels: int, size: tuple[int, int]) -> int:
    """Return d, how many pooled features `encoder` gives of an image."""
    return pooled(encoder.maps(torch.zeros(1, channels, *size))).shape[1]


@torch.no_grad()
def pooled_features(encoder: Encoder, normals: Tensor, *, pool: Pool = pooled) -> Tensor:
    """Return features (n, d) of images (n, c, h, w), uint8."""
    return torch.cat([pool(encoder.maps(chunk)) for chunk in in_chunks(normals)])


def _thinned(maps: Tensor) -> Tensor:
    """Return at most 64 evenly spaced channels of maps (n, c, h, w)."""
    c = maps.shape[1]
    return maps[:, torch.linspace(0, c - 1, MOST_CHANNELS).long()] if c > MOST_CHANNELS else maps
