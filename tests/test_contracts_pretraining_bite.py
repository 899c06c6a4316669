"""Every check of a self-supervised method fails on one broken in just that way, and on no other promise.

`broken_methods` maps the checks to broken twins (`TWINS`); a twin that cannot help breaking another promise too names
it in `ALSO`. The honest ones pass everything.
"""

import broken_methods
import pytest
import torch
from broken_methods import ALSO, HONEST, TWINS

from feint.testing.pretraining import METHOD_CHECKS


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def caught(twin):
    found = set()
    for check in METHOD_CHECKS:
        try:
            check(broken_methods.make(twin))
        except (AssertionError, RuntimeError):
            found.add(check.__name__)
    return found


@pytest.mark.parametrize("twin", HONEST)
def test_the_honest_pass(twin):
    assert caught(twin) == set()


@pytest.mark.parametrize(
    ("check", "twin"),
    [pytest.param(c, t, id=f"{c.__name__}-{t.__name__}") for c, twins in TWINS.items() for t in twins],
)
def test_exactly_the_broken_promises_are_caught(check, twin):
    assert caught(twin) == {each.__name__ for each in {check} | ALSO.get(twin, set())}


def test_every_check_has_a_broken_twin():
    assert set(TWINS) == set(METHOD_CHECKS)
    assert all(TWINS.values())
