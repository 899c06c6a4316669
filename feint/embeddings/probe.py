"""What a probe is: a `Probe` holds hyperparameters, `fit` on labelled embeddings returns a `FittedProbe`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.embeddings.rows import by_chunks, embedding_rows
from feint.metrics.arrays import BoolArray, FloatArray, label_vector, same_length


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """What a probe learned: `logits` (m,) of rows (m, d), and the prevalence of anomalies these are meant for."""

    logits: Callable[[FloatArray], FloatArray]
    prevalence: float


@final
class FittedProbe:
    """Logits of embeddings, higher = more anomalous.

    `prevalence`, in (0, 1), is the share of anomalies under which a logit of 0 means even odds: that of the labelled
    embeddings, or 0.5 where the classes were weighted alike.
    """

    def __init__(self, width: int, learned: Learned) -> None:
        self.width = width
        self.prevalence = learned.prevalence
        self._logits = learned.logits

    def score(self, z: ArrayLike) -> FloatArray:
        """Return logits (m,), float64, of embeddings (m, d), read in chunks of 8 MiB.

        Raises:
            InputError: not (m, d) with the d fitted on, or not finite.
        """
        return by_chunks(self._logits, embedding_rows(z, "embeddings", width=self.width))


@dataclass(frozen=True, kw_only=True)
class Probe(ABC):
    """A frozen, keyword-only dataclass of hyperparameters, fitted on labelled embeddings, to judge what made them."""

    @property
    def least(self) -> int:
        """The fewest embeddings that can be fitted on."""
        return 2

    def fit(self, z: ArrayLike, labels: ArrayLike, *, seed: int) -> FittedProbe:
        """Fit on embeddings (n, d) and their labels (n,), 0 normal or 1 anomalous.

        Raises:
            InputError: not (n, d), not finite, too few; labels other than 0 and 1, of another length, or all alike.
        """
        rows = embedding_rows(z, "embeddings")
        anomalous = both_classes(labels, len(rows))
        if len(rows) < self.least:
            raise InputError(f"{type(self).__name__} needs at least {self.least} labelled embeddings: got {len(rows)}.")
        return FittedProbe(rows.shape[1], self._fit(np.array(rows, dtype=np.float64), anomalous, seed))

    @abstractmethod
    def _fit(self, z: FloatArray, anomalous: BoolArray, seed: int) -> Learned:
        """Fit on checked embeddings (n, d), which may be kept, and which of them are anomalous (n,)."""


def both_classes(labels: ArrayLike, rows: int) -> BoolArray:
    """Return labels 0 and 1 of so many embeddings as booleans (n,).

    Raises:
        InputError: other labels, another number of them, or one class alone.
    """
    anomalous = label_vector(labels, "labels")
    same_length(rows, anomalous.size, "embeddings and labels")
    if anomalous.all() or not anomalous.any():
        raise InputError(
            f"a probe needs labels of both classes: got {anomalous.size} that are all {int(anomalous[0])}."
        )
    return anomalous
