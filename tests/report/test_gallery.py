"""The gallery: a wrong picture is refused before it is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from feint.core.errors import InputError
from feint.report import Picture


@pytest.mark.parametrize(
    ("image", "anomaly_map", "said"),
    [
        (np.zeros((4, 4)), None, "must be uint8 of shape"),
        (np.zeros((4, 4, 4), np.uint8), None, r"got uint8 of shape \(4, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), np.zeros((1, 4, 4)), r"must have shape \(h, w\)"),
    ],
)
def test_a_wrong_picture_is_refused(image: np.ndarray, anomaly_map: np.ndarray | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Picture("a.png", image, None, None, False, anomaly_map)
