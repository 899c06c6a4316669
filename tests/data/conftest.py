from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pixels():
    """Return a maker of random uint8 images (h, w) or (h, w, 3)."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)

    return make


@pytest.fixture
def folder(tmp_path, pixels):
    """Return a maker of folders of random grey images, by relative names."""

    def make(*names: str, root: Path = tmp_path / "images", shape: tuple[int, ...] = (12, 16)) -> Path:
        for seed, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels(*shape, seed=seed)).save(path)
        return root

    return make
