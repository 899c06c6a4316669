import math
import statistics

import pytest
import torch

from feint.core.errors import InputError, SettingError
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.pretraining.barlow_twins import BarlowTwins, barlow_twins_loss


def rows(n, d, *names):
    return torch.randn(n, d, generator=stream(0, "rows", *names), dtype=torch.float64)


def by_definition(za, zb, redundancy, scale):
    """Equations 1 and 2 of the paper, pair by pair of dimensions."""

    def standardised(column):
        mean, variance = statistics.fmean(column), statistics.pvariance(column)
        return [(value - mean) / math.sqrt(variance + 1e-5) for value in column]

    a, b = ([standardised(column) for column in z.T.tolist()] for z in (za, zb))
    total = 0.0
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            c = statistics.fmean(x * y for x, y in zip(left, right, strict=True))
            total += (1 - c) ** 2 if i == j else redundancy * c**2
    return scale * total


@pytest.mark.parametrize(("n", "d", "redundancy", "scale"), [(2, 3, 5e-3, 1.0), (9, 4, 0.1, 0.1), (5, 7, 1.0, 2.0)])
def test_it_is_equations_1_and_2(n, d, redundancy, scale):
    za, zb = rows(n, d, "a"), rows(n, d, "b")
    found = float(barlow_twins_loss(za, zb, redundancy=redundancy, scale=scale))
    assert found == pytest.approx(by_definition(za, zb, redundancy, scale), rel=1e-10)


def test_the_diagonal_of_identical_views_costs_nothing():
    z = rows(32, 5, "same")
    z = (z - z.mean(0)) / z.std(0, correction=0)
    assert float(barlow_twins_loss(z, z, redundancy=0.0, scale=1.0)) == pytest.approx(0, abs=1e-8)
    with_pairs = float(barlow_twins_loss(z, z, redundancy=1.0, scale=1.0))
    pairs = torch.corrcoef(z.T).square().sum() - 5
    assert with_pairs == pytest.approx(float(pairs), rel=1e-4)


def test_of_identical_projections_it_is_the_floor():
    z = rows(1, 7, "one").expand(8, -1)
    assert float(barlow_twins_loss(z, z, redundancy=5e-3, scale=0.1)) == pytest.approx(0.7, rel=1e-9)
    encoder = build("resnet8", channels=1, size=(8, 8), seed=0)
    assert BarlowTwins(scale=0.1, out=7).learner(encoder, seed=0).floor(8) == pytest.approx(0.7)


def test_scale_and_shift_of_a_dimension_do_not_matter():
    za, zb = rows(16, 3, "a"), rows(16, 3, "b")
    changed = barlow_twins_loss(50 * za + 3, zb - 2, redundancy=0.1, scale=1.0)
    assert float(changed) == pytest.approx(float(barlow_twins_loss(za, zb, redundancy=0.1, scale=1.0)), rel=1e-4)


def test_gradient():
    za, zb = rows(5, 3, "a").requires_grad_(), rows(5, 3, "b").requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: barlow_twins_loss(a, b, redundancy=0.1, scale=0.5), (za, zb))


def test_a_batch_of_one_is_refused():
    learner = BarlowTwins().learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)
    with pytest.raises(InputError, match="at least 2 of them: got 1"):
        learner.loss([torch.rand(1, 1, 8, 8, generator=stream(0, "one"))] * 2, generator=stream(0), progress=0.0)


@pytest.mark.parametrize("wrong", [{"redundancy": 0.0}, {"scale": math.nan}, {"hidden": 0}, {"out": 1}])
def test_impossible_settings_are_named(wrong):
    with pytest.raises(SettingError, match=f"BarlowTwins: {next(iter(wrong))} = "):
        BarlowTwins(**wrong)
