"""What an encoder is worth to somebody who labels a handful of images: a probe on few of them, drawn many times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, SettingError
from feint.core.streams import numpy_stream, seed_of
from feint.embeddings.linear import LinearProbe
from feint.embeddings.probe import Probe, both_classes
from feint.embeddings.rows import embedding_rows
from feint.metrics.arrays import FloatArray
from feint.metrics.roc import auroc

PER_CLASS = (5, 10, 20, 50)


@final
@dataclass(frozen=True, kw_only=True)
class Draws:
    """The AUROC of each draw of labels, (draws,), in [0, 1]."""

    aurocs: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the draws."""
        return float(np.mean(self.aurocs))

    @property
    def sd(self) -> float:
        """Standard deviation from draw to draw (n - 1); NaN for one draw."""
        return float(np.std(self.aurocs, ddof=1)) if len(self.aurocs) > 1 else float("nan")


@final
@dataclass(frozen=True, kw_only=True)
class FewLabels:
    """A probe fitted on `per_class` normal and as many anomalous embeddings, `draws` times.

    Args:
        per_class: labels of each class: 5, 10, 20 and 50 are usual.
        draws: how many sets of labels; probe: what is fitted on each.

    Fails when: a class has hardly more embeddings than `per_class`: the draws are then nearly the same, and their
    standard deviation says too little.
    Cost: that of `draws` probes.
    """

    per_class: int = 5
    draws: int = 10
    probe: Probe = field(default_factory=LinearProbe)

    def __post_init__(self) -> None:
        if self.per_class < 1 or self.draws < 1:
            raise SettingError(
                f"FewLabels.per_class and FewLabels.draws must be at least 1: got {self.per_class} and {self.draws}."
            )

    def logits(self, z: ArrayLike, labels: ArrayLike, test: ArrayLike, *, seed: int) -> FloatArray:
        """Return logits (draws, m) of the embeddings `test` (m, d), from draws of `z` (n, d) and its `labels` (n,).

        Raises:
            InputError: what `Probe.fit` refuses, or fewer than `per_class` embeddings in a class.
        """
        rows = embedding_rows(z, "embeddings")
        anomalous = both_classes(labels, len(rows))
        classes = [np.flatnonzero(~anomalous), np.flatnonzero(anomalous)]
        fewest = min(map(len, classes))
        if fewest < self.per_class:
            raise InputError(
                f"FewLabels needs {self.per_class} labelled embeddings of each class: got {fewest} of one."
            )
        drawn = []
        for i in range(self.draws):
            chance = numpy_stream(seed, "labels", i)
            which = np.concatenate([chance.choice(rows_of, self.per_class, replace=False) for rows_of in classes])
            fitted = self.probe.fit(rows[which], anomalous[which], seed=seed_of(seed, "probe", i))
            drawn.append(fitted.score(test))
        return np.stack(drawn)

    def aurocs(self, z: ArrayLike, labels: ArrayLike, test: ArrayLike, test_labels: ArrayLike, *, seed: int) -> Draws:
        """Return the AUROC of every draw on the embeddings `test` (m, d) with `test_labels` (m,).

        Raises:
            InputError: what `Probe.fit` refuses, or fewer than `per_class` embeddings in a class.
        """
        logits = self.logits(z, labels, test, seed=seed)
        anomalous = both_classes(test_labels, logits.shape[1])
        return Draws(aurocs=tuple(auroc(each[~anomalous], each[anomalous]) for each in logits))
