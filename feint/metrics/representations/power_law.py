"""The decay of a covariance's eigenvalues as a power law: alpha-ReQ."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.representations.spectrum import NEGLIGIBLE, Spectrum

FEWEST_RANKS = 3


class PowerLaw(NamedTuple):
    """lam_i ~ i^-alpha: the exponent (best near 1), R^2 of the fit in [0, 1], and the ranks it was fitted on."""

    alpha: float
    r2: float
    first: int
    last: int


def alpha_req(embeddings: ArrayLike | Spectrum) -> PowerLaw:
    """Return minus the slope of ln lam_i on ln i, lam the falling eigenvalues of Cov(Z); claimed best near 1.

    Least squares with weights 1/i over the ranks i = 11..50; for d < 128 over max(5, d/20)..d/2. Never beyond
    n/5, where the eigenvalues of a sample say little of those of its source, nor where lam_i < 1e-12 lam_1.

    Raises:
        InputError: not a finite matrix, or fewer than three ranks to fit: n < 65 (n < 35 where d < 128), d < 14, or
            embeddings of low rank.

    Fails when: the eigenvalues do not fall as a power: read R^2 first.

    Cost: O(n d min(n, d)).

    References: Agrawal, Mondal, Ghosh, Richards (2022), alpha-ReQ, NeurIPS. Deviations: the ranks for d < 128 and the
    limit n/5 are Feint's own.
    """
    spectrum = Spectrum.of(embeddings)
    n, d, s = spectrum.n, spectrum.d, spectrum.s_centred
    used = int(np.count_nonzero(s > NEGLIGIBLE * s[0])) if s.size else 0
    first, last = (11, 50) if d >= 128 else (max(5, math.ceil(d / 20)), d // 2)
    last = min(last, n // 5, used)
    if last - first + 1 < FEWEST_RANKS:
        raise InputError(
            f"alpha-ReQ fits eigenvalues from rank {first} on, at least {FEWEST_RANKS} of them, up to rank n/5: {n} "
            f"images with {d} features, of which {used} directions are used, do not have them. Take more images."
        )
    i = np.arange(first, last + 1, dtype=np.float64)
    x, y, w = np.log(i), 2 * np.log(s[first - 1 : last] / s[0]), 1 / i
    x, y = x - np.average(x, weights=w), y - np.average(y, weights=w)
    slope = float((w * x * y).sum() / (w * x * x).sum())
    total, left = float((w * y * y).sum()), float((w * (y - slope * x) ** 2).sum())
    flat = total <= 1e-18 * w.sum()
    return PowerLaw(-slope, 1.0 if flat else 1 - left / total, first, last)
