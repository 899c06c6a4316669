"""Criteria that hold the pool, or pseudo-anomalies, against normal images kept out of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from feint.metrics.roc import auroc
from feint.metrics.two_sample import excess_above, mean_evidence, two_sample_auroc
from feint.tuning.criteria.criterion import Evidence, Part, SeparateCriterion


@final
@dataclass(frozen=True, kw_only=True)
class TwoSampleAUROC(SeparateCriterion):
    """A2 = P(u > h) + P(u = h) / 2 of pool against held-out scores, `feint.metrics.two_sample.two_sample_auroc`.

    E[A2] = 1/2 + p (AUROC - 1/2) for a share p of anomalies in the pool.

    Fails when: the pool's normals differ from the held-out ones, which were perhaps taken on another day; anomalies are
    so few that p (AUROC_1 - AUROC_2) drowns in noise.
    Cost: O((m + n) log(m + n)).
    Deviations: it chooses among candidates, where the literature trains with it or estimates the AUROC.
    """

    name = "two-sample-auroc"
    needs: ClassVar[frozenset[Part]] = frozenset({"pool", "held_out"})
    ranks_only: ClassVar[bool] = True

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        return two_sample_auroc(candidate.part("pool"), candidate.part("held_out"))


@final
@dataclass(frozen=True, kw_only=True)
class Excess(SeparateCriterion):
    """X_q, the share of the pool above the `level` q of the held-out normals, `feint.metrics.two_sample.excess`.

    Undefined for fewer than ceil(1 / (1 - q)) - 1 held-out normals: 19 for 0.95, 99 for 0.99.

    Fails when: as `TwoSampleAUROC`; besides, it is coarse where the pool is small (steps of 1/n).
    Cost: O((m + n) log m).
    References: Feint's own; its expectation follows from the pool being a mixture. Deviations: none known.
    Raises: SettingError where `level` is not strictly between 0 and 1.
    """

    level: float = 0.95
    needs: ClassVar[frozenset[Part]] = frozenset({"pool", "held_out"})
    ranks_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        excess_above(self.level)

    @property
    def name(self) -> str:
        """The level in percent is part of the name: excess-95."""
        return f"excess-{100 * self.level:g}"

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        return excess_above(self.level)(candidate.part("pool"), candidate.part("held_out"))


@final
@dataclass(frozen=True, kw_only=True)
class MeanEvidence(SeparateCriterion):
    """The mean of -ln p over the pool, p the conformal p-value, `feint.metrics.two_sample.mean_evidence`.

    Fails when: as `TwoSampleAUROC`. Its level depends on m, so compare candidates on the same held-out images.
    Cost: O((m + n) log m).
    Deviations: none known.
    """

    name = "mean-evidence"
    needs: ClassVar[frozenset[Part]] = frozenset({"pool", "held_out"})
    ranks_only: ClassVar[bool] = True

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        return mean_evidence(candidate.part("pool"), candidate.part("held_out"))


@final
@dataclass(frozen=True, kw_only=True)
class PseudoAUROC(SeparateCriterion):
    """The AUROC of telling pseudo-anomalies from the held-out normals they may have been made of, in [0, 1].

    Fails when: the pseudo-anomalies do not resemble the real ones: it never looks at the pool. If each candidate is
    judged on pseudo-anomalies of its own, the candidate with the easiest ones wins: give all the same.
    Cost: O((m + k) log(m + k)).
    References: none needed. Deviations: none known.
    """

    name = "pseudo-auroc"
    needs: ClassVar[frozenset[Part]] = frozenset({"pseudo", "held_out"})
    ranks_only: ClassVar[bool] = True

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        return auroc(candidate.part("held_out"), candidate.part("pseudo"))
