"""Excess mass and mass volume: the curves against a search over all levels, their polarity, and where they end."""

import numpy as np
import pytest

from feint.tuning.criteria import Evidence, ExcessMass, MassVolume
from feint.tuning.criteria.masses import excess_mass, mass_volume


def shares(points, uniform, u):
    return (points >= u).mean(), (uniform >= u).mean()


def brute_excess_mass(points, uniform):
    def excess(t):
        return max(mass - t * volume for mass, volume in (shares(points, uniform, u) for u in points))

    end = 1.0
    while excess(end) > 0.9:
        end *= 2
    low, high = 0.0, end
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0.9 else (low, middle)
    t = np.linspace(0, low, 201)
    return np.trapezoid([excess(each) for each in t], t)


def brute_mass_volume(points, uniform):
    levels = np.linspace(0.9, 0.999, 1001)
    sets = [shares(points, uniform, u) for u in points]
    return np.trapezoid([min(volume for mass, volume in sets if mass >= a - 1e-12) for a in levels], levels)


@pytest.fixture
def normality():
    """Return g of 80 points of a standard normal law, some of them tied, and of 60 uniform points."""
    chance = np.random.default_rng(0)
    return -np.abs(chance.normal(size=80)).round(1), -np.abs(chance.uniform(-3, 3, 60)).round(1)


def test_excess_mass_equals_a_search_over_all_levels(normality):
    assert excess_mass(*normality) == pytest.approx(brute_excess_mass(*normality), rel=1e-3)


def test_mass_volume_equals_a_search_over_all_levels(normality):
    assert mass_volume(*normality) == pytest.approx(brute_mass_volume(*normality), rel=3e-3)


def test_the_true_density_beats_its_negation_and_noise():
    chance = np.random.default_rng(0)
    points, box = chance.normal(size=(500, 2)), chance.uniform(-4, 4, (5000, 2))
    g, g_box = -(points**2).sum(axis=1), -(box**2).sum(axis=1)
    noise, noise_box = chance.normal(size=500), chance.normal(size=5000)
    for worse, worse_box in ((-g, -g_box), (noise, noise_box)):
        assert excess_mass(g, g_box) > 1.2 * excess_mass(worse, worse_box)
        assert mass_volume(g, g_box) < 0.8 * mass_volume(worse, worse_box)


@pytest.mark.parametrize("bend", [lambda g: g**3, np.exp])
def test_only_the_order_of_a_normality_counts(normality, bend):
    points, uniform = normality
    assert excess_mass(bend(points), bend(uniform)) == pytest.approx(excess_mass(points, uniform))
    assert mass_volume(bend(points), bend(uniform)) == pytest.approx(mass_volume(points, uniform))


def test_an_empty_box_is_undefined():
    assert np.isnan(excess_mass(np.ones(5), np.zeros(9)))
    assert np.isnan(mass_volume(np.ones(5), np.zeros(9)))


def evidence(normal, pool):
    return Evidence(normal_embeddings=normal, pool_embeddings=pool)


@pytest.fixture(params=[ExcessMass, MassVolume])
def criterion(request):
    return request.param(subspaces=8, uniform=500)


def test_many_features_and_any_scale_stay_finite(criterion):
    chance = np.random.default_rng(0)
    normal, pool = chance.normal(size=(300, 512)), chance.normal(size=(300, 512))
    scales = 10.0 ** chance.uniform(-6, 6, 512)
    plain, scaled = criterion.values([evidence(normal, pool), evidence(normal * scales, pool * scales)], seed=0)
    assert np.isfinite(plain)
    assert scaled == pytest.approx(plain, rel=1e-6)


def test_embeddings_on_a_line_leave_the_box_empty(criterion):
    """Five features that are one: no uniform point lies on the diagonal of their box."""
    line = np.random.default_rng(0).normal(size=(200, 1)) @ np.ones((1, 5))
    line += 1e-9 * np.random.default_rng(1).normal(size=line.shape)
    assert np.isnan(criterion.values([evidence(line, line)], seed=0)).all()


def test_tighter_embeddings_are_better_beside_the_same_outlier(criterion):
    chance = np.random.default_rng(0)
    outlier = np.array([[6.0] * 5, [-6.0] * 5])
    loose, tight = (s * chance.normal(size=(300, 5)) for s in (2.0, 0.7))
    found = criterion.values([evidence(x, np.vstack([x, outlier])) for x in (loose, tight)], seed=0)
    assert found[1] > found[0]


def test_dead_features_are_passed_over(criterion):
    chance = np.random.default_rng(0)
    normal, pool = chance.normal(size=(60, 3)), chance.normal(size=(60, 3))
    dead = np.zeros((60, 4))
    found = criterion.values(
        [evidence(normal, pool), evidence(np.hstack([normal, dead]), np.hstack([pool, dead]))], seed=0
    )
    assert found[1] == pytest.approx(found[0], rel=0.2)
    assert np.isfinite(found).all()


def test_another_seed_draws_other_subspaces(criterion):
    chance = np.random.default_rng(0)
    candidate = evidence(chance.normal(size=(60, 20)), chance.normal(size=(60, 20)))
    assert criterion.values([candidate], seed=0) != criterion.values([candidate], seed=1)
