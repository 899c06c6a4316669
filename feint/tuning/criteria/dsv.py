"""DSV: discordance and separability of the pool under fixed pseudo-anomalies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from feint.core.errors import CollapseError
from feint.metrics.arrays import FloatArray
from feint.tuning.criteria.alignment import EMBEDDINGS
from feint.tuning.criteria.criterion import Evidence, Part, SeparateCriterion
from feint.tuning.criteria.distances import distances

SAME = 1e-9


def dsv_loss(normal: FloatArray, pseudo: FloatArray, pool: FloatArray) -> float:
    r"""Return the DSV loss of embeddings X (a, d), Y (b, d) and Z (n, d); lower = better.

        d(A, B)  = mean over pairs of || a - b || / 2,   mu = mean X
        L_dis    = d(X + Y, Z) / d(X, Y)
        L_sep    = min( std { (z - mu) . (y - mu) / || y - mu || : z in Z, y in Y } / d(X, Y), 1/2 )
        DSV      = L_dis - L_sep / L_dis

    A y at mu has no direction and is left out of L_sep.

    Raises: CollapseError where d(X, Y) = 0 within rounding, or no y has a direction, or all embeddings are the same.
    Cost: O((a + b) (n + b) d).
    References: Yoo, Zhao, Zhao, Akoglu (ECML-PKDD 2023), arXiv:2307.06534.
    Deviations: d(X, Y) of 0 is refused, where the public code adds 1e-8 to it. X and Y have the sizes they come with;
    the public code takes the true share of anomalies for |Y|, which is a label.

    Example:
        >>> X, Y = np.zeros((4, 2)), np.array([[1.0, 0.0]] * 4)
        >>> dsv_loss(X, Y, np.vstack([X[:2], Y[:2]]))
        -0.5
    """
    mu = normal.mean(axis=0)
    directions = pseudo - mu
    lengths = np.linalg.norm(directions, axis=1)
    scale = max(float(np.abs(each).max()) for each in (normal, pseudo, pool))
    apart = _half_mean(normal, pseudo)
    discordance = _half_mean(np.vstack([normal, pseudo]), pool) / apart if apart > SAME * scale else 0.0
    moved = lengths > SAME * scale
    if discordance == 0 or not moved.any():
        raise CollapseError("the pseudo-anomalies' embeddings are those of the normal images: DSV is undefined.")
    projections = (pool - mu) @ (directions[moved] / lengths[moved, None]).T
    separability = min(float(projections.std()) / apart, 0.5)
    return discordance - separability / discordance


def _half_mean(x: FloatArray, y: FloatArray) -> float:
    return float(distances(x, y).mean()) / 2


@final
@dataclass(frozen=True, kw_only=True)
class DSV(SeparateCriterion):
    """Minus the DSV loss (`dsv_loss`). Undefined where normal and pseudo-anomalous embeddings are the same.

    Fails when: the projections spread for another reason than anomalies; it was made for choosing among trained
    detectors, and the pool it looks at is the one that is to be scored.
    Cost: O((a + b) (n + b) d).
    """

    name = "dsv"
    needs: ClassVar[frozenset[Part]] = EMBEDDINGS

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        return -dsv_loss(
            *(candidate.part(name) for name in ("normal_embeddings", "pseudo_embeddings", "pool_embeddings"))
        )
