"""Every check fails on an implementation broken in just that way, and lets those pass that are broken in another.

Each `broken_*` module maps the checks of its kind to broken twins (`TWINS`); a twin that cannot help breaking another
promise too names it in `ALSO`. The honest ones pass everything.
"""

from unittest import SkipTest

import broken_augmentations
import broken_backends
import broken_criteria
import broken_detectors
import broken_hypergradients
import broken_pool_detectors
import pytest

from feint.testing.augmentations import AUGMENTATION_CHECKS
from feint.testing.backends import BACKEND_CHECKS
from feint.testing.criteria import CRITERION_CHECKS
from feint.testing.detectors import DETECTOR_CHECKS
from feint.testing.hypergradients import FIRST_ORDER_CHECKS, IMPLICIT_CHECKS, UNROLLED_CHECKS
from feint.testing.pool_detectors import POOL_DETECTOR_CHECKS

KINDS = {
    "augmentation": (broken_augmentations, AUGMENTATION_CHECKS),
    "detector": (broken_detectors, DETECTOR_CHECKS),
    "pool-detector": (broken_pool_detectors, POOL_DETECTOR_CHECKS),
    "unrolled": (broken_hypergradients.UNROLLED, UNROLLED_CHECKS),
    "implicit": (broken_hypergradients.IMPLICIT, IMPLICIT_CHECKS),
    "first_order": (broken_hypergradients.FIRST_ORDER, FIRST_ORDER_CHECKS),
    "backend": (broken_backends, BACKEND_CHECKS),
    "criterion": (broken_criteria, CRITERION_CHECKS),
}


def is_kept(check, subject) -> bool:
    try:
        check(subject)
    except SkipTest:
        return True
    except (AssertionError, RuntimeError):
        return False
    return True


def cases():
    for kind, (module, checks) in KINDS.items():
        for honest in module.HONEST:
            yield pytest.param(module, checks, honest, set(), id=f"{kind}-honest-{honest.__name__}")
        for check, twins in module.TWINS.items():
            for twin in twins:
                broken = {check} | module.ALSO.get(twin, set())
                yield pytest.param(module, checks, twin, broken, id=f"{kind}-{check.__name__}-{twin.__name__}")


@pytest.mark.parametrize(("module", "checks", "twin", "broken"), list(cases()))
def test_exactly_the_broken_promises_are_caught(module, checks, twin, broken):
    caught = {check.__name__ for check in checks if not is_kept(check, module.make(twin))}
    assert caught == {check.__name__ for check in broken}


@pytest.mark.parametrize(("module", "checks"), KINDS.values(), ids=KINDS)
def test_every_check_has_a_broken_twin(module, checks):
    assert [check.__name__ for check in checks if not module.TWINS.get(check)] == []
    assert set(module.TWINS) == set(checks)
