"""Criteria on rankings of the pool: how far they agree with those of other candidates, or of other seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, final

import numpy as np

from feint.core.errors import CollapseError, InputError
from feint.metrics.arrays import BoolArray, FloatArray
from feint.metrics.ranks import midranks
from feint.tuning.criteria.criterion import Criterion, Evidence, Part, SeparateCriterion


@final
@dataclass(frozen=True, kw_only=True)
class ModelCentrality(Criterion):
    """MC_i = mean over j != i of Kendall's tau-b between the pool's scores by candidates i and j, in [-1, 1].

    Undefined for constant scores (which no other candidate is compared with either) and for a candidate alone.

    Fails when: most candidates err alike: it rewards the crowd. Candidates that are (nearly) the same lift one another,
    so a setting that is listed twice gains: keep one of each.
    Raises: InputError where the candidates have not scored the same number of pool images.
    Cost: O(C^2 n log n).
    References: Ma, Zhao, Zhang, Akoglu (2023), SIGKDD Explorations 25, arXiv:2104.01422. Deviations: none known.
    """

    name = "model-centrality"
    needs: ClassVar[frozenset[Part]] = frozenset({"pool"})
    ranks_only: ClassVar[bool] = True
    consensus: ClassVar[bool] = True

    def _values(self, candidates: Sequence[Evidence], seed: int) -> FloatArray:  # noqa: ARG002
        from scipy.stats import kendalltau

        s, varies = _varying_pools(candidates)
        tau = np.zeros((len(s), len(s)))
        for i, j in combinations(range(len(s)), 2):
            tau[i, j] = tau[j, i] = kendalltau(s[i], s[j], method="asymptotic").statistic
        found = np.full(len(candidates), np.nan)
        if len(s) > 1:
            found[varies] = tau.sum(axis=1) / (len(s) - 1)
        return found


@final
@dataclass(frozen=True, kw_only=True)
class HITS(Criterion):
    """How much a candidate, as a hub, ranks high what the others rank high, in [0, 1].

        W_mi = 1 / rank_m(i), rank 1 = most anomalous;   h ~ W a, a ~ W^T h, ||h|| = ||a|| = 1

    so that h is the leading left singular vector of W, which is positive and unique. Equal scores share the mean of
    their ranks. Undefined for constant scores and for a candidate alone; its level depends on the number of candidates.

    Fails when: as `ModelCentrality`, among the images at the top.
    Raises: InputError where the candidates have not scored the same number of pool images.
    Cost: O(C n log n + C^2 n + C^3).
    References: Kleinberg (1999), JACM 46; as a criterion Ma, Zhao, Zhang, Akoglu (2023), arXiv:2104.01422.
    Deviations: ranks count from the top; the public code gives weight 1 to the most normal image.
    """

    name = "hits"
    needs: ClassVar[frozenset[Part]] = frozenset({"pool"})
    ranks_only: ClassVar[bool] = True
    consensus: ClassVar[bool] = True

    def _values(self, candidates: Sequence[Evidence], seed: int) -> FloatArray:  # noqa: ARG002
        s, varies = _varying_pools(candidates)
        found = np.full(len(candidates), np.nan)
        if len(s) > 1:
            W = np.stack([1 / midranks(-row) for row in s])
            found[varies] = np.abs(np.linalg.eigh(W @ W.T).eigenvectors[:, -1])
        return found


@final
@dataclass(frozen=True, kw_only=True)
class RankStability(SeparateCriterion):
    """1 - 12 mean_i Var_seed(rank_seed(i) / n): 1 = the same ranking with every seed, about 0 = unrelated rankings.

    The variance over seeds is the unbiased one, so that 0 holds for two seeds as for many. Undefined where the scores
    of a seed are constant, or there is one seed only.

    Fails when: a candidate is stably wrong. It says how far a choice can be trusted, not whether it is right.
    Cost: O(r n log n).
    References: Feint's own. Deviations: none known.
    """

    name = "rank-stability"
    needs: ClassVar[frozenset[Part]] = frozenset({"pool", "again"})
    ranks_only: ClassVar[bool] = True

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        s = np.vstack([candidate.part("pool"), candidate.part("again")])
        if (s.min(axis=1) == s.max(axis=1)).any():
            raise CollapseError("the scores of a seed are all the same.")
        shares = np.stack([midranks(row) for row in s]) / s.shape[1]
        return float(1 - 12 * shares.var(axis=0, ddof=1).mean())


def _varying_pools(candidates: Sequence[Evidence]) -> tuple[FloatArray, BoolArray]:
    """Return the pool scores (V, n) of the candidates whose scores vary, and which those are, (C,)."""
    pools = [each.part("pool") for each in candidates]
    sizes = sorted({each.size for each in pools})
    if len(sizes) > 1:
        raise InputError(f"candidates must have scored the same pool: got pools of {sizes} images.")
    varies = np.array([each.min() < each.max() for each in pools], dtype=np.bool_)
    return np.array(pools)[varies], varies
