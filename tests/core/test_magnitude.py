"""The map between a magnitude in its natural unit and the unconstrained number that is optimised."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feint.augmentations import CutDiff, Rotation
from feint.core.augmentation import RHO_LIMIT, Magnitude, Policy

SHARES = st.floats(0.003, 0.997)
LOWS, SPANS = st.floats(0.001, 10), st.floats(0.01, 10)
SCALES = st.sampled_from(["linear", "log", "ratio", "periodic"])


def magnitude(low, span, scale):
    return Magnitude(name="m", unit="", low=low, high=low + span, scale=scale)


@given(low=LOWS, span=SPANS, scale=SCALES, share=SHARES)
def test_natural_undoes_free(low, span, scale, share):
    m = magnitude(low, span, scale)
    value = float(m.at(torch.tensor(share, dtype=torch.float64)))
    assert math.isclose(float(m.natural(torch.tensor(m.free(value), dtype=torch.float64))), value, rel_tol=1e-9)


@given(low=LOWS, span=SPANS, scale=SCALES, rho=st.floats(-5.9, 5.9))
def test_free_undoes_natural(low, span, scale, rho):
    m = magnitude(low, span, scale)
    value = float(m.natural(torch.tensor(rho, dtype=torch.float64)))
    assert math.isclose(m.free(value), rho, rel_tol=1e-6, abs_tol=1e-6)


@given(low=LOWS, span=SPANS, scale=st.sampled_from(["linear", "log", "ratio"]), rho=st.floats(-1e3, 1e3))
def test_a_bounded_magnitude_stays_in_its_range(low, span, scale, rho):
    m = magnitude(low, span, scale)
    value = float(m.natural(torch.tensor(rho, dtype=torch.float64)))
    assert m.low * (1 - 1e-12) <= value <= m.high * (1 + 1e-12)


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize(("end", "limit"), [(1.0, -RHO_LIMIT), (4.0, RHO_LIMIT)])
def test_the_ends_of_the_range_are_kept_within_the_limit(scale, end, limit):
    assert magnitude(1.0, 3.0, scale).free(end) == limit


def test_the_middle_of_the_range_is_zero():
    assert magnitude(1.0, 3.0, "linear").free(2.5) == pytest.approx(0, abs=1e-12)
    assert magnitude(1.0, 3.0, "log").free(2.0) == pytest.approx(0, abs=1e-12)


def test_one_of_a_periodic_magnitude_is_one_period():
    turn = magnitude(0.0, 360.0, "periodic")
    assert turn.natural(torch.tensor(1.25)).item() == 450
    assert turn.free(-90.0) == -0.25


@pytest.mark.parametrize("scale", ["linear", "log", "ratio", "periodic"])
def test_gradient_flows_through_natural(scale):
    m = magnitude(0.5, 3.0, scale)
    rho = torch.tensor([-1.0, 0.3, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(m.natural, (rho,))
    (gradient,) = torch.autograd.grad(m.natural(rho).sum(), rho)
    assert (gradient > 0).all()


def test_half_of_a_ratio_lies_below_one():
    m = magnitude(0.3, 3.0, "ratio")
    shares = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    assert m.at(shares).tolist() == pytest.approx([0.3, 0.65, 1.0, 2.15, 3.3])


def test_a_ratio_without_one_inside_is_linear():
    m = magnitude(1.5, 2.0, "ratio")
    assert m.at(torch.tensor([0.0, 0.25, 1.0])).tolist() == pytest.approx([1.5, 2.0, 3.5])


@given(low=LOWS, span=SPANS, scale=SCALES, share=st.floats(0, 1))
def test_share_undoes_at(low, span, scale, share):
    m = magnitude(low, span, scale)
    value = m.at(torch.tensor(share, dtype=torch.float64))
    assert math.isclose(float(m.share(value)), share, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("scale", ["linear", "log", "ratio", "periodic"])
def test_share_goes_from_0_to_1_and_has_a_gradient(scale):
    m = magnitude(0.5, 2.5, scale)
    values = torch.tensor([0.5, 0.8, 1.7, 3.0], dtype=torch.float64, requires_grad=True)
    shares = m.share(values)
    assert shares[[0, -1]].tolist() == pytest.approx([0, 1])
    assert torch.autograd.gradcheck(m.share, (values,))
    (gradient,) = torch.autograd.grad(shares.sum(), values)
    assert (gradient > 0).all()


def test_a_policy_has_its_own_ranges_on_the_scales_of_the_magnitudes():
    policy = Policy(augmentation=CutDiff(), low=(0.01, 0.5, 0.0, -0.2), high=(0.1, 0.5, 180.0, 0.3))
    shares = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    expected = [[0.01, 0.5, 0, -0.2], [0.001**0.5, 0.5, 90, 0.05], [0.1, 0.5, 180, 0.3]]
    assert torch.allclose(policy.at(shares).double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-6)
    assert [each.scale for each in policy.ranges] == ["log", "log", "periodic", "linear"]


@pytest.mark.parametrize(("high", "scale"), [(360.0, "periodic"), (90.0, "linear")])
def test_part_of_a_period_has_two_ends(high, scale):
    (angle,) = Policy(augmentation=Rotation(), low=(0.0,), high=(high,)).ranges
    assert angle.scale == scale
    assert (float(angle.natural(torch.tensor(3.0))) <= high) == (scale == "linear")
