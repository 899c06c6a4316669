"""From scores to the results of one task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feint.data.testbeds import Task
from feint.metrics.pixels import aupro, pixel_auroc
from feint.metrics.precision import f1_at_k, precision_at_k
from feint.metrics.roc import auroc, average_precision

AUROC = "auroc"
METRICS: dict[str, Callable[[NDArray[np.bool_], NDArray[np.floating]], float]] = {
    AUROC: lambda anomalous, scores: auroc(scores[~anomalous], scores[anomalous]),
    "average_precision": average_precision,
    "f1_at_k": f1_at_k,
    "precision_at_k": precision_at_k,
}
PIXEL_METRICS = {"pixel_auroc": pixel_auroc, "aupro": aupro}


@dataclass(frozen=True)
class Result:
    """One metric of one task."""

    testbed: str
    anomaly: str
    metric: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Pixelwise:
    """Anomaly maps and ground truth (n, h, w), and for which of the n images the truth is known."""

    maps: NDArray[np.floating]
    masks: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.intp]) -> Pixelwise:
        """Return those of the chosen images."""
        return Pixelwise(maps=self.maps[chosen], masks=self.masks[chosen], known=self.known[chosen])


def evaluate_task(
    task: Task,
    scores: Mapping[str, NDArray[np.floating]],
    anomalous: NDArray[np.bool_],
    *,
    main: str,
    pixelwise: Pixelwise | None = None,
) -> list[Result]:
    """Return every metric of a task: of the score `main` by their names, of other scores the AUROC as `auroc:NAME`.

    Args:
        scores: (n,) by name, higher = more anomalous, of the task's pool. anomalous: (n,).
        pixelwise: the maps of the same images, for pixel AUROC and AUPRO; None: there is no ground truth.
    """
    values = {name: metric(anomalous, scores[main]) for name, metric in METRICS.items()}
    values |= {f"{AUROC}:{name}": METRICS[AUROC](anomalous, found) for name, found in scores.items() if name != main}
    if pixelwise is not None and pixelwise.masks[pixelwise.known].any():
        maps, masks = pixelwise.maps[pixelwise.known], pixelwise.masks[pixelwise.known]
        values |= {name: metric(masks, maps) for name, metric in PIXEL_METRICS.items()}
    return [Result(task.testbed, task.anomaly, name, float(value)) for name, value in values.items()]
