"""Whether the pool's normal images have shifted, asked of the low scores alone, where anomalies are rare."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import SettingError
from feint.metrics.arrays import FloatArray, score_vector
from feint.metrics.ranks import midranks

_LEAST = 5


def bulk_shift(unlabelled: ArrayLike, held_out: ArrayLike, *, bulk: float = 0.5) -> float:
    """Return the two-sided p-value of 'the low scores are distributed alike in the pool and among held-out normals'.

    With t the `bulk`-quantile of the held-out scores, scores below t are compared: without a shift both are drawn from
    the same law, F0 given s < t, *however many anomalies score above t*. Their joint midranks r, of N in all, become
    z = inverse_normal(bulk (r - 1/2) / N), as truncated Gaussian scores would be, and the sum of the pool's z is
    compared with its permutation mean and variance. The *number* below t says nothing: anomalies lower it.

    Args:
        unlabelled: scores of n unlabelled images, (n,).
        held_out: scores of m normal images kept out of training, (m,).
        bulk: strictly between 0 and 1; a larger bulk sees more and lets more anomalies in. With 1/2, 20 % of anomalies
            of AUROC 0.7 and less than 4 % of AUROC 0.9 are within (Gaussian scores).

    Returns:
        The p-value; 1 where fewer than five scores of a kind are below t, or all of these are equal.

    Raises:
        InputError: an empty, non-finite or not one-dimensional array.
        SettingError: `bulk` is not strictly between 0 and 1.

    Fails when: many anomalies score low: they look like a shift (at half the pool and AUROC 0.7 it warns in one pool
    of four). Small shifts pass it although they raise A2: it uses half of the images, and of these only the shape. A
    high p-value is no proof of exchangeable normals.

    Cost: O((m + n) log(m + n)).

    References: van der Waerden (1952) scores, here truncated; the test is Feint's own. `feint.calibration.drift` sees
    what this does not: counts below calibration points, so a shift down.

    Example:
        >>> import numpy as np
        >>> generator = np.random.default_rng(0)
        >>> held_out, pool = generator.normal(size=400), generator.normal(size=1000)
        >>> pool[:100] += 3.0  # anomalies
        >>> bulk_shift(pool, held_out) > 0.05, bulk_shift(pool + 0.7, held_out) < 0.01
        (True, True)
    """
    from scipy.special import ndtr, ndtri

    if not 0 < bulk < 1:
        raise SettingError(f"bulk must lie strictly between 0 and 1: got {bulk}. For the lower half write 0.5.")
    u = score_vector(unlabelled, "unlabelled scores")
    h = score_vector(held_out, "held-out scores")
    t = np.sort(h)[min(h.size, max(1, round(bulk * (h.size + 1)))) - 1]
    low_h, low_u = h[h < t], u[u < t]
    if min(low_h.size, low_u.size) < _LEAST:
        return 1.0
    N = low_h.size + low_u.size
    r = midranks(np.concatenate([low_h, low_u]))
    z: FloatArray = ndtri(bulk * (r - 0.5) / N)
    variance = float(z.var(ddof=1)) * (1 / low_u.size - 1 / N)
    if variance <= 0:
        return 1.0
    return float(2 * ndtr(-abs(z[low_h.size :].mean() - z.mean()) / variance**0.5))
