"""Named random streams: every use of chance has a name, and the global generators stay untouched."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def seed_of(seed: int, *names: str | int) -> int:
    """Return the 63-bit seed of the stream called `names` under the run's `seed`.

    Example:
        >>> seed_of(0, "augment", 1) == seed_of(0, "augment", 1)
        True
        >>> seed_of(0, "augment", 1) == seed_of(0, "augment", 2)
        False
    """
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator for the stream called `names`: `stream(seed, "augment", epoch)`."""
    import torch

    return torch.Generator().manual_seed(seed_of(seed, *names))


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the numpy generator of the stream called `names`."""
    import numpy as np

    return np.random.default_rng(seed_of(seed, *names))
