"""The solar cells of the `elpv-dataset` package, by their files."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.data.images import ImageSet


@dataclass(frozen=True, eq=False)
class Elpv:
    """Electroluminescence images of n solar cells, with the probability of a defect (0, 1/3, 2/3, 1) and the kind.

    References: Deitsch et al. (2019), Automatic classification of defective photovoltaic module cells in
    electroluminescence images, Solar Energy 185. Licence CC BY-NC-SA 4.0.
    """

    images: ImageSet
    probability: NDArray[np.float64]
    kind: tuple[str, ...]


def read_elpv() -> Elpv:
    """Return the 2,624 solar cells, 300 x 300 grey, named as in the data set ('images/cell0001.png').

    Raises: InputError when the package `elpv-dataset` is not installed.
    """
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise InputError("elpv-dataset is not installed: pip install 'feint[demo]'.")
    folder = Path(package.origin).parent / "data"
    rows = [line.split() for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines() if line.strip()]
    names = tuple(row[0] for row in rows)
    return Elpv(
        images=ImageSet(names=names, source=str(folder), layout="elpv", items=tuple(folder / name for name in names)),
        probability=np.array([float(row[1]) for row in rows]),
        kind=tuple(row[2] for row in rows),
    )
