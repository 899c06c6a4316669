"""Whether an exported graph says what its run says, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import OutputError
from feint.export.evidence import Evidence
from feint.export.graph import preprocessings
from feint.export.manifest import ParityRecord
from feint.export.runtimes import Runtime
from feint.runs.model import Model, calibrated

TOLERANCE = 1e-4
ROUNDING = 1e-6

Numbers = NDArray[np.floating[Any]]


def compare(model: Model, runtime: Runtime, images: Evidence) -> ParityRecord:
    """Return how far the graph in `runtime` is from `model`, on all images at once and on the first alone.

    Scores and maps may differ by 1e-4 of their size, or of the quartile distance of the calibration scores and of the
    usual range of maps where that is more: a score near 0 has no relative difference. Flags must be the same, and
    p-values those of scores within that distance.

    Raises: OutputError that shows the differences.
    """
    inputs = [images.pixels[each] for each in preprocessings(model)]
    found, alone = runtime(*inputs, maps=True), runtime(*(each[:1] for each in inputs))
    each = [member.scores(images.pixels[member.preprocessing]) for member in model.members]
    scores, p_values, flags = model.judge(each)
    maps = model.members[0].maps(inputs[0])
    if found.maps is None or found.maps.shape != maps.shape or found.scores.shape != scores.shape:
        raise OutputError("the exported graph gives results of other shapes than the run's. Nothing was written.")
    usual = spread(model.calibration_scores)
    away = relative(found.scores, scores, usual)
    away[0] = max(away[0], relative(alone.scores, scores[:1], usual)[0])
    record = ParityRecord(
        source=images.source,
        images=len(scores),
        flagged=int(flags.sum()),
        score=float(away.max()),
        map=float(relative(found.maps, maps, model.map_scale[1] - model.map_scale[0]).max()),
        p_value=float(np.abs(found.p_values - p_values).max()),
    )
    complaints = []
    if not record.score <= TOLERANCE:
        i = int(away.argmax())
        complaints.append(
            f"scores differ by up to {record.score:.1e} of their size ({images.names[i]}: {scores[i]:.6g} by the run, "
            f"{found.scores[i]:.6g} exported)"
        )
    if not record.map <= TOLERANCE:
        complaints.append(f"maps differ by up to {record.map:.1e} of their size")
    if len(other := np.flatnonzero(found.labels != flags)):
        complaints.append(f"{len(other)} of {len(flags)} images are flagged by one alone ({images.names[other[0]]})")
    if len(other := np.flatnonzero(~_possible(model, each, found.p_values))):
        i = int(other[0])
        complaints.append(
            f"{len(other)} p-values differ ({images.names[i]}: {p_values[i]:.4g} by the run, {found.p_values[i]:.4g} "
            "exported)"
        )
    if complaints:
        raise OutputError(f"the exported graph is not the run: {'; '.join(complaints)}. Nothing was written.")
    return record


def _possible(model: Model, scores: Sequence[Numbers], p_values: Numbers) -> NDArray[np.bool_]:
    """Tell which p-values (n,) belong to scores within the tolerance of each member's (n,)."""
    calibrations = [member.calibration for member in model.members]
    slack = [TOLERANCE * np.maximum(np.abs(s), spread(c)) for s, c in zip(scores, calibrations, strict=True)]
    lowest = calibrated(calibrations, [s + e for s, e in zip(scores, slack, strict=True)])[1]
    highest = calibrated(calibrations, [s - e for s, e in zip(scores, slack, strict=True)])[1]
    return (lowest - ROUNDING <= p_values) & (p_values <= highest + ROUNDING)


def spread(values: Numbers) -> float:
    """Return the quartile distance of values (n,)."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)


def relative(found: Numbers, expected: Numbers, usual: float) -> Numbers:
    """Return differences relative to the expected value, or to what is usual where that is more; NaN counts as far."""
    scale = np.maximum(np.abs(expected), max(usual, 1e-12))
    return np.nan_to_num(np.abs(found - expected) / scale, nan=np.inf)
