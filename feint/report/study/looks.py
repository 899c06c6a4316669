"""Single cells looked at closely: their scores, their embeddings and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.records.study import GROUPS, Panel
from feint.report import images
from feint.report.study import charts, embedding, marks

MOST = 6
PICTURES = 4


@final
@dataclass(frozen=True)
class Strip:
    """Pictures of one group, each with the address of its anomaly map (empty: it has none)."""

    mark: marks.Mark
    pictures: list[tuple[str, str]]


@final
@dataclass(frozen=True)
class Look:
    """One panel as it is shown."""

    panel: Panel
    histogram: charts.ScoreHistogram | None
    scatter: embedding.Scatter | None
    strips: list[Strip]


def helped_and_hurt(panels: Sequence[Panel]) -> tuple[list[Look], list[Look]]:
    """Return the six panels where the augmentation helped most, and the six where it hurt most, most first.

    A panel without a finite `relative` counts among the first, after all others.
    """
    ordered = sorted(panels, key=lambda panel: -np.nan_to_num(panel.relative, nan=0.0))
    helped = [panel for panel in ordered if not panel.relative < 0]
    hurt = [panel for panel in reversed(ordered) if panel.relative < 0]
    return [look(panel) for panel in helped[:MOST]], [look(panel) for panel in hurt[:MOST]]


def look(panel: Panel) -> Look:
    """Return the charts and pictures of one panel. Cost: about 1 s, most of it t-SNE."""
    return Look(
        panel=panel,
        histogram=charts.score_histogram(panel.scores),
        scatter=embedding.scatter(panel.embeddings, seed=panel.seed),
        strips=_strips(panel),
    )


def _strips(panel: Panel) -> list[Strip]:
    scale = _scale(panel)
    strips = []
    for name in GROUPS:
        pictures, maps = panel.pictures.get(name, ()), panel.maps.get(name, ())
        shown = []
        for i, each in enumerate(pictures[:PICTURES]):
            image = _image(each)
            over = images.data_uri(images.overlay(image, maps[i], scale=scale))[0] if i < len(maps) else ""
            shown.append((images.data_uri(image)[0], over))
        if shown:
            strips.append(Strip(marks.GROUP_MARKS[name], shown))
    return strips


def _scale(panel: Panel) -> tuple[float, float]:
    """Return the map values drawn clear and in full colour: the middle of normal test images, and the highest 0.5 %."""
    every = [np.asarray(maps, dtype=float).ravel() for maps in panel.maps.values()]
    values = np.concatenate([x[np.isfinite(x)] for x in every]) if every else np.empty(0)
    usual = np.asarray(panel.maps.get("test normal", values), dtype=float)
    usual = usual[np.isfinite(usual)] if np.isfinite(usual).any() else values
    if not len(values):
        return 0.0, 1.0
    return float(np.median(usual)), float(np.quantile(values, 0.995))


def _image(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture (c, h, w) as (h, w) where it is grey, else as (h, w, 3)."""
    return picture[0] if len(picture) != 3 else np.ascontiguousarray(np.moveaxis(picture, 0, 2))
