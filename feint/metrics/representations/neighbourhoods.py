"""CLID: how learnable the clusters of embeddings are, and how many dimensions their neighbourhoods have."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.core.streams import numpy_stream, seed_of
from feint.metrics.arrays import FloatArray, IntArray, score_vector
from feint.metrics.representations.distances import SAMPLE, distance_blocks, sampled
from feint.metrics.representations.spectrum import NEGLIGIBLE, embedding_matrix
from feint.metrics.representations.sphere import unit_rows


def cluster_learnability(embeddings: ArrayLike, *, seed: int, sample: int = SAMPLE) -> float:
    """Return the accuracy, in [0, 1], with which one half of the images tells the clusters of the other half; up.

    K = sqrt(n) clusters of unit-length rows by K-means; each image of one random half gets the cluster of its
    nearest neighbour in the other half; K is never above the number of different rows.

    Args:
        embeddings: (n, d).
        seed: of the halves, of K-means and of the sample.
        sample: the most images that are used.

    Raises:
        InputError: not a finite matrix, fewer than four images, or all in one direction.

    Fails when: embeddings fall into few tight clusters, collapse almost: those are learnable. Read it beside
    `intrinsic_dimension`.

    Cost: O(m^1.5 d) per iteration of K-means and O(m^2 d) for m = min(n, sample); bounded memory.

    References: Lu et al. (2022), arXiv 2206.01251, section 3. Deviations: one split into halves for their prequential
    one; K-means++ with one start.
    """
    z = sampled(unit_rows(embedding_matrix(embeddings)), sample=sample, seed=seed, name="clusters")
    m = len(z)
    clusters = min(round(math.sqrt(m)), len(np.unique(z, axis=0)))
    if m < 4 or clusters < 2:
        raise InputError(
            f"cluster learnability needs at least four images and two directions: got {m} images, {clusters} clusters."
        )
    labels = _k_means(z, clusters, seed=seed)
    order = numpy_stream(seed, "representations", "halves").permutation(m)
    known, asked = order[: m // 2], order[m // 2 :]
    nearest = np.concatenate([block.argmin(axis=1) for _, block in distance_blocks(z[asked], z[known])])
    return float((labels[known][nearest] == labels[asked]).mean())


def _k_means(z: FloatArray, clusters: int, *, seed: int) -> IntArray:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    k_means = KMeans(clusters, n_init=1, random_state=seed_of(seed, "representations", "k-means") % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that differ by rounding: fewer clusters, no harm
        return np.asarray(k_means.fit_predict(z), dtype=np.int64)


def two_nn(embeddings: ArrayLike, *, seed: int = 0, sample: int = SAMPLE) -> float:
    """Return the intrinsic dimension by the two nearest neighbours, > 0: n / sum_i ln(r2_i / r1_i).

    r1 and r2 are the distances of image i to its two nearest neighbours. Exact duplicates count once; images nearer to
    each other than 1e-6 of the embeddings' spread, duplicates but for rounding, are left out.

    Args:
        embeddings: (n, d).
        seed: of the sample, where n exceeds it.
        sample: the most images that are used.

    Raises:
        InputError: not a finite matrix, fewer than three different images, or all of them equally far from their two
            nearest neighbours (the dimension would be infinite).

    Fails when: n is small for the dimension: it is underestimated, beyond ten dimensions clearly.

    Cost: O(m^2 d) for m = min(n, sample), in blocks.

    References: Facco, d'Errico, Rodriguez, Laio (2017), Scientific Reports 7, 12140. Deviations: the maximum
    likelihood estimate for their fitted line, without discarding the largest ratios.
    """
    z = np.unique(sampled(embedding_matrix(embeddings), sample=sample, seed=seed, name="neighbours"), axis=0)
    if len(z) < 3:
        raise InputError(f"the intrinsic dimension needs three different images: got {len(z)}.")
    z = z - z.mean(axis=0)
    duplicate = NEGLIGIBLE * math.sqrt(np.square(z).sum(axis=1).mean())
    ratios = np.concatenate([_ratios(z, i, squared, duplicate) for i, squared in distance_blocks(z, z)])
    total = float(np.log(ratios).sum())
    if total <= 1e-12 * len(z):
        raise InputError("all images are equally far from their two nearest neighbours: no intrinsic dimension.")
    return len(ratios) / total


def _ratios(z: FloatArray, i: int, squared: FloatArray, duplicate: float) -> FloatArray:
    """Return r2 / r1 of the rows i.. of z, without those that have a duplicate; `squared` is overwritten.

    The four nearest by `squared` are measured again: differences do not lose digits where rows are near.
    """
    rows = np.arange(len(squared))
    squared[rows, rows + i] = np.inf
    candidates = min(4, len(z) - 1)
    near = np.argpartition(squared, candidates - 1, axis=1)[:, :candidates]
    r = np.sort(np.linalg.norm(z[near] - z[i : i + len(squared), None], axis=2), axis=1)
    r = r[r[:, 0] > duplicate]
    return np.asarray(r[:, 1] / r[:, 0])


def clid(learnability: ArrayLike, dimension: ArrayLike) -> FloatArray:
    """Return CLID of each of m models: the sum of the two z-scores over these models, (m,); up, relative to the pool.

    Args:
        learnability: `cluster_learnability` of each model, (m,).
        dimension: `two_nn` of each model, (m,).

    Raises:
        InputError: different lengths, or values that are not finite.

    Fails when: the pool changes: values of different pools cannot be compared. A part that is equal in all models
    adds nothing.

    References: Lu et al. (2022), arXiv 2206.01251, section 3.

    Example:
        >>> clid([0.25, 0.75], [5.0, 5.0]).tolist()
        [-1.0, 1.0]
    """
    parts = [score_vector(learnability, "cluster learnability"), score_vector(dimension, "intrinsic dimension")]
    if parts[0].shape != parts[1].shape:
        raise InputError(f"both must belong to the same models: got {parts[0].size} and {parts[1].size}.")
    return np.asarray(sum(_z_scores(each) for each in parts))


def _z_scores(values: FloatArray) -> FloatArray:
    centred = values - values.mean()
    sd = float(values.std())
    return centred / sd if sd > 1e-12 * float(np.abs(values).max()) else np.zeros_like(values)
