import math

import pytest
import torch

from feint.core.errors import InputError, SettingError
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.pretraining.simclr import SimCLR, nt_xent


def rows(n, p, *names, dtype=torch.float64):
    return torch.randn(n, p, generator=stream(0, "rows", *names), dtype=dtype)


def by_definition(za, zb, temperature):
    """Equation 1 of the paper, pair by pair."""
    z, n, total = [*za, *zb], len(za), 0.0

    def likeness(i, j):
        return math.exp(float(z[i] @ z[j] / (z[i].norm() * z[j].norm())) / temperature)

    for i in range(2 * n):
        other = (i + n) % (2 * n)
        total -= math.log(likeness(i, other) / sum(likeness(i, k) for k in range(2 * n) if k != i))
    return total / (2 * n)


@pytest.mark.parametrize(("n", "temperature"), [(2, 0.5), (5, 0.2), (9, 0.1)])
def test_it_is_equation_1(n, temperature):
    za, zb = rows(n, 4, "a"), rows(n, 4, "b")
    assert float(nt_xent(za, zb, temperature)) == pytest.approx(by_definition(za, zb, temperature), rel=1e-10)


@pytest.mark.parametrize("n", [2, 8, 64])
def test_of_identical_projections_it_is_the_floor(n):
    z = rows(1, 3, "same").expand(n, -1)
    learner = SimCLR().learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)
    assert float(nt_xent(z, z, 0.2)) == pytest.approx(math.log(2 * n - 1), rel=1e-12)
    assert learner.floor(n) == pytest.approx(math.log(2 * n - 1), rel=1e-12)


def test_it_is_finite_in_single_precision_at_a_low_temperature():
    z = rows(16, 4, "low", dtype=torch.float32).requires_grad_()
    loss = nt_xent(z, -z, 1e-3)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_lengths_do_not_matter_and_views_are_exchangeable():
    za, zb = rows(6, 4, "a"), rows(6, 4, "b")
    assert float(nt_xent(3 * za, zb / 2, 0.2)) == pytest.approx(float(nt_xent(zb, za, 0.2)), rel=1e-12)


def test_gradient():
    za, zb = rows(4, 3, "a").requires_grad_(), rows(4, 3, "b").requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.3), (za, zb))


def test_a_batch_of_one_is_refused():
    learner = SimCLR().learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)
    with pytest.raises(InputError, match="at least 2 of them: got 1"):
        learner.loss([torch.rand(1, 1, 8, 8, generator=stream(0, "one"))] * 2, generator=stream(0), progress=0.0)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"temperature": math.nan}, {"hidden": 0}, {"out": 0}])
def test_impossible_settings_are_named(wrong):
    with pytest.raises(SettingError, match=f"SimCLR: {next(iter(wrong))} = "):
        SimCLR(**wrong)
