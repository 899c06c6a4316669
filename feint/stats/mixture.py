"""How many of the unlabelled images are anomalous, as far as scores can show it without a label.

With G the law of unlabelled scores, F0 that of normal and F1 that of anomalous images, G = (1 - p) F0 + p F1. Only
p* = p (1 - inf_t F1(t) / F0(t)) <= p can be known from F0 and G: anomalies that score as normal images do are hidden.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from feint.metrics.arrays import FloatArray, same_length, score_matrix
from feint.stats.beta_binomial import beta_binomial_at_least
from feint.stats.resampling import Interval

_RATES = (0.75, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)  # of normal images above the looks taken
_CLEAN = 0.1  # of normal images, the lowest-scoring: no anomaly among them, the upper end assumes
_HALF_ERROR = 0.025
_CAUTIOUS = 0.3  # of the levels 0.05 to 0.5 the one with the best mean square error, with and without anomalies


def mixture_proportion(unlabelled: ArrayLike, held_out: ArrayLike) -> Interval:
    """Return the share p of anomalies among n unlabelled images, in [0, 1], with a 95 % interval: label-free.

    Let B_k be the number of unlabelled scores up to the k-th smallest of m held-out scores. If N0 of the n images are
    normal, at least as many of these lie there as of N0 exchangeable scores: a BetaBinomial(N0, k, m + 1 - k) number.
    - `low`: the largest N0 that is not refuted at any of seven looks, above which 75, 50, 20, 10, 5, 2 and 1 % of
      normal images lie (exact tests at 2.5 % / 7): low = 1 - N0 / n. **It holds whatever the anomalies score**, in
      samples of any size, for the share among these n images: with 97.5 % probability at least so many are anomalous.
    - `value`: the same bound at a level of 30 % a look, half a standard deviation of caution.
    - `high`: the smallest N0 not refuted by the lowest tenth, *if no anomaly scores there* (at 2.5 %). This cannot be
      checked: with hidden anomalies all three numbers mean p*, the share of visible ones.

    Args:
        unlabelled: scores of n unlabelled images, (n,); or (C, n) by C candidates: what each sees counts, at levels
            divided by C, and `high` is that of the candidate that sees the most.
        held_out: scores of m normal images kept out of training, (m,) or (C, m).

    Raises:
        InputError: an empty or non-finite array, or different numbers of candidates.

    Fails when: the pool's normals score higher than the held-out ones: that counts as anomalies (see `bulk_shift`).
    Weak detectors hide anomalies: at an AUROC of 0.7, half of them; `high` is then too low.

    Cost: O(C n log n + C m log m): 5 ms for a candidate, 1,000 unlabelled and 400 held-out images.

    References: the identity, Blanchard, Lee, Scott (2010), JMLR 11; the bound by counts, Meinshausen, Rice (2006),
    Annals of Statistics 34; a single look is the estimator of Storey (2002). Deviations: exact beta-binomial tests at
    seven looks in place of an asymptotic band, since normal scores are themselves a sample.

    Example:
        >>> import numpy as np
        >>> generator = np.random.default_rng(0)
        >>> held_out, pool = generator.normal(size=400), generator.normal(size=600)
        >>> pool[:300] += 3.0
        >>> share = mixture_proportion(pool, held_out)
        >>> [round(end, 2) for end in share]
        [0.48, 0.42, 0.71]
    """
    u = score_matrix(np.atleast_2d(np.asarray(unlabelled, dtype=np.float64)), "unlabelled scores")
    h = score_matrix(np.atleast_2d(np.asarray(held_out, dtype=np.float64)), "held-out scores")
    same_length(len(h), len(u), "rows of held-out and unlabelled scores")
    seen = [_Seen.of(np.sort(u[c]), np.sort(h[c]), candidates=len(u)) for c in range(len(u))]
    most = max(seen, key=lambda candidate: (candidate.value, candidate.low))
    low = max(candidate.low for candidate in seen)
    value = max(most.value, low)
    return Interval(value, low, max(value, most.high, 1 / u.shape[1]))


class _Seen(NamedTuple):
    """What one candidate's sorted scores show of the share of anomalies."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, u: FloatArray, h: FloatArray, *, candidates: int) -> _Seen:
        m, n = h.size, u.size
        looks = sorted({min(m, max(1, round((1 - rate) * (m + 1)))) for rate in _RATES})
        up_to = {k: int(np.searchsorted(u, h[k - 1], side="right")) for k in looks}
        levels = _CAUTIOUS / candidates, _HALF_ERROR / (candidates * len(looks))
        value, low = ((n - min(_most_normals(up_to[k], n, k, m, level) for k in looks)) / n for level in levels)
        lowest = max(1, round(_CLEAN * (m + 1)))
        fewest = _fewest_normals(int(np.searchsorted(u, h[lowest - 1], side="left")), n, lowest, m)
        return cls(value, low, (n - fewest) / n)


def _most_normals(below: int, n: int, k: int, m: int, level: float) -> int:
    """Return the largest N0 <= n with P(BetaBinomial(N0, k, m + 1 - k) <= below) >= level; it falls with N0."""

    def possible(normals: int) -> bool:
        return beta_binomial_at_least(normals - below, n=normals, a=m + 1 - k, b=k) >= level

    if possible(n):
        return n
    last, first_refuted = below, n
    while first_refuted - last > 1:
        middle = (last + first_refuted) // 2
        last, first_refuted = (middle, first_refuted) if possible(middle) else (last, middle)
    return last


def _fewest_normals(below: int, n: int, k: int, m: int) -> int:
    """Return the smallest N0 >= below with P(BetaBinomial(N0, k, m + 1 - k) >= below) >= 2.5 %, at most n."""
    last_refuted, first = below - 1, n
    while first - last_refuted > 1:
        middle = (last_refuted + first) // 2
        if beta_binomial_at_least(below, n=middle, a=k, b=m + 1 - k) >= _HALF_ERROR:
            first = middle
        else:
            last_refuted = middle
    return first
