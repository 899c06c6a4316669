"""Fitting under contamination: the embeddings that look most anomalous are left out, and the scorer fitted again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from feint.core.errors import SettingError
from feint.embeddings.scorer import EmbeddingScorer, FittedScorer, Outlyingness
from feint.metrics.arrays import FloatArray, IntArray


@final
@dataclass(frozen=True, kw_only=True)
class Trimmed(EmbeddingScorer):
    """A scorer fitted again on the 1 - share of the embeddings that it scores lowest.

    Args:
        scorer: what is fitted.
        share: left out; at least the share of anomalies that is expected.
        passes: how often it is fitted again, each time on the lowest of all embeddings.

    Fails when: the first fit takes anomalies for normal: more of one kind than a neighbour scorer's k, or a share
    of them larger than `share`. Where there are none, the rarest normal embeddings are left out for nothing.
    Cost: passes + 1 fits, and as often the scores of all embeddings.
    References: Rousseeuw & Van Driessen (1999), Technometrics 41(3): the concentration step of the fast minimum
    covariance determinant, here for any scorer.
    Deviations: a fixed number of steps from one start, and no determinant to be minimised.
    """

    scorer: EmbeddingScorer
    share: float = 0.2
    passes: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.passes < 1:
            raise SettingError(
                f"Trimmed.share must lie between 0 and 1, its passes be at least 1: got {self.share} and {self.passes}."
            )
        super().__post_init__()

    @property
    def least(self) -> int:
        return math.ceil(self.scorer.least / (1 - self.share)) + 1

    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:
        kept = np.arange(len(z))
        fitted = self.scorer.fit(z, seed=seed)
        for _ in range(self.passes):
            scores = _own_scores(fitted, z, kept)
            kept = np.sort(np.argsort(scores, kind="stable")[: round((1 - self.share) * len(z))])
            fitted = self.scorer.fit(z[kept], seed=seed)
        return Outlyingness(of=fitted.score, own=lambda: _own_scores(fitted, z, kept))


def _own_scores(fitted: FittedScorer, z: FloatArray, kept: IntArray) -> FloatArray:
    """Return the scores (n,) of `z` (n, d) by what was fitted on its rows `kept`, none its own neighbour."""
    scores = np.empty(len(z))
    scores[kept] = fitted.own_scores()
    left_out = np.setdiff1d(np.arange(len(z)), kept)
    scores[left_out] = fitted.score(z[left_out])
    return scores
