"""Embeddings scaled to unit length: their spread, their clustering, alignment and uniformity.

A zero row has no direction: it stays zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import FloatArray
from feint.metrics.representations.distances import SAMPLE, distance_blocks, sampled
from feint.metrics.representations.spectrum import embedding_matrix


def unit_rows(z: FloatArray) -> FloatArray:
    """Return rows (n, d) scaled to unit length; zero rows stay zero."""
    largest = np.abs(z).max(axis=1, keepdims=True)
    scaled = z / np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(lengths > 0, lengths, 1))


def std_of_l2(embeddings: ArrayLike) -> float:
    """Return mean_j std(z_j) over the features j of unit-length rows, in [0, 1/sqrt(d)]; up, 0 is collapse.

    About 1/sqrt(d) where the directions are spread evenly.

    Raises:
        InputError: not a finite matrix.

    Cost: O(n d).

    References: Chen and He (2021), SimSiam, arXiv 2011.10566, section 4.1 (their figure of collapse).

    Example:
        >>> std_of_l2([[3.0, 0.0], [3.0, 0.0]])
        0.0
    """
    return float(unit_rows(embedding_matrix(embeddings)).std(axis=0).mean())


def self_cluster(embeddings: ArrayLike) -> float:
    """Return how far the rows cluster beyond chance: 1 for identical rows, about 0 for random ones; down.

    (||Z Z^T||_F^2 - E) / (n^2 - E) on unit rows, E = n + n (n - 1) / d being what random directions give. Negative
    where rows are more orthogonal than random ones. Zero rows count as identical to each other.

    Raises:
        InputError: not a finite matrix, one row, or one feature.

    Cost: O(n d min(n, d)), by the smaller Gram matrix.

    References: Tsitsulin, Munkhoeva, Perozzi (2023), arXiv 2305.16562.

    Example:
        >>> self_cluster([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
        1.0
    """
    z = embedding_matrix(embeddings)
    n, d = z.shape
    if min(n, d) < 2:
        raise InputError(f"SelfCluster needs at least two images and two features: got shape {z.shape}.")
    unit = unit_rows(z)
    zero = int(np.count_nonzero(~unit.any(axis=1)))
    gram = unit.T @ unit if d <= n else unit @ unit.T
    expected = n + n * (n - 1) / d
    return float((np.square(gram).sum() + zero**2 - expected) / (n**2 - expected))


def alignment(za: ArrayLike, zb: ArrayLike) -> float:
    """Return the mean squared distance of two views of each image on the unit sphere, in [0, 4]; down.

    Args:
        za: embeddings of one view of n images, (n, d).
        zb: embeddings of another view of the same images in the same order, (n, d).

    Raises:
        InputError: not finite matrices of one shape.

    Fails when: the encoder has collapsed: that is aligned too. Read it beside `uniformity`.

    Cost: O(n d).

    References: Wang and Isola (2020), ICML, arXiv 2005.10242, section 4.1, with exponent 2.

    Example:
        >>> alignment([[1.0, 0.0]], [[-5.0, 0.0]])
        4.0
    """
    a, b = embedding_matrix(za, "embeddings of the first view"), embedding_matrix(zb, "embeddings of the second view")
    if a.shape != b.shape:
        raise InputError(f"alignment compares two views of the same images: got shapes {a.shape} and {b.shape}.")
    return float(np.square(unit_rows(a) - unit_rows(b)).sum(axis=1).mean())


def uniformity(embeddings: ArrayLike, *, seed: int, sample: int = SAMPLE) -> float:
    """Return ln mean exp(-2 ||x - y||^2) over pairs of different images on the unit sphere, in [-8, 0]; down.

    0 is collapse; random directions give about -4 + 8/d.

    Args:
        embeddings: (n, d).
        seed: of the sample, where n exceeds it.
        sample: the most images that are compared with each other.

    Raises:
        InputError: not a finite matrix, or fewer than two images.

    Fails when: it is to show a small cluster, such as one of anomalies: that hardly moves it.

    Cost: O(m^2 d) for m = min(n, sample), in O(m) memory beside the embeddings.

    References: Wang and Isola (2020), ICML, arXiv 2005.10242, section 4.1, with t = 2. Deviations: a sample.

    Example:
        >>> uniformity([[1.0, 0.0], [-1.0, 0.0]], seed=0)
        -8.0
    """
    z = sampled(embedding_matrix(embeddings), sample=sample, seed=seed, name="uniformity")
    m = len(z)
    if m < 2:
        raise InputError(f"uniformity compares images with each other: got {m}. Give at least two.")
    unit = unit_rows(z)
    total = 0.0
    for i, squared in distance_blocks(unit, unit):
        kernel = np.exp(-2 * squared)
        total += float(np.triu(kernel, k=i + 1).sum())
    return float(np.log(total / (m * (m - 1) / 2)))
