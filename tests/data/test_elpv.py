import importlib.util
from pathlib import Path

import numpy as np
import pytest

from feint.core.errors import InputError
from feint.data.elpv import read_elpv


def test_solar_cells_as_in_the_package():
    package = pytest.importorskip("elpv_dataset")
    cells = read_elpv()
    table = np.genfromtxt(Path(package.__file__).parent / "data/labels.csv", dtype=None, encoding="utf-8")
    names, probability, kind = (table[column] for column in table.dtype.names)
    assert len(cells.images) == 2624
    assert cells.images.names == tuple(names)
    assert cells.images.names[0] == "images/cell0001.png"
    assert np.array_equal(cells.probability, probability)
    assert cells.kind == tuple(kind)
    assert cells.images.read(1000).shape == (300, 300)


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'feint\[demo\]'"):
        read_elpv()
