"""Every entry of the catalogue of methods keeps every promise; a new one is tested without touching this file."""

import pytest
import torch

from feint.pretraining import METHODS
from feint.testing.pretraining import METHOD_CHECKS


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", METHODS)
def test_method(name, check):
    check(METHODS[name]())
