"""What the checks of every kind are written in."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch


def promise(kept: bool, sentence: str) -> None:
    """Raise AssertionError with `sentence` unless the promise was `kept`; unlike `assert`, also under `python -O`."""
    if not kept:
        raise AssertionError(sentence)


@contextmanager
def global_generators_untouched(doing: str) -> Iterator[None]:
    """Raise AssertionError if what is done inside moves a global generator of torch, numpy or Python.

    They are moved on first and put back afterwards: whoever seeds one alike every time would else go unseen.

    Args:
        doing: what is done, for the sentence: "fit".
    """
    saved = {name: read() for name, (read, _, _) in _GENERATORS.items()}
    try:
        for _, _, advance in _GENERATORS.values():
            advance()
        before = _states()
        yield
        moved = [name for name, state in _states().items() if state != before[name]]
    finally:
        for name, (_, write, _) in _GENERATORS.items():
            write(saved[name])
    promise(not moved, f"{doing} used the global generator of {', '.join(moved)}: take chance from a named stream.")


_GENERATORS: dict[str, tuple[Callable[[], object], Callable[..., None], Callable[[], object]]] = {
    "torch": (torch.get_rng_state, torch.set_rng_state, lambda: torch.rand(1)),
    "numpy": (np.random.get_state, np.random.set_state, np.random.random),
    "Python": (random.getstate, random.setstate, random.random),
}
if torch.cuda.is_available():
    _GENERATORS["CUDA"] = (torch.cuda.get_rng_state, torch.cuda.set_rng_state, lambda: torch.rand(1, device="cuda"))


def _states() -> dict[str, bytes]:
    found = {name: read() for name, (read, _, _) in _GENERATORS.items()}
    return {k: pickle.dumps(v.tolist() if isinstance(v, torch.Tensor) else v) for k, v in found.items()}
