"""What libraries that draw from global generators, warn and log are run in."""

from __future__ import annotations

import io
import json
import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import numpy as np
import torch

from feint.core.errors import SettingError
from feint.core.streams import seed_of


@contextmanager
def surroundings(seed: int, name: str) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python, silence what is logged and printed; put all of it back."""
    chance = seed_of(seed, name)
    numpy_state = np.random.get_state()  # noqa: NPY002 what the libraries draw from
    python_state, logged = random.getstate(), logging.root.manager.disable
    try:
        with (
            torch.random.fork_rng(devices=[]),
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            logging.disable(logging.CRITICAL)
            torch.default_generator.manual_seed(chance)
            np.random.seed(chance % 2**32)  # noqa: NPY002
            random.seed(chance)
            yield
    finally:
        logging.disable(logged)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def settings_of(owner: str, text: str) -> dict[str, object]:
    """Return the settings in `text`, a JSON object; raises SettingError where it is none."""
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise SettingError(f'{owner}.settings must be JSON, such as {{"n_neighbors": 3}}: got {text!r}.') from error
    if not isinstance(found, dict):
        raise SettingError(f'{owner}.settings must be a JSON object, such as {{"n_neighbors": 3}}: got {text!r}.')
    return found
