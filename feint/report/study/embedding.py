"""Embeddings laid out in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.core.streams import numpy_stream, seed_of
from feint.records.study import GROUPS
from feint.report.charts import Axis
from feint.report.study import marks

MOST = 80
FEW = 30


@final
@dataclass(frozen=True)
class Cloud:
    """The points of one group."""

    mark: marks.Mark
    points: list[tuple[float, float]]


@final
@dataclass(frozen=True)
class Scatter:
    """All groups in one plane; `method` says how they came there."""

    clouds: list[Cloud]
    method: str

    SIDE = 300


def scatter(embeddings: Mapping[str, NDArray[np.floating]], *, seed: int) -> Scatter | None:
    """Return at most 80 points of each group in the plane; None where fewer than three are finite.

    t-SNE keeps neighbours together: distances between clusters and their sizes mean nothing. Below 30 points it has
    nothing to work on, and the two main axes (PCA) are shown.

    Cost: about 0.8 s for 320 points.
    """
    groups = {}
    for name in GROUPS:
        if name in embeddings and np.ndim(embeddings[name]) == 2:
            x = np.asarray(embeddings[name], dtype=float)
            x = x[np.isfinite(x).all(axis=1)]
            chosen = numpy_stream(seed, "report", "embedding", name).permutation(len(x))[:MOST]
            groups[name] = x[np.sort(chosen)]
    groups = {name: x for name, x in groups.items() if len(x)}
    pooled = np.concatenate(list(groups.values())) if groups else np.empty((0, 0))
    if len(pooled) < 3 or pooled.shape[1] < 1:
        return None
    flat, method = _plane(pooled, seed)
    span = float(np.ptp(flat, axis=0).max()) or 1.0
    middle = (flat.max(axis=0) + flat.min(axis=0)) / 2
    axis = Axis(-span / 2, span / 2, 10, Scatter.SIDE - 10)
    places = [(axis.at(float(a)), axis.at(float(b))) for a, b in flat - middle]
    ends = np.cumsum([len(x) for x in groups.values()])
    clouds = [
        Cloud(marks.GROUP_MARKS[name], places[end - len(x) : end])
        for (name, x), end in zip(groups.items(), ends, strict=True)
    ]
    return Scatter(clouds, method)


def _plane(x: NDArray[np.floating], seed: int) -> tuple[NDArray[np.floating], str]:
    centred = x - x.mean(axis=0)
    if len(x) < FEW or not np.ptp(centred, axis=0).any():
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        flat = centred @ axes[:2].T
        return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))), "the two main axes (PCA)"
    from sklearn.manifold import TSNE

    state = seed_of(seed, "report", "t-SNE") % 2**32
    perplexity = min(30.0, (len(x) - 1) / 3)
    init = "pca" if x.shape[1] >= 2 else "random"
    return TSNE(random_state=state, perplexity=perplexity, init=init).fit_transform(x), "t-SNE"
