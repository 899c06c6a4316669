"""The choice among candidates by their scores alone: who votes, and whether the data say so. No label is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.metrics.two_sample import TWO_SAMPLE_AUROC
from feint.stats.paired_bootstrap import Comparison, compare

DRAWS = 1000
MOST_VOTERS = 3
ONE_SIDED = 0.05

Scores = NDArray[np.floating]


@final
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which candidates vote, best first, by index; `decided` says that the data prefer them to the default."""

    voters: tuple[int, ...]
    decided: bool
    comparison: Comparison

    @property
    def confidence(self) -> float:
        """The share of bootstrap draws in which the best of all candidates is one of those that vote."""
        return float(np.isin(self.comparison.draws.argmax(axis=1), self.voters).mean())


def select(held_out: Scores, unlabelled: Scores, *, default: int, seed: int, draws: int = DRAWS) -> Selection:
    """Return who votes, of C candidates scored on the same m held-out normals (C, m) and n unlabelled images (C, n).

    The candidate `default` votes alone unless others have a higher two-sample AUROC beyond doubt (their paired
    bootstrap gap lies above 0 at the one-sided 5 % level). Of these, at most three vote that cannot be told apart from
    the best of them. Where anomalies are rare the criterion is noisy, and the best of many is often only the luckiest:
    the default is then the better guess.

    Fails when: the unlabelled normals differ from the held-out ones: see `feint.metrics.two_sample`.
    Cost: 1 s for 20 candidates, 240 held-out and 1,000 unlabelled images.
    References: paired bootstrap, Efron & Tibshirani (1993), chapter 8; the rule is Feint's own.
    """
    comparison = compare(held_out, unlabelled, criterion=TWO_SAMPLE_AUROC, seed=seed, draws=draws)
    better = [c for c in _order(comparison) if c != default and _beats(comparison, c, default)]
    if not better:
        return Selection(voters=(default,), decided=False, comparison=comparison)
    best = better[0]
    tied = [c for c in better if c == best or not _beats(comparison, best, c)]
    return Selection(voters=tuple(tied[:MOST_VOTERS]), decided=True, comparison=comparison)


def _order(comparison: Comparison) -> Sequence[int]:
    return [int(c) for c in np.argsort(-comparison.values, kind="stable")]


def _beats(comparison: Comparison, a: int, b: int) -> bool:
    return bool(np.quantile(comparison.draws[:, a] - comparison.draws[:, b], ONE_SIDED) > 0)
