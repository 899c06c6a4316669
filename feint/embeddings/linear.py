"""The linear probe: how well a plane through the embeddings separates labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from feint.core.errors import InputError, SettingError
from feint.core.streams import seed_of
from feint.embeddings.preparation import standardising
from feint.embeddings.probe import Learned, Probe
from feint.metrics.arrays import BoolArray, FloatArray

GRID = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)


@final
@dataclass(frozen=True, kw_only=True)
class LinearProbe(Probe):
    """Logistic regression on standardised embeddings, its penalty chosen by cross-validation.

        logit(z) = b + w^T x,   (w, b) minimise  C sum_i a_i ln(1 + exp(- y_i (b + w^T x_i))) + ||w||^2 / 2,   y = +-1

    C is that of the grid with the least loss on the parts left out, weighted by the same a_i.

    Args:
        class_weight: None: a_i = 1; "balanced": both classes weigh alike, so that a logit of 0 is a prevalence of 0.5.
        grid: values of C, ascending.
        folds: parts of the cross-validation; fewer where the smaller class has fewer embeddings.

    Raises:
        InputError: one embedding alone in a class, unless the grid has one value.

    Fails when: a class has so few embeddings that the choice of C is chance.
    Cost: (grid x folds + 1) logistic regressions.
    References: the linear evaluation of every paper on self-supervised learning; standardised first as in He et al.
    (2021), arXiv:2111.06377, appendix A.1.
    Deviations: logistic regression to convergence in the place of gradient steps.
    """

    class_weight: Literal["balanced"] | None = None
    grid: tuple[float, ...] = GRID
    folds: int = 5

    def __post_init__(self) -> None:
        if self.class_weight not in {None, "balanced"}:
            raise SettingError(f"LinearProbe.class_weight must be None or 'balanced': got {self.class_weight!r}.")
        if not self.grid or min(self.grid) <= 0:
            raise SettingError(f"LinearProbe.grid must hold values of C above 0: got {self.grid}.")
        if self.folds < 2:
            raise SettingError(f"LinearProbe.folds must be at least 2: got {self.folds}.")

    def _fit(self, z: FloatArray, anomalous: BoolArray, seed: int) -> Learned:
        standard = standardising(z)
        x = standard(z)
        weights = self._weights(anomalous)
        machine = _regression(self._best(x, anomalous, weights, seed)).fit(x, anomalous, weights)
        return Learned(
            logits=lambda rows: machine.decision_function(standard(rows)),
            prevalence=float(anomalous.mean()) if self.class_weight is None else 0.5,
        )

    def _weights(self, anomalous: BoolArray) -> FloatArray:
        """Return a (n,), of mean 1."""
        if self.class_weight is None:
            return np.ones(anomalous.size)
        share = anomalous.mean()
        return np.asarray(np.where(anomalous, 0.5 / share, 0.5 / (1 - share)))

    def _best(self, x: FloatArray, anomalous: BoolArray, weights: FloatArray, seed: int) -> float:
        """Return the C of the grid with the least cross-validated loss."""
        from sklearn.model_selection import StratifiedKFold

        if len(self.grid) == 1:
            return self.grid[0]
        fewest = min(int(anomalous.sum()), int((~anomalous).sum()))
        if fewest < 2:
            raise InputError("LinearProbe chooses C by cross-validation: got one embedding alone in a class.")
        folds = StratifiedKFold(min(self.folds, fewest), shuffle=True, random_state=seed_of(seed, "folds") % 2**32)
        losses = np.zeros(len(self.grid))
        for kept, left_out in folds.split(x, anomalous):
            for i, c in enumerate(self.grid):
                machine = _regression(c).fit(x[kept], anomalous[kept], weights[kept])
                signed = np.where(anomalous[left_out], -1, 1) * machine.decision_function(x[left_out])
                losses[i] += weights[left_out] @ np.logaddexp(0, signed)
        return self.grid[int(losses.argmin())]


def _regression(c: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, solver="newton-cholesky", max_iter=200)
