"""How well embeddings tell images from pseudo-anomalies made of them: a judge that needs no label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.core.streams import numpy_stream, seed_of
from feint.embeddings.knn import KNN
from feint.embeddings.linear import LinearProbe
from feint.embeddings.rows import embedding_rows
from feint.metrics.arrays import FloatArray, IntArray
from feint.metrics.roc import auroc

FEWEST = 10
PENALTY = (1e-2,)


def pseudo_probe(z: ArrayLike, pseudo: ArrayLike, *, seed: int) -> float:
    """Return the AUROC, in [0, 1], of a linear probe between images and their pseudo-anomalies, on images left out.

    Half of the images, with their pseudo-anomalies, fit the probe, the other half are told apart by it,
    and the reverse: the mean of both. Higher: the embeddings keep what such anomalies change.

    Args:
        z: embeddings (n, d) of unlabelled images, some of which may be anomalous themselves.
        pseudo: embeddings (n, d) of a pseudo-anomaly of each.
        seed: of the halves.

    Raises: InputError for fewer than 10 images, other shapes and embeddings that are not finite.
    Fails when: the pseudo-anomalies resemble no real anomaly. Cost: that of two probes.
    References: Feint's own; that pseudo-anomalies can stand in for labels in choosing a model is the idea of Yoo, Zhao,
    Akoglu (TMLR 2023), arXiv:2208.07734.
    """
    clean, made, halves = _paired(z, pseudo, seed)
    found = []
    for fitted, told in (halves, halves[::-1]):
        rows = np.concatenate([clean[fitted], made[fitted]])
        labels = np.repeat([0, 1], len(fitted))
        probe = LinearProbe(grid=PENALTY).fit(rows, labels, seed=seed_of(seed, "pseudo probe"))
        found.append(auroc(probe.score(clean[told]), probe.score(made[told])))
    return float(np.mean(found))


def pseudo_neighbours(z: ArrayLike, pseudo: ArrayLike, *, seed: int) -> float:
    """Return the AUROC, in [0, 1], of the distance to the nearest images, between images left out and pseudo-anomalies.

    As `pseudo_probe`, but nothing learns what the pseudo-anomalies look like: half of the images are the bank.
    """
    clean, made, halves = _paired(z, pseudo, seed)
    found = []
    for fitted, told in (halves, halves[::-1]):
        scorer = KNN(k=min(5, len(fitted) - 1)).fit(clean[fitted], seed=seed)
        found.append(auroc(scorer.score(clean[told]), scorer.score(made[told])))
    return float(np.mean(found))


def _paired(z: ArrayLike, pseudo: ArrayLike, seed: int) -> tuple[FloatArray, FloatArray, tuple[IntArray, IntArray]]:
    clean, made = (np.array(embedding_rows(each, "embeddings"), np.float64) for each in (z, pseudo))
    if clean.shape != made.shape or len(clean) < FEWEST:
        raise InputError(
            f"each of at least {FEWEST} images needs the embedding of one pseudo-anomaly: got {clean.shape} and "
            f"{made.shape}."
        )
    order = numpy_stream(seed, "pseudo halves").permutation(len(clean))
    return clean, made, (order[: len(order) // 2], order[len(order) // 2 :])
