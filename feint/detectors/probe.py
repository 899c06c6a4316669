"""Learning from unlabelled images on a frozen encoder: ridge regression between them and normal ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, get_args

import torch
from torch import Tensor, nn

from feint.core.detector import Log, PoolDetector, check_settings
from feint.detectors.density import GaussianDensity
from feint.detectors.features import FeatureScorer, feature_size, fitted_scorer, pooled_features
from feint.networks.conv import GROUPS
from feint.networks.pretrained import RGB, Encoder, Lite0, untrained

FrozenEncoder = Literal["untrained", "lite0"]
FARTHEST = 5.0
FLOOR = 0.5
EPSILON = 1e-6
QUARTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)


@final
class ProbeHead(nn.Module):
    """A linear function of standardised features and of the distance from the normal ones.

        score(z) = w^T [u, c d],   u = (z - mu) / sigma cut to +-5,   d = (D(z) - med D(U)) / iqr D(U)

    D is the Gaussian distance from the normal features (`GaussianDensity`), U the unlabelled ones.
    """

    centre: Tensor
    spread: Tensor
    scale: Tensor
    weights: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.density = GaussianDensity(size)
        self.register_buffer("centre", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(size, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([0.0, 1.0], dtype=torch.float64))
        self.register_buffer("weights", torch.zeros(size + 1, dtype=torch.float64))

    @torch.no_grad()
    def fit(self, normal: Tensor, unlabelled: Tensor, *, penalty: float, distance: float) -> None:
        """Fit on features of normal (n, d) and unlabelled images (m, d); raises CollapseError where all are the same.

        w minimises the mean of (y - b - w^T [u, c d])^2 over all n + m, plus penalty |w|^2; y = 1 for the unlabelled.
        """
        self.density.fit(normal)
        both = torch.cat([normal, unlabelled]).double()
        spread = both.std(0)
        self.centre.copy_(both.mean(0))
        self.spread.copy_(spread.clamp(min=max(float(FLOOR * spread.median()), EPSILON * float(spread.max()))))
        low, middle, high = torch.quantile(self.density(unlabelled).double(), QUARTILES)
        self.scale.copy_(torch.stack([middle, (high - low).clamp(min=EPSILON * middle) / distance]))
        x = self._columns(both)
        x = x - x.mean(0)
        y = torch.cat([torch.zeros(len(normal)), torch.ones(len(unlabelled))]).double()
        gram = x.T @ x / len(x) + penalty * torch.eye(x.shape[1], dtype=torch.float64)
        self.weights.copy_(torch.linalg.solve(gram, x.T @ (y - y.mean()) / len(x)))

    def _columns(self, features: Tensor) -> Tensor:
        """Return u and c d side by side, (n, d + 1)."""
        u = ((features.double() - self.centre) / self.spread).clamp(-FARTHEST, FARTHEST)
        distance = (self.density(features).double() - self.scale[0]) / self.scale[1]
        return torch.cat([u, distance[:, None]], dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return scores (n,), higher = more anomalous, of features (n, d)."""
        scores: Tensor = self._columns(features) @ self.weights
        return scores.float()


@final
@dataclass(frozen=True, kw_only=True)
class PoolProbe(PoolDetector[FeatureScorer]):
    """Ridge regression between normal and unlabelled images on the pooled features of a frozen encoder.

    The distance from normal is one more feature, which the penalty hardly touches: with few anomalies in the pool
    the probe falls back on it, and with many it follows what sets the pool apart. See `ProbeHead`. The anomaly map is
    that of a `FeatureScorer`, the density of the normal images per position, and owes nothing to the pool.

    Args:
        encoder: "untrained" (the small encoder with random weights) or "lite0" (ImageNet; extra `lite0`).
        encoder_size: side in pixels to which images are resized for the encoder; None: as they come.
        width, depth: of the small encoder.
        penalty: of the squared weights, on features of unit spread.
        distance: c, the weight of the distance in quartile distances of the pool.

    Fails when: as `PoolClassifier`, though less with few anomalies; with small defects, of which pooling leaves little.
    Cost: one pass of the encoder for every image, O((n + m) d^2 + d^3) to fit; d is 720 with the small encoder.
    References: Fisher's discriminant as least squares, Hastie, Tibshirani, Friedman (2009), section 4.2 and exercise
    4.2; Friedman (1989), JASA 84, for its shrinkage.
    Deviations: the distance as a feature; the penalty is a measured default, not cross-validated: with the distance
    among the features, which is smaller on the images it was fitted on, cross-validation preferred too small ones.
    """

    encoder: FrozenEncoder = "untrained"
    encoder_size: int | None = None
    width: int = 16
    depth: int = 4
    penalty: float = 100.0
    distance: float = 5.0

    def __post_init__(self) -> None:
        allowed = {
            "encoder": self.encoder in get_args(FrozenEncoder),
            "encoder_size": self.encoder_size is None or self.encoder_size >= 1,
            "width": self.width >= GROUPS and self.width % GROUPS == 0,
            "depth": self.depth >= 1,
            "penalty": self.penalty > 0,
            "distance": self.distance > 0,
        }
        rules = (
            f"encoder is one of {', '.join(get_args(FrozenEncoder))}, encoder_size a number of pixels or None, width a "
            f"multiple of {GROUPS}, depth at least 1, penalty and distance above 0"
        )
        check_settings(self, allowed, rules)

    def scorer(self, channels: int, size: tuple[int, int]) -> FeatureScorer:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        encoder = self._encoder(channels, seed=0)
        head = ProbeHead(feature_size(encoder, channels, size))
        return FeatureScorer(channels, size, encoder=encoder, distance=head).eval()

    def _encoder(self, channels: int, *, seed: int) -> Encoder:
        if self.encoder == "lite0":
            return Encoder(Lite0(), channels=RGB, size=self.encoder_size)
        network = untrained(channels, width=self.width, depth=self.depth, seed=seed)
        return Encoder(network, channels=channels, size=self.encoder_size)

    def _fit(self, normals: Tensor, unlabelled: Tensor, seed: int, log: Log) -> FeatureScorer:  # noqa: ARG002
        encoder = self._encoder(normals.shape[1], seed=seed)
        normal, other = pooled_features(encoder, normals), pooled_features(encoder, unlabelled)
        head = ProbeHead(normal.shape[1])
        head.fit(normal, other, penalty=self.penalty, distance=self.distance)
        return fitted_scorer(normals, encoder, head)
