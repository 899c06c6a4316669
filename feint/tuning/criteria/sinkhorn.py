"""The Sinkhorn divergence: an optimal transport between two sets of embeddings, blurred and in logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray
from feint.tuning.criteria.alignment import EMBEDDINGS, normalised
from feint.tuning.criteria.criterion import Evidence, Part, SeparateCriterion
from feint.tuning.criteria.distances import squared_distances


def sinkhorn_divergence(
    x: FloatArray, y: FloatArray, *, blur: float = 0.05, scaling: float = 0.8, rounds: int = 5
) -> float:
    r"""Return the debiased Sinkhorn divergence between embeddings (a, d) and (b, d); 0 where they are the same.

        S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2,   cost C_ij = || x_i - y_j ||^2 / 2,   eps = blur^2
        OT = mean f + mean g at   f_i = -eps ln mean_j exp((g_j - C_ij) / eps)   and the same for g_j

    As blur -> 0 it tends to half the squared Wasserstein-2 distance. eps starts at the largest cost and shrinks by
    scaling^2 a round; `rounds` more follow at its end.

    Args:
        blur: the length below which details do not count, in the unit of the embeddings.
        scaling: between 0 and 1; closer to 1 is slower and more exact.

    Fails when: `blur` is small beside the distances and `rounds` few: the value is then below the true one.
    Cost: O((a + b)^2 (d + ln(diameter / blur) / -ln(scaling) + rounds)).
    References: Cuturi (NeurIPS 2013), arXiv:1306.0895; Feydy et al. (AISTATS 2019), arXiv:1810.08278.

    Example:
        >>> round(sinkhorn_divergence(np.zeros((3, 1)), np.full((2, 1), 2.0)), 9)
        2.0
    """
    schedule = _schedule(squared_distances(x, y) / 2, blur, scaling, rounds)
    return _transport(x, y, schedule) - _self_transport(x, schedule) / 2 - _self_transport(y, schedule) / 2


def _schedule(C: FloatArray, blur: float, scaling: float, rounds: int) -> FloatArray:
    """Return eps round by round: from the largest cost down to blur^2, and there for `rounds` more."""
    steps = max(0, int(np.ceil(np.log(blur**2 / max(float(C.max()), blur**2)) / np.log(scaling**2))))
    return np.concatenate([blur**2 * scaling ** (-2.0 * np.arange(steps, 0, -1)), np.full(rounds, blur**2)])


def _transport(x: FloatArray, y: FloatArray, schedule: FloatArray) -> float:
    C = squared_distances(x, y) / 2
    g = np.zeros(len(y))
    f = np.zeros(len(x))
    for eps in schedule:
        f = _softmin(C, g, eps)
        g = _softmin(C.T, f, eps)
    return float(f.mean() + g.mean())


def _self_transport(x: FloatArray, schedule: FloatArray) -> float:
    """Return OT(x, x), whose two potentials are one: the mean of the old and the new converges in few rounds."""
    C = squared_distances(x, x) / 2
    f = np.zeros(len(x))
    for eps in schedule:
        f = (f + _softmin(C, f, eps)) / 2
    return float((f + _softmin(C, f, schedule[-1])).mean())


def _softmin(C: FloatArray, g: FloatArray, eps: float) -> FloatArray:
    """Return -eps ln mean_j exp((g_j - C_ij) / eps), (a,), without overflow."""
    exponents = (g - C) / eps
    top = exponents.max(axis=1)
    exponents -= top[:, None]
    np.exp(exponents, out=exponents)
    softmin: FloatArray = -eps * (top + np.log(exponents.mean(axis=1)))
    return softmin


@final
@dataclass(frozen=True, kw_only=True)
class Sinkhorn(SeparateCriterion):
    """Minus the Sinkhorn divergence between Z_trn + Z_aug and the pool, after total distance normalisation.

    Undefined where all embeddings are the same.

    Fails when: the pool's share of anomalies differs from that of the pseudo-anomalies, as with `MMD`.
    Cost: see `sinkhorn_divergence`; the dearest criterion here.
    References: Deforce et al. (SDM 2025), arXiv:2404.02865, who tune with it; blur and scaling are theirs.
    Deviations: it chooses among candidates, where they follow its gradient.
    Raises: SettingError for a blur that is not positive or a scaling not between 0 and 1.
    """

    blur: float = 0.05
    scaling: float = 0.8
    name = "sinkhorn"
    needs: ClassVar[frozenset[Part]] = EMBEDDINGS

    def __post_init__(self) -> None:
        if not (self.blur > 0 and 0 < self.scaling < 1):
            raise SettingError(
                f"Sinkhorn needs a blur above 0 and a scaling between 0 and 1: got {self.blur} and {self.scaling}."
            )

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        normal, pseudo, pool = normalised(candidate)
        return -sinkhorn_divergence(np.vstack([normal, pseudo]), pool, blur=self.blur, scaling=self.scaling)
