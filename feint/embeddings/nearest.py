"""The nearest-neighbour probe: how far the labels of an embedding's neighbours tell its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from feint.core.errors import SettingError
from feint.embeddings.preparation import unit_length
from feint.embeddings.probe import Learned, Probe
from feint.metrics.arrays import BoolArray, FloatArray

CERTAIN = 1e-6


@final
@dataclass(frozen=True, kw_only=True)
class NearestProbe(Probe):
    """The vote of the k labelled embeddings with the largest cosine similarity, as a logit.

        logit(z) = ln p / (1 - p),   p = sum_{j in N_k(z)} w_j y_j / sum_{j in N_k(z)} w_j,   w_j = exp(cos(z, z_j) / T)

    Args:
        k: neighbours that vote: 1, 5, 20 and 200 are usual.
        temperature: T; the smaller, the more the nearest counts.

    Fails when: anomalies are so rare that k neighbours are normal everywhere: p is then tied near 0.
    Cost: nothing to fit; O(n d) each.
    References: Wu et al. (2018), arXiv:1805.01978, section 3.4; k = 20 and T = 0.07 as Caron et al. (2021),
    arXiv:2104.14294.
    Deviations: p is kept within 1e-6 of 0 and 1, so that every logit is finite.
    """

    k: int = 20
    temperature: float = 0.07

    def __post_init__(self) -> None:
        if self.k < 1 or not self.temperature > 0:
            raise SettingError(
                f"NearestProbe.k must be at least 1, its temperature above 0: got {self.k} and {self.temperature}."
            )

    @property
    def least(self) -> int:
        return max(2, self.k)

    def _fit(self, z: FloatArray, anomalous: BoolArray, seed: int) -> Learned:  # noqa: ARG002
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=self.k, algorithm="brute").fit(unit_length(z))

        def logits(rows: FloatArray) -> FloatArray:
            distances, which = search.kneighbors(unit_length(rows))
            nearer = (distances[:, :1] ** 2 - distances**2) / 2  # cos - the largest cos, since all have unit length
            w = np.exp(nearer / self.temperature)
            p = ((w * anomalous[which]).sum(axis=1) / w.sum(axis=1)).clip(CERTAIN, 1 - CERTAIN)
            return np.asarray(np.log(p / (1 - p)))

        return Learned(logits=logits, prevalence=float(anomalous.mean()))
