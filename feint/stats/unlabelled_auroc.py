"""An AUROC with an interval, and no label: the two-sample AUROC divided by the share of anomalies."""

from __future__ import annotations

from numpy.typing import ArrayLike

from feint.core.errors import SettingError
from feint.metrics.arrays import score_vector
from feint.stats.delong import delong
from feint.stats.mixture import mixture_proportion
from feint.stats.resampling import Interval


def unlabelled_auroc(unlabelled: ArrayLike, held_out: ArrayLike, *, share: Interval | None = None) -> Interval:
    """Return the AUROC of a detector with an interval of at least 95 %, from unlabelled and held-out normal images.

    AUROC = 1/2 + (A2 - 1/2) / p. The interval joins the worst of both uncertainties: low = 1/2 + (A2_low - 1/2) /
    p_high and high = 1/2 + (A2_high - 1/2) / p_low, clipped to [0, 1], with A2 by DeLong. Where the pool shows no
    anomaly beyond chance (p_low = 0), it is [1/2 or more, 1] and the value its middle: nothing is known.

    Args:
        unlabelled: scores of n >= 2 unlabelled images, (n,).
        held_out: scores of m >= 2 normal images kept out of training, (m,).
        share: the share p with its interval; left out, `mixture_proportion` of these scores. Give that of all
            candidates' scores, or what is known: Interval(0.02, 0.01, 0.05).

    Returns:
        The AUROC with its interval. A detector is taken to be no worse than chance (low >= 1/2), unless A2 lies below
        1/2 beyond doubt: then low is 0 and high below 1/2. With anomalies that hide among the normals, the number is
        the AUROC against the *visible* ones, too high for all of them.

    Raises:
        InputError: fewer than two images of a kind, or not finite.
        SettingError: the ends of `share` are not 0 <= low <= value <= high <= 1, high > 0.

    Fails when: the pool's normals differ from the held-out ones (see `bulk_shift`), or some anomalies hide.

    Cost: that of `mixture_proportion`, 5 ms for 1,000 unlabelled and 400 held-out images.

    References: Menon, van Rooyen, Ong, Williamson (2015), ICML; the interval is Feint's own.

    Example:
        >>> import numpy as np
        >>> generator = np.random.default_rng(0)
        >>> held_out, pool = generator.normal(size=400), generator.normal(size=600)
        >>> pool[:300] += 2.0  # their AUROC is 0.92
        >>> [round(end, 2) for end in unlabelled_auroc(pool, held_out)]
        [0.93, 0.74, 1.0]
    """
    u = score_vector(unlabelled, "unlabelled scores")
    h = score_vector(held_out, "held-out scores")
    p = mixture_proportion(u, h) if share is None else _checked(share)
    a2 = delong(h[None], u[None]).estimate(0)
    if a2.high < 0.5:
        low, high = 0.0, _auroc(a2.high, p.high)
    else:
        low, high = _auroc(max(a2.low, 0.5), p.high), _auroc(a2.high, p.low)
    value = (low + high) / 2 if p.low == 0 else min(max(_auroc(a2.value, p.value), low), high)
    return Interval(value, low, high)


def _auroc(a2: float, p: float) -> float:
    """Return 1/2 + (a2 - 1/2) / p, clipped to [0, 1]: with p = 0, the limit."""
    if p == 0:
        return 1.0 if a2 > 0.5 else 0.5
    return min(max(0.5 + (a2 - 0.5) / p, 0.0), 1.0)


def _checked(share: Interval) -> Interval:
    if not 0 <= share.low <= share.value <= share.high <= 1 or share.high == 0:
        raise SettingError(
            f"share must be an Interval with 0 <= low <= value <= high <= 1 and high > 0: got {tuple(share)}."
        )
    return share
