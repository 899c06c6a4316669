"""S, the variance of the scores on the unlabelled pool, by which ST-SSAD chooses among starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from feint.core.errors import CollapseError
from feint.metrics.two_sample import score_variance
from feint.tuning.criteria.criterion import Evidence, Part, SeparateCriterion


@final
@dataclass(frozen=True, kw_only=True)
class Variance(SeparateCriterion):
    """S = (1/n) sum_i (s_i - mean(s))^2 over the pool's raw scores.

    Undefined where the scores are constant.

    Fails when: candidates have scores of different scales, as most do; a strong but mismatched augmentation, or one
    extreme score, inflates it.
    Cost: O(n).
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033. Deviations: none known.
    """

    name = "variance"
    needs: ClassVar[frozenset[Part]] = frozenset({"pool"})

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        s = candidate.part("pool")
        if s.min() == s.max():
            raise CollapseError(f"the scores of the pool are all {s[0]:g}.")
        return float(s.var())


@final
@dataclass(frozen=True, kw_only=True)
class StandardisedVariance(SeparateCriterion):
    """S of scores in units of the held-out normals' standard deviation, `feint.metrics.two_sample.score_variance`.

    About 1 when nothing is anomalous. Undefined where the held-out scores are constant.

    Fails when: as `Variance`, but for the scale.
    Cost: O(m + n).
    """

    name = "standardised-variance"
    needs: ClassVar[frozenset[Part]] = frozenset({"pool", "held_out"})

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        return score_variance(candidate.part("pool"), candidate.part("held_out"))
