"""The mean of a few repetitions with Student's interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.stats.clusters import task_vector
from feint.stats.resampling import Interval


def student_interval(values: ArrayLike) -> Interval:
    """Return the mean of independent repetitions with its 95 % interval: mean +- t_{n - 1} s / sqrt n.

    With three to five repetitions a bootstrap can draw no mean outside the values themselves and covers the truth in
    75 to 94 % of cases; this interval keeps 95 % where the repetitions are roughly normal.

    Args:
        values: one per repetition, (n,), such as seeds or data sets. With one, the ends are NaN.

    Raises:
        InputError: no values, or not finite.

    Fails when: there are few repetitions and they are far from normal.

    References: Student (1908), The Probable Error of a Mean, Biometrika 6.

    Example:
        >>> [round(each, 3) for each in student_interval([0.02, 0.04, 0.03])]
        [0.03, 0.005, 0.055]
    """
    from scipy.stats import t

    x = task_vector(values)
    mean = float(x.mean())
    if x.size < 2:
        return Interval(mean, float("nan"), float("nan"))
    reach = float(t.ppf(0.975, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size))
    return Interval(mean, mean - reach, mean + reach)
