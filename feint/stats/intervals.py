"""Intervals of what is measured against labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.metrics.arrays import BoolArray, FloatArray, IntArray, label_vector, same_length, score_vector
from feint.stats.proportions import exact_proportion
from feint.stats.resampling import Interval, bootstrap_counts, percentile_interval

METRICS = ("auroc", "average_precision", "f1")


def bootstrap_metrics(
    labels: ArrayLike, scores: ArrayLike, flagged: ArrayLike, *, seed: int, draws: int = 2000
) -> dict[str, Interval]:
    """Return AUROC, average precision, F1, false-alarm rate and detection rate, each with its 95 % interval.

    Images are drawn with replacement within the normal and within the anomalous ones (stratified), so every draw
    keeps the share of anomalies; the intervals are percentiles, and all metrics see the same draws. The two rates are
    plain shares: their intervals are exact (`exact_proportion`).

    Args:
        labels: 0 normal, 1 anomalous, (n,), at least one of each.
        scores: higher = more anomalous, (n,).
        flagged: 0 or 1, (n,).
        seed: same seed, same intervals.
        draws: number of bootstrap draws, at least 100.

    Raises:
        InputError: only one kind of label, values out of range, or different lengths.

    Fails when: AUROC, average precision or F1 is 0 or 1, or fewer than about 10 images carry it: the interval is then
    too narrow. It says nothing of another day's images, and holds the model fixed.

    Cost: O(draws n) time: 0.3 s for 1,000 images and 2,000 draws; memory below 100 MB at any size.

    References: Efron, Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Example:
        >>> result = bootstrap_metrics([0, 0, 0, 1, 1], [1, 2, 3, 2.5, 4], [0, 0, 1, 0, 1], seed=0)
        >>> {name: round(interval.value, 3) for name, interval in result.items()}
        {'auroc': 0.833, 'average_precision': 0.833, 'f1': 0.5, 'false_alarm_rate': 0.333, 'detection_rate': 0.5}
    """
    y = label_vector(labels, "labels")
    s = score_vector(scores, "scores")
    f = label_vector(flagged, "flagged")
    same_length(y.size, s.size, "labels and scores")
    same_length(y.size, f.size, "labels and flagged")
    if y.all() or not y.any():
        raise InputError(f"labels must hold both kinds, 0 and 1: got {y.size} images that are all {int(y[0])}.")
    order = np.argsort(-s, kind="stable")
    y, s, f = y[order], s[order], f[order]
    ends = np.flatnonzero(np.append(s[1:] != s[:-1], True))
    everything = np.ones((1, y.size), dtype=np.int64)
    values = _metrics(everything, y=y, flagged=f, ends=ends)[0]
    results = np.empty((draws, len(METRICS)))
    sizes = (int((~y).sum()), int(y.sum()))
    generator = numpy_stream(seed, "bootstrap_metrics")
    for chunk, normal, anomalous in bootstrap_counts(sizes, draws=draws, generator=generator):
        counts = np.empty((len(normal), y.size), dtype=np.int64)
        counts[:, ~y], counts[:, y] = normal, anomalous
        results[chunk] = _metrics(counts, y=y, flagged=f, ends=ends)
    found = {name: percentile_interval(float(values[i]), results[:, i]) for i, name in enumerate(METRICS)}
    return found | {
        "false_alarm_rate": exact_proportion(int((~y & f).sum()), sizes[0]),
        "detection_rate": exact_proportion(int((y & f).sum()), sizes[1]),
    }


def _metrics(counts: IntArray, *, y: BoolArray, flagged: BoolArray, ends: IntArray) -> FloatArray:
    """Return the metrics (b, 3) of images sorted from the highest score down, image i occurring counts[:, i] times.

    `ends` marks the last image of each group of tied scores.
    """
    hits = np.cumsum(counts * y, axis=1)[:, ends]
    alarms = np.cumsum(counts * ~y, axis=1)[:, ends]
    anomalous, normal = hits[:, -1], alarms[:, -1]
    new_hits = np.diff(hits, axis=1, prepend=0)
    new_alarms = np.diff(alarms, axis=1, prepend=0)
    auroc = (new_alarms * (hits - new_hits / 2)).sum(axis=1) / (anomalous * normal)
    precision = hits / np.maximum(hits + alarms, 1)
    average_precision = (new_hits * precision).sum(axis=1) / anomalous
    found = counts[:, y & flagged].sum(axis=1)
    false = counts[:, ~y & flagged].sum(axis=1)
    f1 = 2 * found / (found + false + anomalous)
    return np.stack([auroc, average_precision, f1], axis=1)
