"""Total distance normalisation and the mean-distance loss: their properties and the known values."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feint.core.errors import CollapseError
from feint.core.streams import stream
from feint.tuning.alignment import alignment_loss, mean_distance, total_distance_normalisation

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(2, 9))
ORIGIN, ONE = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[1.0, 0.0]], dtype=torch.float64)


def random_sets(sizes, d, seed):
    chance = stream(seed, "alignment")
    return tuple(3 * torch.randn(n, d, generator=chance, dtype=torch.float64) + k for k, n in enumerate(sizes))


@given(sizes=SIZES, d=st.integers(1, 6), seed=st.integers(0, 99))
def test_normalised_sets_have_a_fixed_total_and_pairwise_distance(sizes, d, seed):
    joint = torch.cat(total_distance_normalisation(*random_sets(sizes, d, seed)))
    n = sum(sizes)
    assert joint.mean(0).abs().max() < 1e-12
    assert joint.square().sum().item() == pytest.approx(n, rel=1e-9)
    assert torch.cdist(joint, joint).square().sum().item() == pytest.approx(2 * n**2, rel=1e-6)


@given(
    sizes=SIZES, d=st.integers(1, 6), seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100)
)
def test_normalisation_does_not_see_scale_or_shift(sizes, d, seed, scale, shift):
    sets = random_sets(sizes, d, seed)
    wanted = total_distance_normalisation(*sets)
    found = total_distance_normalisation(*(scale * z + shift for z in sets))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, wanted, strict=True))


def test_normalising_twice_is_normalising_once():
    once = total_distance_normalisation(*random_sets((5, 4, 6), 3, 0))
    assert all(map(torch.allclose, total_distance_normalisation(*once), once))


def test_sets_keep_their_sizes_and_order():
    found = total_distance_normalisation(*random_sets((5, 4, 6), 3, 0))
    assert [len(each) for each in found] == [5, 4, 6]


def test_gradient_flows_through_mean_and_norm():
    """If either were detached, the gradient could not be orthogonal to shifting and to scaling."""
    sets = [z.requires_grad_() for z in random_sets((5, 4, 6), 3, 0)]
    assert torch.autograd.gradcheck(alignment_loss, sets)
    gradients = torch.autograd.grad(alignment_loss(*sets), sets)
    assert torch.cat(gradients).sum(0).abs().max() < 1e-12
    assert abs(sum((g * z).sum() for g, z in zip(gradients, sets, strict=True))) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_collapse_is_an_error_not_a_value(dtype):
    same = torch.full((4, 3), 0.7, dtype=dtype)
    with pytest.raises(CollapseError, match="collapsed"):
        alignment_loss(same, same, same)


def test_a_collapse_is_seen_through_the_rounding_of_single_precision():
    same = torch.rand(1, 128, generator=stream(0, "same")).repeat(64, 1)
    with pytest.raises(CollapseError, match="collapsed"):
        alignment_loss(same, same, same)


@given(sizes=SIZES, d=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_loss_is_never_below_half_the_distance_of_the_means(sizes, d, seed):
    normal, pseudo, pool = total_distance_normalisation(*random_sets(sizes, d, seed))
    assert mean_distance(normal, pseudo, pool) >= (normal.mean(0) - pseudo.mean(0)).norm() / 2 - 1e-12


def test_the_bound_is_reached_where_the_pool_lies_between_the_means():
    normal, pseudo, _ = random_sets((4, 5, 1), 3, 0)
    share = torch.rand(7, 1, generator=stream(0, "share"), dtype=torch.float64)
    pool = share * normal.mean(0) + (1 - share) * pseudo.mean(0)
    normal, pseudo, pool = total_distance_normalisation(normal, pseudo, pool)
    bound = (normal.mean(0) - pseudo.mean(0)).norm() / 2
    assert mean_distance(normal, pseudo, pool).item() == pytest.approx(bound.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("pseudo", "pool", "value"),
    [
        (ONE.repeat(4, 1), torch.cat([ORIGIN.repeat(2, 1), ONE.repeat(2, 1)]), 1.0),
        (ONE.repeat(4, 1), torch.cat([ORIGIN.repeat(3, 1), ONE]), 1.0141851),
        (ONE.repeat(8, 1), torch.cat([ORIGIN.repeat(2, 1), ONE.repeat(2, 1)]), 1.0327956),
    ],
    ids=["balanced", "three_to_one", "twice_the_pseudo_anomalies"],
)
def test_known_values(pseudo, pool, value):
    assert alignment_loss(ORIGIN.repeat(4, 1), pseudo, pool).item() == pytest.approx(value, abs=1e-6)


def test_the_loss_equals_a_plain_loop():
    normal, pseudo, pool = random_sets((5, 4, 6), 3, 0)
    distances = [((normal.mean(0) - z).norm() + (pseudo.mean(0) - z).norm()) / 2 for z in pool]
    assert mean_distance(normal, pseudo, pool).item() == pytest.approx(sum(map(float, distances)) / 6, rel=1e-12)


def test_order_within_the_sets_does_not_matter():
    normal, pseudo, pool = random_sets((5, 4, 6), 3, 0)
    wanted = alignment_loss(normal, pseudo, pool)
    assert torch.allclose(alignment_loss(normal.flip(0), pseudo.roll(1, 0), pool.flip(0)), wanted)


def test_the_number_of_pseudo_anomalies_acts_through_the_normalisation_only():
    normal, pseudo, pool = random_sets((5, 4, 6), 3, 0)
    frozen = total_distance_normalisation(normal, pseudo, pool)
    twice = (frozen[0], frozen[1].repeat(2, 1), frozen[2])
    assert mean_distance(*twice).item() == pytest.approx(mean_distance(*frozen).item(), rel=1e-12)
    assert abs(alignment_loss(normal, pseudo.repeat(2, 1), pool) - alignment_loss(normal, pseudo, pool)) > 1e-3
