"""One Gaussian: how many standard deviations an embedding is from the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from feint.embeddings.preparation import check_share, principal
from feint.embeddings.scorer import EmbeddingScorer, Outlyingness
from feint.metrics.arrays import FloatArray


@final
@dataclass(frozen=True, kw_only=True)
class Mahalanobis(EmbeddingScorer):
    """Mahalanobis distance with the Ledoit-Wolf covariance, on the principal axes.

        score(z) = sqrt((x - mu)^T S^-1 (x - mu)),   x = the principal coordinates of z,   S their shrunk covariance

    Args:
        share: of the variance, that the principal axes keep.

    Fails when: the normal embeddings form several groups; or what is odd about an anomaly lies in the variance left
    out. Many anomalies among the embeddings fitted on draw mean and covariance to themselves: then take `Trimmed`.
    Cost: fitting O(b d^2 + d^3), scoring O(d k) each, k axes.
    References: Ledoit & Wolf (2004), Journal of Multivariate Analysis 88.
    Deviations: columns are standardised first, by at least half their median spread.
    """

    share: float = 0.99

    def __post_init__(self) -> None:
        check_share("Mahalanobis", self.share)
        super().__post_init__()

    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:  # noqa: ARG002
        from sklearn.covariance import ledoit_wolf

        coordinates = principal(z, self.share)
        covariance, _ = ledoit_wolf(coordinates(z), assume_centered=True)
        whitener = np.linalg.cholesky(np.linalg.inv(covariance))
        return Outlyingness(of=lambda rows: np.linalg.norm(coordinates(rows) @ whitener, axis=1))
