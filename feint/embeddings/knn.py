"""Nearest neighbours: how far an embedding is from those fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, get_args

from feint.core.errors import SettingError
from feint.embeddings.preparation import standardising, unit_length
from feint.embeddings.scorer import EmbeddingScorer, Outlyingness
from feint.metrics.arrays import FloatArray

Metric = Literal["cosine", "euclidean"]


@final
@dataclass(frozen=True, kw_only=True)
class KNN(EmbeddingScorer):
    """Mean distance to the k nearest embeddings.

        score(z) = (1/k) sum_{j in N_k(z)} || u(z) - u(z_j) ||,   u(z) = z / ||z||

    Args:
        k: neighbours whose distances are averaged; at least as many as anomalies of one kind are expected.
        metric: "cosine" is the formula; "euclidean" takes standardised embeddings for u.

    Fails when: more than k anomalies of one kind are among the embeddings fitted on: they are their own neighbours.
    Then take a larger k, or `Trimmed`.
    Cost: nothing to fit; O(b d) to score one against a bank of b.
    References: Ramaswamy, Rastogi, Shim (SIGMOD 2000), Efficient algorithms for mining outliers, with the distance to
    the k-th neighbour; the mean over k is Angiulli & Pizzuti's (PKDD 2002). On unit embeddings: Sun et al. (2022),
    arXiv:2204.06507.
    Deviations: none known.
    """

    k: int = 5
    metric: Metric = "cosine"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise SettingError(f"KNN.k must be at least 1: got {self.k}.")
        if self.metric not in get_args(Metric):
            raise SettingError(f"KNN.metric must be one of {', '.join(get_args(Metric))}: got {self.metric!r}.")
        super().__post_init__()

    @property
    def least(self) -> int:
        return self.k + 1

    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:  # noqa: ARG002
        from sklearn.neighbors import NearestNeighbors

        placed = unit_length if self.metric == "cosine" else standardising(z)
        search = NearestNeighbors(n_neighbors=self.k, algorithm="brute").fit(placed(z))
        return Outlyingness(
            of=lambda rows: search.kneighbors(placed(rows))[0].mean(axis=1),
            own=lambda: search.kneighbors()[0].mean(axis=1),
        )
