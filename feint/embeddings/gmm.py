"""Several Gaussians: how improbable an embedding is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import final

from feint.core.errors import SettingError
from feint.core.streams import seed_of
from feint.embeddings.preparation import check_share, principal
from feint.embeddings.scorer import EmbeddingScorer, Outlyingness
from feint.metrics.arrays import FloatArray


@final
@dataclass(frozen=True, kw_only=True)
class GMM(EmbeddingScorer):
    """Negative log-likelihood, in nats, under a mixture of K Gaussians on the principal axes; K by the least BIC.

        score(z) = - ln sum_{j <= K} pi_j N(x; mu_j, S_j),   BIC(K) = p(K) ln b - 2 ln L,   p(K) free parameters

    Args:
        components: the largest K tried, from 1; two in a row that do not lower the BIC end the search, and so do
            Gaussians of less than 2 k embeddings each, k axes.
        share: of the variance, that the principal axes keep.

    Fails when: embeddings are few for their size: a full covariance has k (k + 1) / 2 parameters, so that K = 1 wins
    and it is `Mahalanobis` without shrinkage. A dense group of anomalies gets a Gaussian of its own: `Trimmed`.
    Cost: fitting O(b k^2 K^2) per step of EM, scoring O(K k^2) each, k axes.
    References: Schwarz (1978), Annals of Statistics 6 (BIC).
    Deviations: none known.
    """

    bank: int = 5_000
    components: int = 10
    share: float = 0.99

    def __post_init__(self) -> None:
        if self.components < 1:
            raise SettingError(f"GMM.components must be at least 1: got {self.components}.")
        check_share("GMM", self.share)
        super().__post_init__()

    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        coordinates = principal(z, self.share)
        x = coordinates(z)
        chance = seed_of(seed, "gmm") % 2**32
        most = min(self.components, max(1, len(x) // (2 * x.shape[1])))
        tried: list[tuple[float, int, GaussianMixture]] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for k in range(1, most + 1):
                mixture = GaussianMixture(k, random_state=chance).fit(x)
                tried.append((mixture.bic(x), k, mixture))
                if k > min(tried)[1] + 1:
                    break
        _, _, best = min(tried)
        return Outlyingness(of=lambda rows: -best.score_samples(coordinates(rows)))
