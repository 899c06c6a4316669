"""The singular values of embeddings, as they are and with their mean removed, from one factorisation of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import FloatArray

NEGLIGIBLE = 1e-6  # of the largest singular value; the rounding of float32 embeddings lies below it


def finite_array(values: ArrayLike, name: str, *, axes: tuple[str, ...]) -> FloatArray:
    """Return `values` as float64 with as many axes as are named, none of them empty.

    Raises:
        InputError: another number of axes, an empty one, or NaN or infinite values (it says how many).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != len(axes) or array.size == 0:
        raise InputError(f"{name} must have shape ({', '.join(axes)}), none of them 0: got {array.shape}.")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(
            f"{name} must be finite: got {bad} NaN or infinite of {array.size} values. The encoder has diverged, or an "
            "image is broken."
        )
    return array


def embedding_matrix(embeddings: ArrayLike, name: str = "embeddings") -> FloatArray:
    """Return embeddings as float64 (n, d), n >= 1; the caller's array is never written to.

    Raises:
        InputError: not a finite matrix; the number of NaN or infinite values is named.
    """
    return finite_array(embeddings, name, axes=("images", "features"))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """The singular values of embeddings Z (n, d), from which all spectral metrics follow.

    Compute it once, by `Spectrum.of`, and hand it to every spectral metric in the place of Z.

    Attributes:
        n, d: images and features.
        s: singular values of Z, falling, (min(n, d),).
        s_centred: singular values of Z - mean(Z), falling, (min(n - 1, d),); 0 where they are rounding beside the mean.
        leverages: squared length of each image's row of U_r (n,), where U_r holds the left singular vectors of Z
            whose singular value is not negligible; in [0, 1], with sum `rank`.
        rank: r, the number of singular values above 1e-6 of the largest.
    """

    n: int
    d: int
    s: FloatArray
    s_centred: FloatArray
    leverages: FloatArray
    rank: int

    @classmethod
    def of(cls, embeddings: ArrayLike | Spectrum) -> Spectrum:
        """Return the spectrum of embeddings (n, d), in float64 whatever their type; a spectrum is returned as it is.

        With 1 the vector of ones, [1, Z] = Q R gives Z = Q R_{:, 1:} and Z - mean(Z) = Q_{:, 1:} R_{1:, 1:}. Hence
        the two small matrices on the right have the singular values of Z with and without its mean, and nothing is
        lost to a mean that is large.

        Raises:
            InputError: not a finite matrix; the number of NaN or infinite values is named.

        Cost: one QR factorisation, O(n d min(n, d)), and two SVDs of about d x d.
        """
        if isinstance(embeddings, Spectrum):
            return embeddings
        z = embedding_matrix(embeddings)
        n, d = z.shape
        q, r = np.linalg.qr(np.column_stack([np.ones(n), z]))
        u, s, _ = np.linalg.svd(r[:, 1:], full_matrices=False)
        s_centred = np.linalg.svd(r[1:, 1:], compute_uv=False)
        s_centred[s_centred <= max(n, d) * np.finfo(np.float64).eps * s[0]] = 0
        rank = int(np.count_nonzero(s > NEGLIGIBLE * s[0]))
        leverages = np.square(q @ u[:, :rank]).sum(axis=1)
        return cls(n=n, d=d, s=s, s_centred=s_centred, leverages=leverages, rank=rank)


def exp_entropy(values: FloatArray, *, eps: float) -> float:
    """Return exp(-sum_k q_k ln q_k) with q = v / sum(v) + eps, for v >= 0: how many of them matter.

    From 1 (one rules, or all are zero) to their number (all are equal), up to eps.
    """
    total = values.sum()
    if total == 0:
        return 1.0
    q = values / total + eps
    q = q[q > 0]
    return float(np.exp(-(q * np.log(q)).sum()))
