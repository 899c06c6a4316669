"""An isolation forest: how few random cuts set an embedding apart."""

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
class IsolationForest(EmbeddingScorer):
    """The isolation forest's score, in (0, 1].

        score(z) = 2^(- E[h(z)] / c(samples)),   h = the depth at which a tree isolates z

    Args:
        trees: how many; samples: embeddings each is grown on, at most.

    Fails when: what is odd shows only in several columns together, since every cut is along one; or d is large and
    few columns matter.
    Cost: fitting O(trees samples log samples), scoring O(trees log samples) each.
    References: Liu, Ting, Zhou (ICDM 2008), Isolation forest, equation 2, with its defaults but for 200 trees.
    Deviations: none known.
    """

    trees: int = 200
    samples: int = 256

    def __post_init__(self) -> None:
        if self.trees < 1 or self.samples < 2:
            raise SettingError(
                f"IsolationForest needs at least 1 tree and 2 samples: got {self.trees} and {self.samples}."
            )
        super().__post_init__()

    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:
        from sklearn import ensemble

        standard = standardising(z)
        chance = seed_of(seed, "isolation-forest") % 2**32
        forest = ensemble.IsolationForest(
            n_estimators=self.trees, max_samples=min(self.samples, len(z)), random_state=chance
        ).fit(standard(z))
        return Outlyingness(of=lambda rows: -forest.score_samples(standard(rows)))
