"""The pictures a report shows: what its caller hands over, checked once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.records.run import ShareRecord


@dataclass(frozen=True)
class Picture:
    """One image as it is shown.

    Args:
        name: file name or path; shown shortened, in full when pointed at.
        image: uint8, (h, w) grey or (h, w, 3) colour.
        score: anomaly score, higher = more anomalous; None where it was not scored.
        p_value: conformal p-value in (0, 1]; None where there is none.
        flagged: whether the run calls it anomalous.
        map: anomaly map (h', w') of any size and unit, higher = more anomalous; None where there is none.

    Raises:
        InputError: an image or a map of another shape or type.
    """

    name: str
    image: NDArray[np.uint8]
    score: float | None
    p_value: float | None
    flagged: bool
    map: NDArray[np.floating] | None

    def __post_init__(self) -> None:
        shape = self.image.shape
        if self.image.dtype != np.uint8 or not (self.image.ndim == 2 or (self.image.ndim == 3 and shape[2] == 3)):
            raise InputError(
                f"the picture of {self.name} must be uint8 of shape (h, w) or (h, w, 3): "
                f"got {self.image.dtype} of shape {shape}."
            )
        if self.map is not None and self.map.ndim != 2:
            raise InputError(f"the anomaly map of {self.name} must have shape (h, w): got {self.map.shape}.")


@dataclass(frozen=True)
class PseudoGroup:
    """What one voter practised on: its share in the answer, and pairs (normal image, the pseudo-anomaly made of it)."""

    share: ShareRecord
    pairs: list[tuple[Picture, Picture]]


@dataclass(frozen=True)
class Gallery:
    """The pictures of a report, each list in the order of showing; any may be empty.

    Args:
        anomalous: the unlabelled images with the highest scores, highest first.
        normal: a few normal images, for comparison.
        pseudo: a group for each voter that makes pseudo-anomalies, heaviest first.
        suspicious: the normal images with the highest scores, highest first.
    """

    anomalous: list[Picture]
    normal: list[Picture]
    pseudo: list[PseudoGroup]
    suspicious: list[Picture]
