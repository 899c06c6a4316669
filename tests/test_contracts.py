"""Every entry of every catalogue keeps every promise of its kind; a new entry is tested without touching this file."""

from dataclasses import replace

import pytest
import torch

from feint.augmentations import AUGMENTATIONS, NUISANCES
from feint.backends import ProcessExecutor, SerialExecutor
from feint.detectors import DETECTORS, POOL_DETECTORS
from feint.testing.augmentations import AUGMENTATION_CHECKS
from feint.testing.backends import BACKEND_CHECKS
from feint.testing.criteria import CRITERION_CHECKS
from feint.testing.detectors import DETECTOR_CHECKS
from feint.testing.hypergradients import FIRST_ORDER_CHECKS, IMPLICIT_CHECKS, UNROLLED_CHECKS
from feint.testing.pool_detectors import POOL_DETECTOR_CHECKS
from feint.tuning.criteria import CRITERIA
from feint.tuning.hypergradient import first_order, implicit_cg, implicit_neumann, unrolled

QUICK = {
    "discriminator": {"width": 8, "depth": 3, "steps": 40},
    "ae": {"features": 8, "hidden": 16, "epochs": 60, "batch": 20, "rate": 3e-3},
    "dae": {"features": 8, "hidden": 16, "epochs": 60, "batch": 20, "rate": 3e-3},
    "ap": {"net": "small", "width": 8, "epochs": 40, "batch": 20, "draws": 2},
    "deepsvdd": {"width": 8, "epochs": 25, "pretrain_epochs": 25, "batch": 20},
    "deepsad": {"width": 8, "epochs": 25, "pretrain_epochs": 25, "batch": 20},
    "patch-knn": {"depth": 3},
    "pool-classifier": {"width": 8, "depth": 3, "steps": 60, "rate": 1e-2},
    "pool-probe": {"width": 8, "depth": 3},
}
"""Settings with which a detector is fitted in less than a second; its own defaults, where there are none."""

QUICK_CRITERIA = {
    "excess-mass": {"subspaces": 5, "uniform": 500},
    "mass-volume": {"subspaces": 5, "uniform": 500},
    "sinkhorn": {"blur": 0.3},
}

ADAPTERS = {"anomalib", "pyod"}
"""They need extras: what they promise is tested in `tests/extras`."""


def quick_detectors():
    """Yield every detector, once for each score it can give."""
    for name, recipe in DETECTORS.items():
        if name in ADAPTERS:
            continue
        for score in getattr(recipe, "SCORES", (None,)):
            chosen = {} if score is None else {"score": score}
            yield pytest.param(recipe(**QUICK.get(name, {}), **chosen), id=name if score is None else f"{name}_{score}")


def named(check):
    return check.__name__


@pytest.mark.parametrize("check", AUGMENTATION_CHECKS, ids=named)
@pytest.mark.parametrize("name", AUGMENTATIONS | NUISANCES)
def test_augmentation(name, check):
    check((AUGMENTATIONS | NUISANCES)[name]())


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("check", DETECTOR_CHECKS, ids=named)
@pytest.mark.parametrize("detector", list(quick_detectors()))
def test_detector(detector, check):
    check(detector)


@pytest.mark.parametrize("check", POOL_DETECTOR_CHECKS, ids=named)
@pytest.mark.parametrize("name", POOL_DETECTORS)
def test_pool_detector(name, check):
    check(POOL_DETECTORS[name](**QUICK.get(name, {})))


def hypergradients():
    """Yield every hypergradient with every check of its kind."""
    for checks, methods in (
        (UNROLLED_CHECKS, [unrolled]),
        (IMPLICIT_CHECKS, [implicit_cg, implicit_neumann]),
        (FIRST_ORDER_CHECKS, [first_order]),
    ):
        for method in methods:
            for check in checks:
                yield pytest.param(method, check, id=f"{named(method)}-{named(check)}")


@pytest.mark.parametrize(("method", "check"), list(hypergradients()))
def test_hypergradient(method, check):
    check(method)


@pytest.mark.parametrize("check", CRITERION_CHECKS, ids=named)
@pytest.mark.parametrize("name", CRITERIA)
def test_criterion(name, check):
    check(replace(CRITERIA[name], **QUICK_CRITERIA.get(name, {})))


@pytest.fixture(scope="module", params=["serial", "processes"])
def executor(request):
    with SerialExecutor() if request.param == "serial" else ProcessExecutor(2, threads=1) as opened:
        yield opened


@pytest.mark.parametrize("check", BACKEND_CHECKS, ids=named)
def test_backend(executor, check):
    check(executor)
