"""The exact interval of a share."""

from __future__ import annotations

from feint.core.errors import InputError
from feint.stats.resampling import Interval


def exact_proportion(count: int, total: int) -> Interval:
    """Return the share `count / total` with its exact 95 % interval, that of Clopper and Pearson.

    The ends are the shares at which a count so high, or so low, has a probability of 2.5 %. Unlike a bootstrap it does
    not shrink to a point where the share is 0 or 1, and it covers the true share at least 95 % of the time.

    Args:
        count: 0 to `total`. total: independent images, at least 1.

    Raises:
        InputError: `total` is below 1, or `count` is not between 0 and `total`.

    Cost: O(1).

    References: Clopper, Pearson (1934), The use of confidence or fiducial limits, Biometrika 26(4).

    Example:
        >>> [round(each, 3) for each in exact_proportion(0, 14)]
        [0.0, 0.0, 0.232]
    """
    from scipy.special import betaincinv

    if not 0 <= count <= total or total < 1:
        raise InputError(f"count must be between 0 and total, and total at least 1: got {count} of {total}.")
    low = float(betaincinv(count, total - count + 1, 0.025)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 0.975)) if count < total else 1.0
    return Interval(count / total, low, high)
