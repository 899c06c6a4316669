"""Scorers that vote: each in units of its own, in whatever order, committees of committees included."""

import pytest
import torch

from feint.core.detector import as_unit
from feint.core.errors import InputError
from feint.detectors import Discriminator
from feint.detectors.committee import Committee, unit_of
from feint.testing.detectors import normal_images, planted_images

SMALL = Discriminator(width=8, depth=3)
NORMALS, IMAGES = as_unit(normal_images(40, "other")), planted_images()[0][:9]


@pytest.fixture(scope="module")
def members():
    """Return three untrained detectors of different seeds and scores."""
    names = ("pooled", "gaussian", "logit")
    recipes = [Discriminator(width=8, depth=3, score=name) for name in names]
    return [each.fit(normal_images(40, "normal"), policy=None, seed=k) for k, each in enumerate(recipes)]


def committee_of(members):
    with torch.no_grad():
        units = [unit_of(each(NORMALS)) for each in members]
        map_units = [unit_of(each.map(NORMALS).flatten()) for each in members]
    return Committee(members, units=units, map_units=map_units)


def scored(scorer, images=IMAGES):
    with torch.no_grad():
        return scorer(images)


def test_the_score_is_the_mean_arsinh_of_each_members_own_units(members):
    committee = committee_of(members)
    expected = torch.zeros(len(IMAGES), dtype=torch.float64)
    for member in members:
        low, centre, high = (torch.quantile(scored(member, NORMALS).double(), q) for q in (0.25, 0.5, 0.75))
        z = (scored(member).double() - centre) / (high - low)
        expected += torch.log(z + torch.sqrt(z**2 + 1)) / 3
    assert scored(committee) == pytest.approx(expected.float(), abs=1e-5)


def test_the_map_is_the_mean_of_the_members_in_their_own_units(members):
    committee = committee_of(members)
    with torch.no_grad():
        expected = sum(
            (member.map(IMAGES) - centre) / spread
            for member, (centre, spread) in zip(members, committee.map_units.tolist(), strict=True)
        )
        assert torch.allclose(committee.map(IMAGES), expected / 3, atol=1e-4)


def test_the_order_of_the_members_does_not_matter(members):
    committee, reversed_ = committee_of(members), committee_of(members[::-1])
    assert torch.allclose(scored(committee), scored(reversed_), atol=1e-6)
    with torch.no_grad():
        assert torch.allclose(committee.map(IMAGES), reversed_.map(IMAGES), atol=1e-5)


def test_the_size_of_a_members_scores_does_not_matter(members):
    alone, pair = committee_of(members[:1]), committee_of([members[0], members[0]])
    assert torch.allclose(scored(alone), scored(pair), atol=1e-6)
    order = scored(members[0]).argsort()
    assert torch.equal(scored(alone).argsort(), order), "one member alone: its own order"


def test_normal_images_lie_about_zero_and_planted_ones_above(members):
    committee = committee_of(members[:2])
    assert abs(float(scored(committee, NORMALS).median())) < 0.3
    assert scored(committee).median() > scored(committee, as_unit(normal_images(30, "new"))).median()


def test_a_wild_member_is_not_above_all_others(members):
    """Ten times as many units out counts less than ten times as much."""
    units = [(0.0, 1.0), (0.0, 0.001)]
    committee = Committee(members[:2], units=units, map_units=[(0.0, 1.0)] * 2)
    plain = Committee(members[:2], units=[(0.0, 1.0)] * 2, map_units=[(0.0, 1.0)] * 2)
    assert (scored(committee) < scored(plain) + 3.5).all()


def test_a_committee_of_committees_saves_and_loads(members):
    nested = committee_of([committee_of(members[:2]), committee_of(members[1:])])
    empty = Committee(
        [
            Committee(
                [Discriminator(width=8, depth=3, score=name).scorer(1, (20, 18)) for name in names],
                units=[(0.0, 1.0)] * 2,
                map_units=[(0.0, 1.0)] * 2,
            )
            for names in (("pooled", "gaussian"), ("gaussian", "logit"))
        ],
        units=[(0.0, 1.0)] * 2,
        map_units=[(0.0, 1.0)] * 2,
    )
    assert not torch.equal(scored(empty), scored(nested))
    empty.load_state_dict(nested.state_dict())
    assert torch.equal(scored(empty), scored(nested))
    with torch.no_grad():
        assert torch.equal(empty.map(IMAGES), nested.map(IMAGES))


def test_a_committee_is_ready_to_use_and_refuses_other_images(members):
    committee = committee_of(members)
    assert not committee.training
    assert not any(each.requires_grad for each in committee.parameters())
    assert (committee.channels, committee.size) == (1, (20, 18))
    with pytest.raises(InputError, match=r"\(1, 18, 20\)"):
        committee(torch.zeros(2, 1, 18, 20))


# --- units --------------------------------------------------------------------------------------------------------


def test_a_unit_is_median_and_quartile_distance():
    assert unit_of(torch.arange(9.0)) == (4.0, 4.0)


@pytest.mark.parametrize("value", [0.0, 5.0, -2e6])
def test_constant_scores_have_a_unit_above_zero(value):
    centre, spread = unit_of(torch.full((7,), value))
    assert centre == value
    assert 0 < spread <= 1e-6 * max(1, abs(value))


def test_units_follow_the_scale_of_the_scores():
    values = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    centre, spread = unit_of(values)
    assert unit_of(3 * values - 7) == pytest.approx((3 * centre - 7, 3 * spread))
