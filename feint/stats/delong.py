"""DeLong's covariance of AUROCs measured on the same images, without resampling."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import FloatArray, same_length, score_matrix
from feint.metrics.ranks import midranks
from feint.stats.resampling import Interval

_NORMAL = NormalDist()


@final
@dataclass(frozen=True, kw_only=True)
class CorrelatedAurocs:
    """AUROCs (C,) of C candidates on the same images, and their estimated covariance (C, C)."""

    aurocs: FloatArray
    covariance: FloatArray

    def estimate(self, c: int) -> Interval:
        """Return candidate c's AUROC with its 95 % interval, clipped to [0, 1]."""
        value = float(self.aurocs[c])
        half = _NORMAL.inv_cdf(0.975) * float(self.covariance[c, c]) ** 0.5
        return Interval(value, max(0.0, value - half), min(1.0, value + half))

    def gap(self, a: int, b: int) -> Interval:
        """Return candidate a's AUROC minus b's with its paired 95 % interval."""
        value, sd = self._difference(a, b)
        half = _NORMAL.inv_cdf(0.975) * sd
        return Interval(value, value - half, value + half)

    def p_value(self, a: int, b: int) -> float:
        """Return the two-sided p-value of 'a and b have the same AUROC'; 1 if their difference is 0."""
        value, sd = self._difference(a, b)
        if value == 0:
            return 1.0
        return 2 * _NORMAL.cdf(-abs(value) / sd) if sd > 0 else 0.0

    def _difference(self, a: int, b: int) -> tuple[float, float]:
        c = self.covariance
        variance = float(c[a, a] + c[b, b] - 2 * c[a, b])
        return float(self.aurocs[a] - self.aurocs[b]), max(variance, 0.0) ** 0.5


def delong(normal: ArrayLike, anomalous: ArrayLike) -> CorrelatedAurocs:
    """Return the AUROCs of C candidates and the covariance that sharing the images gives them.

    With kernel k(x, y) = 1 if y > x, 1/2 if equal: V10(y_i) = mean_j k(x_j, y_i), V01(x_j) = mean_i k(x_j, y_i), and
    covariance = cov(V10) / n + cov(V01) / m (unbiased covariances over images).

    Args:
        normal: scores of the same m >= 2 normal images by each candidate, (C, m); (1, m) for one.
        anomalous: scores of the same n >= 2 anomalous images, (C, n). With held-out normals and unlabelled images
            instead, it is the covariance of the two-sample AUROCs.

    Raises:
        InputError: fewer than two images of a kind, or different numbers of candidates.

    Fails when: an AUROC is close to 0 or 1, or fewer than about 20 images of a kind: the normal approximation is
    then too narrow.

    Cost: O(C (m + n) log(m + n) + C^2 (m + n)).

    References: DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44; midranks as in Sun, Xu (2014), IEEE Signal
    Processing Letters 21.

    Example:
        >>> result = delong([[1.0, 2.0, 3.0, 4.0]], [[2.5, 3.5, 5.0]])
        >>> round(float(result.aurocs[0]), 4), round(float(result.covariance[0, 0]), 6)
        (0.75, 0.046296)
    """
    x = score_matrix(normal, "normal scores")
    y = score_matrix(anomalous, "anomalous scores")
    same_length(len(x), len(y), "rows of normal and anomalous scores")
    m, n = x.shape[1], y.shape[1]
    if min(m, n) < 2:
        raise InputError(f"a variance needs at least 2 normal and 2 anomalous images: got {m} and {n}.")
    V10, V01 = np.empty_like(y), np.empty_like(x)
    for c in range(len(x)):
        together = midranks(np.concatenate([x[c], y[c]]))
        V01[c] = 1 - (together[:m] - midranks(x[c])) / n
        V10[c] = (together[m:] - midranks(y[c])) / m
    covariance = np.atleast_2d(np.cov(V10)) / n + np.atleast_2d(np.cov(V01)) / m
    return CorrelatedAurocs(aurocs=V10.mean(axis=1), covariance=covariance)
