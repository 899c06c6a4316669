"""The local outlier factor: how much sparser it is around an embedding than around its neighbours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import final

from feint.core.errors import SettingError
from feint.embeddings.preparation import standardising
from feint.embeddings.scorer import EmbeddingScorer, Outlyingness
from feint.metrics.arrays import FloatArray


@final
@dataclass(frozen=True, kw_only=True)
class LOF(EmbeddingScorer):
    """The local outlier factor of standardised embeddings: about 1 among equals, larger where it is sparser.

        score(z) = (1/k) sum_{j in N_k(z)} lrd(z_j) / lrd(z),   lrd = 1 / the mean reachability distance to N_k

    Args:
        k: neighbours; more than anomalies of one kind are expected.

    Fails when: more than k anomalies of one kind lie close together, dense among themselves; or more than k
    embeddings are the same, so that their density is infinite.
    Cost: fitting O(b^2 d), scoring O(b d) each.
    References: Breunig et al. (SIGMOD 2000), LOF: identifying density-based local outliers, definitions 5 to 7.
    Deviations: none known.
    """

    k: int = 20

    def __post_init__(self) -> None:
        if self.k < 1:
            raise SettingError(f"LOF.k must be at least 1: got {self.k}.")
        super().__post_init__()

    @property
    def least(self) -> int:
        return self.k + 1

    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:  # noqa: ARG002
        from sklearn.neighbors import LocalOutlierFactor

        standard = standardising(z)
        factor = LocalOutlierFactor(n_neighbors=self.k, algorithm="brute", novelty=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Duplicate values", UserWarning)
            factor.fit(standard(z))
        return Outlyingness(
            of=lambda rows: -factor.score_samples(standard(rows)), own=lambda: -factor.negative_outlier_factor_
        )
