"""Holm's correction for asking many questions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.metrics.arrays import FloatArray


def holm(p_values: ArrayLike) -> FloatArray:
    """Return Holm's adjusted p-values, in the shape given; NaN are no questions: they stay and do not count.

    With the m p-values in rising order, adjusted_(k) = min(1, max_{l <= k} (m - l + 1) p_(l)). Calling true what has an
    adjusted p-value of at most alpha makes any false claim with probability at most alpha, however they depend.

    Cost: O(m log m).

    References: Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
    Statistics 6.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    asked = np.isfinite(p)
    order = np.argsort(p[asked], kind="stable")
    factors = np.arange(order.size, 0, -1)
    result = np.empty(order.size)
    result[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[asked][order]))
    adjusted[asked] = result
    return adjusted
