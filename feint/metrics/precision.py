"""What the k highest scores hold, k being the number of anomalous images. Higher score = more anomalous."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import BoolArray, FloatArray, label_vector, same_length, score_vector


def precision_at_k(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the share of anomalous images among the k highest scores, in [0, 1]: the share of anomalies = chance.

    k is the number of anomalous images, so that this is also the recall there. Images tied at the k-th score share
    the places that are left: the value is the mean over all orders of them.

    Args:
        labels: 0 normal, 1 anomalous, (n,).
        scores: (n,).

    Raises:
        InputError: no anomalous image, labels other than 0 and 1, non-finite scores, or different lengths.

    Cost: O(n).

    Example:
        >>> precision_at_k([0, 0, 0, 1, 1], [0.1, 0.2, 0.7, 0.6, 0.9])
        0.5
    """
    anomalous, s, cut = _cut(labels, scores)
    k = int(anomalous.sum())
    above, level = s > cut, s == cut
    places = (k - int(above.sum())) / int(level.sum())
    return (int(anomalous[above].sum()) + places * int(anomalous[level].sum())) / k


def f1_at_k(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the F1 score of flagging every image whose score is at least the k-th highest, in [0, 1].

    k is the number of anomalous images. Without ties at the k-th score, k images are flagged, and precision, recall
    and F1 are one number, `precision_at_k`; with ties more are flagged, and F1 pays for it.

    Args:
        labels: 0 normal, 1 anomalous, (n,).
        scores: (n,).

    Raises:
        InputError: no anomalous image, labels other than 0 and 1, non-finite scores, or different lengths.

    Cost: O(n).

    Example:
        >>> f1_at_k([0, 0, 0, 1, 1], [0.1, 0.6, 0.6, 0.6, 0.9])  # four flagged, two of them anomalous
        0.6666666666666666
    """
    anomalous, s, cut = _cut(labels, scores)
    flagged = s >= cut
    return 2 * int((anomalous & flagged).sum()) / (int(flagged.sum()) + int(anomalous.sum()))


def _cut(labels: ArrayLike, scores: ArrayLike) -> tuple[BoolArray, FloatArray, float]:
    """Return which images are anomalous, their scores, and the k-th highest of these."""
    anomalous = label_vector(labels, "labels")
    s = score_vector(scores, "scores")
    same_length(anomalous.size, s.size, "labels and scores")
    k = int(anomalous.sum())
    if k == 0:
        raise InputError("metrics at k need at least one anomalous image: got labels that are all 0.")
    return anomalous, s, float(np.partition(s, s.size - k)[s.size - k])
