"""A one-class support vector machine: how far an embedding is outside the smooth region that holds most of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from feint.core.errors import SettingError
from feint.core.streams import seed_of
from feint.embeddings.preparation import standardising
from feint.embeddings.scorer import EmbeddingScorer, Outlyingness
from feint.metrics.arrays import FloatArray


@final
@dataclass(frozen=True, kw_only=True)
class OneClassSVM(EmbeddingScorer):
    """The one-class support vector machine with a Gaussian kernel.

        score(z) = - sum_i a_i exp(- ||x - x_i||^2 / (d v)),   x standardised, v the variance of all their numbers

    Args:
        nu: the share of the embeddings fitted on that may lie outside; the share of anomalies, if it is known.

    Fails when: an embedding is far from everything: the kernel vanishes, and all such score alike.
    Cost: fitting O(b^2 d), hence a smaller bank; scoring O(s d) each, s >= nu b support vectors.
    References: Schölkopf et al. (2001), Neural Computation 13(7), equation 3.
    Deviations: none known.
    """

    bank: int = 5_000
    nu: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.nu <= 1:
            raise SettingError(f"OneClassSVM.nu must lie between 0 and 1: got {self.nu}.")
        super().__post_init__()

    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:
        from sklearn import svm

        standard = standardising(z)
        machine = svm.OneClassSVM(kernel="rbf", gamma="scale", nu=self.nu)
        # It has no such argument, and seeds libsvm, which needs no chance here, from numpy's global generator.
        machine.random_state = seed_of(seed, "one-class-svm") % 2**32
        machine.fit(standard(z))
        return Outlyingness(of=lambda rows: -machine.score_samples(standard(rows)))
