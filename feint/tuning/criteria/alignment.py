"""Criteria on embeddings: how well normal images and pseudo-anomalies together explain the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import torch

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray
from feint.tuning.alignment import mean_distance, total_distance_normalisation
from feint.tuning.criteria.criterion import Evidence, Part, SeparateCriterion
from feint.tuning.criteria.distances import distances

EMBEDDINGS: frozenset[Part] = frozenset({"normal_embeddings", "pseudo_embeddings", "pool_embeddings"})


@final
@dataclass(frozen=True, kw_only=True)
class MeanDistance(SeparateCriterion):
    """Minus the mean-distance loss after total distance normalisation, `feint.tuning.alignment.alignment_loss`.

        (1/n) sum_z (|| mean(Z_trn) - z || + || mean(Z_aug) - z ||) / 2

    Undefined where all embeddings are the same.

    Fails when: pseudo-anomalies equal normal images: both means coincide, and the loss may be low for no good reason.
    Cost: O((a + b + n) d).
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, equations 2 and 3.
    Deviations: the factor 1/2 may be absent in the paper; it orders candidates alike.
    """

    name = "mean-distance"
    needs: ClassVar[frozenset[Part]] = EMBEDDINGS

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        return -float(mean_distance(*(torch.from_numpy(each) for each in normalised(candidate))))


@final
@dataclass(frozen=True, kw_only=True)
class TwoCentres(SeparateCriterion):
    """Minus the mean distance of the pool to the nearer of two means, after total distance normalisation.

        (1/n) sum_z min( || mean(Z_trn) - z ||, || mean(Z_aug) - z || )

    Zero is reached by two tight clusters at the two means, whatever the share of anomalies; a z between the means is
    not for free, as it is with `MeanDistance`. Undefined where all embeddings are the same.

    Fails when: anomalies are many and scattered: no mean is near them.
    Cost: O((a + b + n) d).
    References: Feint's own, after the mean-distance loss of Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033.
    Deviations: the nearer mean counts, where theirs takes the average of both.
    """

    name = "two-centres"
    needs: ClassVar[frozenset[Part]] = EMBEDDINGS

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        normal, pseudo, pool = normalised(candidate)
        centres = np.stack([normal.mean(axis=0), pseudo.mean(axis=0)])
        return -float(np.linalg.norm(pool[:, None] - centres, axis=2).min(axis=1).mean())


@final
@dataclass(frozen=True, kw_only=True)
class MMD(SeparateCriterion):
    """Minus the squared maximum mean discrepancy between Z_trn + Z_aug and the pool, after normalisation, <= 0.

        mean k(x, x') + mean k(y, y') - 2 mean k(x, y),   x in Z_trn + Z_aug, y in Z_val, equal pairs among them
        k(x, y) = x . y (linear)   or   exp(- || x - y || / d), d the number of features (rbf)

    Undefined where all embeddings are the same.

    Fails when: the pool's share of anomalies differs from that of the pseudo-anomalies among Z_trn + Z_aug: it is 0
    only where the shares agree too.
    Cost: O((a + b + n)^2 d); linear O((a + b + n) d).
    References: Gretton et al. (2012), JMLR 13; the kernels are those of DSV (arXiv:2307.06534), which calls the second
    one RBF though its distance is not squared. Deviations: total distance normalisation comes first.
    Raises: SettingError for another kernel.
    """

    kernel: Literal["linear", "rbf"] = "linear"
    needs: ClassVar[frozenset[Part]] = EMBEDDINGS

    def __post_init__(self) -> None:
        if self.kernel not in {"linear", "rbf"}:
            raise SettingError(f"MMD.kernel must be 'linear' or 'rbf': got {self.kernel!r}.")

    @property
    def name(self) -> str:
        """The kernel is part of the name: mmd-linear."""
        return f"mmd-{self.kernel}"

    def _value(self, candidate: Evidence, seed: int) -> float:  # noqa: ARG002
        normal, pseudo, y = normalised(candidate)
        x = np.vstack([normal, pseudo])
        if self.kernel == "linear":
            return -float(np.square(x.mean(axis=0) - y.mean(axis=0)).sum())
        return -max(0.0, self._mean(x, x) + self._mean(y, y) - 2 * self._mean(x, y))

    @staticmethod
    def _mean(x: FloatArray, y: FloatArray) -> float:
        return float(np.exp(-distances(x, y) / x.shape[1]).mean())


def normalised(candidate: Evidence) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the normal, pseudo-anomalous and pool embeddings after total distance normalisation.

    Raises: CollapseError where all embeddings are the same.
    """
    parts = (candidate.part(name) for name in ("normal_embeddings", "pseudo_embeddings", "pool_embeddings"))
    normal, pseudo, pool = total_distance_normalisation(*(torch.tensor(each) for each in parts))
    return normal.numpy(), pseudo.numpy(), pool.numpy()
