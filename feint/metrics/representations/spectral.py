"""How evenly embeddings use their directions: effective ranks, conditioning and coherence.

Each takes embeddings (n, d), or their `Spectrum` where several are wanted, and is computed in float64. All are
unchanged by a rotation of the embeddings; all are unchanged by their scale.

Fails when: n is not the same for what is compared, or below about 10 d: every rank is at most min(n, d) and grows
with n (isotropic embeddings with d = 192 have RankMe 61 at n = 64, 155 at n = 192, 190 at n = 2048). Or when
encoders of different kinds are compared: a high rank is no merit in itself, noise has the highest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from feint.metrics.arrays import FloatArray
from feint.metrics.representations.spectrum import Spectrum, exp_entropy

RANKME_EPS = 1e-7


def rankme(embeddings: ArrayLike | Spectrum, *, eps: float = RANKME_EPS) -> float:
    """Return RankMe, the effective rank of embeddings Z (n, d) with their mean, in [1, min(n, d)] up to eps; up.

    RankMe = exp(-sum_k p_k ln p_k), p_k = s_k / sum(s) + eps, s the singular values of Z. All-zero Z: 1.

    Args:
        embeddings: Z (n, d); the paper takes 25,600 images.
        eps: as in the paper for float32; larger ones push the value above d.

    Raises:
        InputError: not a finite matrix.

    Fails when: encoders with different mean embeddings are compared (after a ReLU, say): a constant vector added to
    all rows lowers it, 107 -> 30 in one case of the tests. The paper compares runs of one method only.

    Cost: O(n d min(n, d)).

    References: Garrido, Balestriero, Najman, LeCun (2023), RankMe, arXiv 2210.02885, equations 1 and 2.
    Deviations: none known.

    Example:
        >>> round(rankme([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 3)
        2.0
    """
    return exp_entropy(Spectrum.of(embeddings).s, eps=eps)


def rankme_centred(embeddings: ArrayLike | Spectrum, *, eps: float = RANKME_EPS) -> float:
    """Return RankMe of Z - mean(Z), in [1, min(n - 1, d)] up to eps; up. Unlike RankMe, it does not see the mean.

    Raises:
        InputError: not a finite matrix.

    Cost: O(n d min(n, d)).

    References: as `rankme`. Deviations: the centring is Feint's own.

    Example:
        >>> round(rankme_centred([[9.0, 1.0], [9.0, -1.0]]), 3)
        1.0
    """
    return exp_entropy(Spectrum.of(embeddings).s_centred, eps=eps)


def eig_rank(embeddings: ArrayLike | Spectrum) -> float:
    """Return exp(-sum_i q_i ln q_i) with q = lam / sum(lam), lam the eigenvalues of Cov(Z), in [1, min(n - 1, d)]; up.

    Some packages give this number the name RankMe. It is another one: for eigenvalues lam_i = i^-a it equals the
    centred RankMe of the exponent 2a.

    Raises:
        InputError: not a finite matrix.

    Cost: O(n d min(n, d)).

    References: the effective rank of Roy and Vetterli (2007), EUSIPCO, on a covariance.

    Example:
        >>> z = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> round(eig_rank(z), 3), round(rankme_centred(z), 3)
        (1.649, 1.89)
    """
    return exp_entropy(_relative(Spectrum.of(embeddings).s_centred) ** 2, eps=0)


def nesum(embeddings: ArrayLike | Spectrum) -> float:
    """Return sum_i lam_i / lam_1, lam the eigenvalues of Cov(Z), falling, in [1, min(n - 1, d)]; up.

    It is the stable rank of the centred embeddings: do not count the two as two witnesses. Constant embeddings: 1.

    Raises:
        InputError: not a finite matrix.

    Cost: O(n d min(n, d)).

    References: He and Ozay (2022), ICML, Exploring the gap between collapsed and whitened features.

    Example:
        >>> round(nesum([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), 3)
        1.25
    """
    return _sum_of_squares(Spectrum.of(embeddings).s_centred)


def stable_rank(embeddings: ArrayLike | Spectrum) -> float:
    """Return ||Z||_F^2 / s_1^2, with the mean, in [1, min(n, d)]; up. All-zero Z: 1.

    Raises:
        InputError: not a finite matrix.

    Fails when: the mean embedding is long: it is s_1 then, and the value is close to 1.

    Cost: O(n d min(n, d)).

    References: Tsitsulin, Munkhoeva, Perozzi (2023), arXiv 2305.16562.

    Example:
        >>> round(stable_rank([[2.0, 0.0], [0.0, 1.0]]), 3)
        1.25
    """
    return _sum_of_squares(Spectrum.of(embeddings).s)


def pseudo_condition(embeddings: ArrayLike | Spectrum) -> float:
    """Return s_r / s_1, the smallest non-negligible singular value by the largest, in (0, 1]; up. All-zero Z: 0.

    Raises:
        InputError: not a finite matrix.

    Fails when: features are dead or n < d; they are left out, so that it judges the r directions in use alone.

    Cost: O(n d min(n, d)).

    References: Tsitsulin, Munkhoeva, Perozzi (2023), arXiv 2305.16562. Deviations: r counts the singular values above
    1e-6 of the largest; with s_min of all of them, one dead feature makes it 0.

    Example:
        >>> round(pseudo_condition([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 3)
        0.5
    """
    spectrum = Spectrum.of(embeddings)
    return float(_relative(spectrum.s)[spectrum.rank - 1]) if spectrum.rank else 0.0


class Coherence(NamedTuple):
    """Coherence by the most extreme image, and by the 99th percentile of them; both at least near 1, down."""

    highest: float
    p99: float


def coherence(embeddings: ArrayLike | Spectrum) -> Coherence:
    """Return max_i ||U_i||^2 n / r and the 99th percentile in the place of the maximum; 1 to n / r; down.

    U (n, r) holds the left singular vectors of Z: 1 means that all images matter alike, n / r that some direction
    exists for one image only. All-zero Z: 1.

    Raises:
        InputError: not a finite matrix.

    Fails when: a single image is unlike the rest, which is what anomalies are: then the maximum is theirs, and
    the percentile is to be read. With n <= d it is about 1 whatever the embeddings.

    Cost: O(n d min(n, d)).

    References: Tsitsulin, Munkhoeva, Perozzi (2023), arXiv 2305.16562; Candes and Recht (2009). Deviations: r, the
    number of non-negligible singular values, for d; the percentile is Feint's own.

    Example:
        >>> [round(value, 3) for value in coherence([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]])]
        [1.0, 1.0]
    """
    spectrum = Spectrum.of(embeddings)
    if spectrum.rank == 0:
        return Coherence(1.0, 1.0)
    relative = spectrum.leverages * spectrum.n / spectrum.rank
    return Coherence(float(relative.max()), float(np.quantile(relative, 0.99)))


def _relative(s: FloatArray) -> FloatArray:
    """Return s / s_1, so that squares neither overflow nor vanish; zeros stay zeros."""
    return s / s[0] if s.size and s[0] > 0 else s


def _sum_of_squares(s: FloatArray) -> float:
    return float(np.square(_relative(s)).sum()) or 1.0
