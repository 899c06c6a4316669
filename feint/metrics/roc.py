"""How well scores or flags separate labelled images. Higher score = more anomalous, throughout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import label_vector, same_length, score_vector
from feint.metrics.ranks import midranks


def auroc(normal: ArrayLike, anomalous: ArrayLike) -> float:
    """Return P(anomalous score > normal score) + P(equal) / 2, in [0, 1]: 1 = separated, 0.5 = chance.

    Args:
        normal: scores of m normal images, (m,).
        anomalous: scores of n anomalous images, (n,).

    Raises:
        InputError: an empty, non-finite or not one-dimensional array.

    Fails when: anomalies are rare and only the highest scores matter; then read the average precision.

    Cost: O((m + n) log(m + n)).

    References: Hanley, McNeil (1982), Radiology 143: the area is the Mann-Whitney statistic.

    Example:
        >>> auroc([0.1, 0.2, 0.3], [0.3, 0.9])
        0.9166666666666666
    """
    x = score_vector(normal, "normal scores")
    y = score_vector(anomalous, "anomalous scores")
    m, n = x.size, y.size
    rank_sum = float(midranks(np.concatenate([x, y]))[m:].sum())
    return (rank_sum - n * (n + 1) / 2) / (m * n)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the step-wise area under precision and recall, in (0, 1]: 1 = separated, the share of anomalies = chance.

    AP = sum_t (R_t - R_{t-1}) P_t over the distinct scores t from the highest down; tied images enter together.

    Args:
        labels: 0 normal, 1 anomalous, (n,).
        scores: (n,).

    Raises:
        InputError: no anomalous image, labels other than 0 and 1, non-finite scores, or different lengths.

    Cost: O(n log n).

    References: as `sklearn.metrics.average_precision_score`; no interpolation.

    Example:
        >>> average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.8333333333333333
    """
    anomalous = label_vector(labels, "labels")
    s = score_vector(scores, "scores")
    same_length(anomalous.size, s.size, "labels and scores")
    if not anomalous.any():
        raise InputError("average precision needs at least one anomalous image: got labels that are all 0.")
    _, group = np.unique(-s, return_inverse=True)
    positives = np.bincount(group, weights=anomalous)
    precision = np.cumsum(positives) / np.cumsum(np.bincount(group))
    return float((positives * precision).sum() / anomalous.sum())


@final
@dataclass(frozen=True, kw_only=True)
class Confusion:
    """The four counts of flags against labels, and the rates that follow; a rate with nothing to divide by is NaN.

    Example:
        >>> result = confusion([0, 0, 0, 1, 1], [False, False, True, True, True])
        >>> result.f1, result.false_alarm_rate, result.detection_rate
        (0.8, 0.3333333333333333, 1.0)
    """

    true_alarms: int
    false_alarms: int
    misses: int
    true_rests: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and detection rate, in [0, 1]."""
        return _ratio(2 * self.true_alarms, 2 * self.true_alarms + self.false_alarms + self.misses)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the normal images that were flagged, in [0, 1]: lower is better."""
        return _ratio(self.false_alarms, self.false_alarms + self.true_rests)

    @property
    def detection_rate(self) -> float:
        """Share of the anomalous images that were flagged, in [0, 1]: higher is better."""
        return _ratio(self.true_alarms, self.true_alarms + self.misses)


def confusion(labels: ArrayLike, flagged: ArrayLike) -> Confusion:
    """Return the counts of `flagged` (n,), 0 or 1, against `labels` (n,), 0 normal or 1 anomalous.

    Raises:
        InputError: values other than 0 and 1, an empty array, or different lengths.
    """
    anomalous = label_vector(labels, "labels")
    flags = label_vector(flagged, "flagged")
    same_length(anomalous.size, flags.size, "labels and flagged")
    return Confusion(
        true_alarms=int(np.count_nonzero(anomalous & flags)),
        false_alarms=int(np.count_nonzero(~anomalous & flags)),
        misses=int(np.count_nonzero(anomalous & ~flags)),
        true_rests=int(np.count_nonzero(~anomalous & ~flags)),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
