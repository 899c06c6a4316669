"""What a decision is worth: logits cut at even odds, corrected for the prevalence or not. Higher = more anomalous."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, SettingError
from feint.metrics.arrays import BoolArray, FloatArray, label_vector, same_length, score_vector
from feint.metrics.roc import confusion


def prevalence(labels: ArrayLike) -> float:
    """Return the share of anomalous images, in [0, 1]: what `average_precision` gives by chance.

    Raises:
        InputError: an empty array, or labels other than 0 and 1.
    """
    return float(label_vector(labels, "labels").mean())


def f1(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the F1 score of flagging every image whose logit is above 0 (a probability above 0.5), in [0, 1].

    Fails when: the logits were learned where anomalies are rarer than here; then correct them (`corrected_logits`).

    Args:
        labels: 0 normal, 1 anomalous, (n,).
        logits: (n,), ln p / (1 - p).

    Raises:
        InputError: no anomalous image, labels other than 0 and 1, non-finite logits, or different lengths.

    Cost: O(n).

    Example:
        >>> f1([0, 0, 0, 1, 1], [-2.0, -1.0, 0.5, 0.4, 3.0])
        0.8
    """
    anomalous, s = _labelled(labels, logits, "F1", normals=False)
    return confusion(anomalous, s > 0).f1


def balanced_accuracy(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the mean of detection rate and true-rest rate of flagging logits above 0, in [0, 1]: 0.5 = chance.

    Args:
        labels: 0 normal, 1 anomalous, (n,).
        logits: (n,), ln p / (1 - p).

    Raises:
        InputError: one class alone, labels other than 0 and 1, non-finite logits, or different lengths.

    Cost: O(n).

    Example:
        >>> balanced_accuracy([0, 0, 0, 0, 1, 1], [-2.0, -1.0, -1.0, 0.5, -0.4, 3.0])
        0.625
    """
    anomalous, s = _labelled(labels, logits, "balanced accuracy", normals=True)
    counts = confusion(anomalous, s > 0)
    return (counts.detection_rate + 1 - counts.false_alarm_rate) / 2


def recall_at(labels: ArrayLike, scores: ArrayLike, *, false_alarm_rate: float = 0.05) -> float:
    """Return the largest share of anomalous images flagged by a cut that flags at most a share of the normal ones.

    In [0, 1]. Tied images are flagged together, or not at all; nothing is interpolated between cuts.

    Args:
        labels: 0 normal, 1 anomalous, (n,).
        scores: (n,), logits or any others.
        false_alarm_rate: that share, in [0, 1].

    Raises:
        InputError: one class alone, labels other than 0 and 1, non-finite scores, or different lengths.
        SettingError: a false-alarm rate outside [0, 1].

    Fails when: 1 / false_alarm_rate is more than the normal images there are: then none of them may be flagged.

    Cost: O(n log n).

    Example:
        >>> recall_at([0, 0, 0, 0, 1, 1, 1], [1.0, 2.0, 3.0, 4.0, 3.5, 5.0, 6.0], false_alarm_rate=0.1)
        0.6666666666666666
    """
    if not 0 <= false_alarm_rate <= 1:
        raise SettingError(f"false_alarm_rate must lie in [0, 1]: got {false_alarm_rate}.")
    anomalous, s = _labelled(labels, scores, "recall", normals=True)
    normal = np.sort(s[~anomalous])[::-1]
    allowed = int(false_alarm_rate * normal.size + 1e-9)
    if allowed == normal.size:
        return 1.0
    return float((s[anomalous] > normal[allowed]).mean())


def corrected_logits(logits: ArrayLike, *, learned: float, met: float) -> FloatArray:
    """Return logits (n,) for the prevalence `met`, from logits (n,) for the prevalence at which they were `learned`.

        corrected = logit - ln(pi_l / (1 - pi_l)) + ln(pi_m / (1 - pi_m))

    Args:
        learned: the share of anomalous images where the logits were learned, in (0, 1); 0.5 if classes were weighted
            alike.
        met: the share of anomalous images where they are used, in (0, 1).

    Raises:
        InputError: logits that are not (n,), or not finite.
        SettingError: a prevalence outside (0, 1).

    Fails when: more than the prevalence changed, or the logits are no log-odds.

    References: Saerens, Latinne, Decaestecker (2002), Neural Computation 14(1), equation 4.

    Example:
        >>> corrected_logits([-4.0, 0.0], learned=0.01, met=0.5).round(2).tolist()
        [0.6, 4.6]
    """
    for name, share in (("learned", learned), ("met", met)):
        if not 0 < share < 1:
            raise SettingError(f"the prevalence {name} must lie between 0 and 1: got {share}.")
    change = np.log(met / (1 - met)) - np.log(learned / (1 - learned))
    return np.asarray(score_vector(logits, "logits") + change, dtype=np.float64)


def _labelled(labels: ArrayLike, scores: ArrayLike, name: str, *, normals: bool) -> tuple[BoolArray, FloatArray]:
    """Return which images are anomalous and their scores; some must be anomalous and, with `normals`, some normal."""
    anomalous = label_vector(labels, "labels")
    s = score_vector(scores, "scores")
    same_length(anomalous.size, s.size, "labels and scores")
    if not anomalous.any() or (normals and anomalous.all()):
        wanted = "images of both classes" if normals else "at least one anomalous image"
        raise InputError(f"{name} needs {wanted}: got labels that are all {int(anomalous[0])}.")
    return anomalous, s
