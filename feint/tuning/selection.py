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
MOST_JOINING = 2
JOINING = 0.05
DECIDED = 0.05
REPLACING = 0.01
MANY = 0.6

Scores = NDArray[np.floating]


@final
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which candidates vote, best first, by index, and which of them joined the defaults.

    `decided` says that the data tell the best of these from the best default: at the one-sided 5 % level, divided by
    the number of candidates that could have been the best.
    """

    voters: tuple[int, ...]
    joined: tuple[int, ...]
    decided: bool
    comparison: Comparison

    @property
    def confidence(self) -> float:
        """The share of bootstrap draws in which the best of all candidates is one of those that vote."""
        return float(np.isin(self.comparison.draws.argmax(axis=1), self.voters).mean())


def select(
    held_out: Scores, unlabelled: Scores, *, defaults: Sequence[int], seed: int, draws: int = DRAWS
) -> Selection:
    """Return who votes, of C candidates scored on the same m held-out normals (C, m) and n unlabelled images (C, n).

    The candidates `defaults` vote. At most two others join them, those with the highest two-sample AUROC among the
    ones whose gap to the best default is above 0 in 95 % of the paired bootstrap draws. Where anomalies are rare the
    criterion is noisy, and the best of many is often only the luckiest: the defaults then hold the answer in place.
    They step back where the best of the others is better in 99 % of the draws and anomalies are many: its own
    two-sample AUROC is above 0.6 beyond doubt.

    Fails when: the unlabelled normals differ from the held-out ones: see `feint.metrics.two_sample`.
    Cost: 1 s for 20 candidates, 240 held-out and 1,000 unlabelled images.
    References: paired bootstrap, Efron & Tibshirani (1993), chapter 8; the rule is Feint's own, its levels were chosen
    on some sets of images and tried on others (`docs/how-to-choose.md`).
    """
    comparison = compare(held_out, unlabelled, criterion=TWO_SAMPLE_AUROC, seed=seed, draws=draws)
    order = [int(c) for c in np.argsort(-comparison.values, kind="stable")]
    kept = [c for c in order if c in defaults]
    joined = [c for c in order if c not in kept and _beats(comparison, c, kept[0], level=JOINING)][:MOST_JOINING]
    decided = bool(joined) and _beats(comparison, joined[0], kept[0], level=DECIDED / (len(order) - len(kept)))
    many = bool(joined) and float(np.quantile(comparison.draws[:, joined[0]], DECIDED / 2)) > MANY
    replaced = many and _beats(comparison, joined[0], kept[0], level=REPLACING)
    voters = joined if replaced else [c for c in order if c in joined or c in kept]
    return Selection(voters=tuple(voters), joined=tuple(joined), decided=decided, comparison=comparison)


def _beats(comparison: Comparison, a: int, b: int, *, level: float) -> bool:
    return bool(np.quantile(comparison.draws[:, a] - comparison.draws[:, b], level) > 0)
