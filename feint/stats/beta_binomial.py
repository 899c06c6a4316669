"""The beta-binomial tail: how many of n new normal images exceed a point set by calibration images."""

from __future__ import annotations

import numpy as np


def beta_binomial_at_least(x: int, *, n: int, a: float, b: float) -> float:
    """Return P(X >= x) for X ~ BetaBinomial(n, a, b), accurate to small tails.

    With m calibration and n new scores, all exchangeable and without ties, the number of new ones above the k-th
    smallest calibration score has a = m + 1 - k and b = k: they share the calibration set, so it is not binomial.

    Cost: O(n).

    References: Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, chapter 6.

    Example:
        >>> round(beta_binomial_at_least(1, n=1, a=1, b=19), 6)
        0.05
    """
    from scipy.special import betaln

    if x <= 0:
        return 1.0
    i = np.arange(x, n + 1)
    log_mass = betaln(i + a, n - i + b) - betaln(a, b) - betaln(n - i + 1, i + 1) - np.log(n + 1)
    return min(1.0, float(np.exp(log_mass).sum()))
