"""Recipe and result: an `EmbeddingScorer` holds hyperparameters, `fit` returns a `FittedScorer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import numpy_stream
from feint.embeddings.rows import Rows, by_chunks, embedding_rows
from feint.metrics.arrays import FloatArray, IntArray

FLAT = 1e-7


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Outlyingness:
    """What a fit found: `of` gives the scores (m,) of rows (m, d), `own` those (n,) of the rows fitted on.

    Without `own` the fitted rows are scored like any others, since none of them counts much.
    """

    of: Callable[[FloatArray], FloatArray]
    own: Callable[[], FloatArray] | None = None


@final
class FittedScorer:
    """Anomaly scores of embeddings, higher = more anomalous, wherever they lie: in memory or in a mapped file.

    `bank` (b,) says which of the embeddings given were fitted on.
    """

    def __init__(self, z: Rows, bank: IntArray, outlyingness: Outlyingness) -> None:
        self.bank = bank
        self._z = z
        self._outlyingness = outlyingness

    def score(self, z: ArrayLike) -> FloatArray:
        """Return anomaly scores (m,), float64, of embeddings (m, d), read in chunks of 8 MiB.

        Raises:
            InputError: not (m, d) with the d fitted on, or not finite.
        """
        return by_chunks(self._outlyingness.of, embedding_rows(z, "embeddings", width=self._z.shape[1]))

    def own_scores(self) -> FloatArray:
        """Return the scores (n,) of the embeddings given to `fit`, none of them its own neighbour."""
        if self._outlyingness.own is None:
            return by_chunks(self._outlyingness.of, self._z)
        scores = np.empty(len(self._z))
        scores[self.bank] = self._outlyingness.own()
        others = np.setdiff1d(np.arange(len(self._z)), self.bank)
        scores[others] = by_chunks(self._outlyingness.of, self._z, others)
        return scores


@dataclass(frozen=True, kw_only=True)
class EmbeddingScorer(ABC):
    """A frozen, keyword-only dataclass of hyperparameters, fitted on unlabelled embeddings; some may be anomalous.

    Args:
        bank: at most so many embeddings are fitted on, drawn with the seed where there are more.
    """

    bank: int = 10_000

    def __post_init__(self) -> None:
        if self.bank < self.least:
            raise SettingError(f"{type(self).__name__}.bank must be at least {self.least}: got {self.bank}.")

    @property
    def least(self) -> int:
        """The fewest embeddings that can be fitted on."""
        return 2

    def fit(self, z: ArrayLike, *, seed: int) -> FittedScorer:
        """Fit on unlabelled embeddings (n, d), which are neither changed nor copied as a whole.

        All randomness comes from streams named under `seed`; the same seed gives the same scores.

        Raises:
            InputError: not (n, d), not finite, or too few.
            CollapseError: all embeddings are the same, up to the rounding of float32.
        """
        rows = embedding_rows(z, "embeddings")
        name = type(self).__name__
        if len(rows) < self.least:
            raise InputError(f"{name} needs at least {self.least} embeddings to be fitted on: got {len(rows)}.")
        bank = np.arange(len(rows))
        if len(rows) > self.bank:
            bank = np.sort(numpy_stream(seed, "bank").choice(len(rows), self.bank, replace=False))
        held = np.array(rows[bank], dtype=np.float64, order="C")
        if not np.ptp(held, axis=0).max() > FLAT * np.abs(held).max():
            raise CollapseError(f"{name} cannot tell embeddings apart that are all the same: the encoder collapsed.")
        return FittedScorer(rows, bank, self._fit(held, seed))

    @abstractmethod
    def _fit(self, z: FloatArray, seed: int) -> Outlyingness:
        """Fit on checked embeddings (b, d), which may be kept."""
