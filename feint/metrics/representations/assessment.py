"""All label-free metrics of one matrix of embeddings, each with what is needed to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import FloatArray
from feint.metrics.representations.directions import DIRECTIONS, Direction
from feint.metrics.representations.discriminant import LIDAR_DELTA, LIDAR_EPS, lidar
from feint.metrics.representations.distances import SAMPLE
from feint.metrics.representations.neighbourhoods import cluster_learnability, two_nn
from feint.metrics.representations.power_law import alpha_req
from feint.metrics.representations.spectral import (
    RANKME_EPS,
    coherence,
    eig_rank,
    nesum,
    pseudo_condition,
    rankme,
    rankme_centred,
    stable_rank,
)
from feint.metrics.representations.spectrum import Spectrum, embedding_matrix
from feint.metrics.representations.sphere import alignment, self_cluster, std_of_l2, uniformity

IMAGES_PER_FEATURE = 10


@final
@dataclass(frozen=True, kw_only=True)
class Assessed:
    """One metric of one matrix of embeddings.

    Attributes:
        value: NaN where it is undefined; `note` says why.
        direction: which way is claimed to be better; see `DIRECTIONS`.
        n, d: images and features. For LiDAR n counts images, each with several views.
        centring: whether the mean embedding was taken away first; "class means" is that of the views of an image.
        eps: what was added to each share inside an entropy; None where there is none.
        dtype: the type in which the embeddings came; everything is computed in float64.
        details: numbers that go with the value: R^2 and ranks of a fit, views, sizes of samples.
        note: a sentence on how to read the value, or "".
    """

    value: float
    direction: Direction
    n: int
    d: int
    centring: Literal["none", "mean", "class means"]
    eps: float | None
    dtype: str
    details: dict[str, float] = field(default_factory=dict)
    note: str = ""


def assess(
    embeddings: ArrayLike, *, seed: int, views: ArrayLike | None = None, pair: tuple[ArrayLike, ArrayLike] | None = None
) -> dict[str, Assessed]:
    """Return every label-free metric of embeddings, by its key in `DIRECTIONS`; `clid` needs a pool and is not here.

    Args:
        embeddings: (n, d); n >= 10 d is advised.
        seed: of samples, of K-means and of its halves.
        views: embeddings of q views of n0 images, (n0, q, d); None leaves `lidar` out.
        pair: embeddings of two views of the same images, (n1, d) each; None leaves `alignment` out.

    Raises:
        InputError: something given is not finite or has a wrong shape. A metric that needs more images than there are
            is NaN instead, with a note.

    Cost: O(n d min(n, d)) and, for m = min(n, 5000), O(m^2 d): 2 s on one core for n = 2000, d = 512.

    Example:
        >>> import numpy as np
        >>> found = assess(np.random.default_rng(0).normal(size=(400, 16)), seed=0)
        >>> round(found["rankme"].value, 1), found["rankme"].direction, found["alpha_req"].details["last_rank"]
        (15.9, 'up', 8.0)
    """
    dtype = str(np.asarray(embeddings).dtype)
    z = embedding_matrix(embeddings)
    found = _of_one_matrix(z, dtype=dtype, seed=seed)
    if views is not None:
        found["lidar"] = _lidar(np.asarray(views))
    if pair is not None:
        za, zb = np.asarray(pair[0]), np.asarray(pair[1])
        value = alignment(za, zb)
        found["alignment"] = _assessed("alignment", value, za.shape, dtype=str(za.dtype))
    return {key: found[key] for key in DIRECTIONS if key in found}


def _of_one_matrix(z: FloatArray, *, dtype: str, seed: int) -> dict[str, Assessed]:
    spectrum = Spectrum.of(z)
    peaks = coherence(spectrum)
    sample = {"sample": float(min(len(z), SAMPLE))}
    values: dict[str, Callable[[], float]] = {
        "rankme": lambda: rankme(spectrum),
        "rankme_centred": lambda: rankme_centred(spectrum),
        "eig_rank": lambda: eig_rank(spectrum),
        "nesum": lambda: nesum(spectrum),
        "stable_rank": lambda: stable_rank(spectrum),
        "pseudo_condition": lambda: pseudo_condition(spectrum),
        "coherence": lambda: peaks.highest,
        "coherence_p99": lambda: peaks.p99,
        "self_cluster": lambda: self_cluster(z),
        "uniformity": lambda: uniformity(z, seed=seed),
        "cluster_learnability": lambda: cluster_learnability(z, seed=seed),
        "intrinsic_dimension": lambda: two_nn(z, seed=seed),
        "std_of_l2": lambda: std_of_l2(z),
    }
    rank = {"rank": float(spectrum.rank)}
    details = dict.fromkeys(("pseudo_condition", "coherence", "coherence_p99"), rank) | dict.fromkeys(
        ("uniformity", "cluster_learnability", "intrinsic_dimension"), sample
    )
    notes = dict.fromkeys(("rankme", "rankme_centred", "eig_rank", "nesum", "stable_rank"), _note(spectrum))
    found = {}
    for key, measure in values.items():
        value, gap = _defined(measure)
        found[key] = _assessed(
            key, value, z.shape, dtype=dtype, details=details.get(key), note=gap or notes.get(key, "")
        )
    return found | {"alpha_req": _alpha_req(spectrum, dtype=dtype)}


def _defined(measure: Callable[[], float]) -> tuple[float, str]:
    """Return a value and "", or NaN and why it is undefined; the embeddings themselves have been checked before."""
    try:
        return measure(), ""
    except InputError as error:
        return float("nan"), str(error)


def _alpha_req(spectrum: Spectrum, *, dtype: str) -> Assessed:
    shape = (spectrum.n, spectrum.d)
    try:
        law = alpha_req(spectrum)
    except InputError as error:
        return _assessed("alpha_req", float("nan"), shape, dtype=dtype, note=str(error))
    details = {"r2": law.r2, "first_rank": float(law.first), "last_rank": float(law.last)}
    return _assessed("alpha_req", law.alpha, shape, dtype=dtype, details=details)


def _lidar(views: FloatArray) -> Assessed:
    value = lidar(views)
    n0, q, d = views.shape
    return _assessed(
        "lidar",
        value,
        (n0, d),
        dtype=str(views.dtype),
        details={"views": float(q), "delta": LIDAR_DELTA},
        note=f"{n0} images for {d} features: it cannot exceed {n0 - 1}." if n0 <= d else "",
    )


def _note(spectrum: Spectrum) -> str:
    if spectrum.rank == 0:
        return "all embeddings are zero."
    if spectrum.n < IMAGES_PER_FEATURE * spectrum.d:
        return (
            f"{spectrum.n} images for {spectrum.d} features, fewer than {IMAGES_PER_FEATURE} each: the value is held "
            "down by the number of images; compare it at equal numbers only."
        )
    return ""


_CENTRING: dict[str, Literal["mean", "class means"]] = {
    "rankme_centred": "mean",
    "eig_rank": "mean",
    "alpha_req": "mean",
    "nesum": "mean",
    "lidar": "class means",
}
_EPS = {"rankme": RANKME_EPS, "rankme_centred": RANKME_EPS, "lidar": LIDAR_EPS}


def _assessed(
    key: str,
    value: float,
    shape: tuple[int, ...],
    *,
    dtype: str,
    details: dict[str, float] | None = None,
    note: str = "",
) -> Assessed:
    return Assessed(
        value=value,
        direction=DIRECTIONS[key],
        n=shape[0],
        d=shape[1],
        centring=_CENTRING.get(key, "none"),
        eps=_EPS.get(key),
        dtype=dtype,
        details=details or {},
        note=note,
    )
