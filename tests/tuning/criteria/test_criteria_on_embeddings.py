"""Criteria on embeddings against definitions written out, known values and limits."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from feint.core.errors import CollapseError
from feint.tuning.criteria import CRITERIA, Evidence
from feint.tuning.criteria.distances import distances
from feint.tuning.criteria.dsv import dsv_loss
from feint.tuning.criteria.sinkhorn import sinkhorn_divergence

ORIGIN, ONE = np.zeros((1, 2)), np.array([[1.0, 0.0]])
ALIGNED = ["mean-distance", "two-centres", "mmd-linear", "mmd-rbf", "sinkhorn", "dsv"]


def value(name, normal, pseudo, pool):
    candidate = Evidence(normal_embeddings=normal, pseudo_embeddings=pseudo, pool_embeddings=pool)
    return CRITERIA[name].values([candidate], seed=0)[0]


def random_sets(seed=0, sizes=(7, 5, 9), d=3):
    chance = np.random.default_rng(seed)
    return [chance.normal(size=(n, d)) + k for k, n in enumerate(sizes)]


def normalised(*sets):
    joint = np.vstack(sets)
    centre = joint.mean(axis=0)
    scale = np.sqrt(len(joint) / ((joint - centre) ** 2).sum())
    return [scale * (z - centre) for z in sets]


@pytest.mark.parametrize(
    ("pseudo", "pool", "loss"),
    [
        (np.repeat(ONE, 4, 0), np.vstack([ORIGIN, ORIGIN, ONE, ONE]), 1.0),
        (np.repeat(ONE, 4, 0), np.vstack([ORIGIN, ORIGIN, ORIGIN, ONE]), 1.0141851),
        (np.repeat(ONE, 8, 0), np.vstack([ORIGIN, ORIGIN, ONE, ONE]), 1.0327956),
    ],
)
def test_known_values_of_the_mean_distance(pseudo, pool, loss):
    assert value("mean-distance", np.repeat(ORIGIN, 4, 0), pseudo, pool) == pytest.approx(-loss, abs=1e-6)


def test_known_value_of_dsv():
    X, Y = np.repeat(ORIGIN, 4, 0), np.repeat(ONE, 4, 0)
    assert value("dsv", X, Y, np.vstack([X[:2], Y[:2]])) == pytest.approx(0.5, abs=1e-6)


def brute_dsv(X, Y, Z):
    mu = X.mean(axis=0)

    def d(A, B):
        return np.mean([np.linalg.norm(a - b) for a in A for b in B]) / 2

    dis = d([*X, *Y], Z) / d(X, Y)
    P = [(z - mu) @ (y - mu) / np.linalg.norm(y - mu) for z in Z for y in Y]
    return dis - min(np.std(P) / d(X, Y), 0.5) / dis


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_dsv_equals_its_definition(spread):
    """With little spread along the projections the clamp is at rest, with much it holds."""
    X, Y, Z = random_sets()
    Z = Z.mean(axis=0) + spread * (Z - Z.mean(axis=0)) / 3
    assert dsv_loss(X, Y, Z) == pytest.approx(brute_dsv(X, Y, Z), rel=1e-9)


def test_dsv_leaves_out_a_pseudo_anomaly_without_direction():
    X, Y, Z = random_sets()
    Y[0] = X.mean(axis=0)
    with np.errstate(invalid="ignore"):
        assert np.isnan(brute_dsv(X, Y, Z))
    assert np.isfinite(dsv_loss(X, Y, Z))


def test_dsv_without_distance_is_refused():
    same = np.ones((4, 3))
    with pytest.raises(CollapseError, match="DSV is undefined"):
        dsv_loss(same, same, random_sets()[2])


def test_two_centres_equals_its_definition():
    normal, pseudo, pool = normalised(*random_sets())
    wanted = np.mean([min(np.linalg.norm(z - m) for m in (normal.mean(0), pseudo.mean(0))) for z in pool])
    assert value("two-centres", *random_sets()) == pytest.approx(-wanted)


def test_two_tight_clusters_have_no_two_centre_loss_whatever_their_shares():
    for k in (1, 3):
        pool = np.vstack([np.repeat(ORIGIN, k, 0), ONE])
        assert value("two-centres", np.repeat(ORIGIN, 4, 0), np.repeat(ONE, 4, 0), pool) == pytest.approx(0)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_mmd_equals_its_definition(kernel):
    normal, pseudo, y = normalised(*random_sets())
    x = np.vstack([normal, pseudo])

    def k(a, b):
        return a @ b if kernel == "linear" else np.exp(-np.linalg.norm(a - b) / 3)

    def mean(A, B):
        return np.mean([k(a, b) for a in A for b in B])

    wanted = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    assert value(f"mmd-{kernel}", *random_sets()) == pytest.approx(-wanted, rel=1e-9)


@pytest.mark.parametrize("name", ["mmd-linear", "mmd-rbf", "sinkhorn"])
def test_a_discrepancy_of_equal_sets_is_zero(name):
    normal, pseudo, _ = random_sets()
    assert value(name, normal, pseudo, np.vstack([normal, pseudo])) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ALIGNED)
@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (1e3, -10.0), (1.0, 300.0)])
def test_the_scale_and_place_of_embeddings_do_not_matter(name, scale, shift):
    sets = random_sets()
    assert value(name, *(scale * z + shift for z in sets)) == pytest.approx(value(name, *sets), rel=1e-6)


@pytest.mark.parametrize("d", [1, 2, 6])
def test_the_sinkhorn_divergence_tends_to_the_cheapest_assignment(d):
    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(30, d)), chance.normal(size=(30, d)) + 0.5
    C = cdist(x, y, "sqeuclidean") / 2
    exact = C[linear_sum_assignment(C)].mean()
    errors = [
        abs(sinkhorn_divergence(x, y, blur=blur, scaling=0.95, rounds=rounds) / exact - 1)
        for blur, rounds in ((0.5, 50), (0.05, 50), (0.02, 300))
    ]
    assert errors[2] < 1e-3
    assert errors[0] > 3 * errors[1]


def test_the_sinkhorn_divergence_of_shifted_points_is_half_the_squared_shift():
    """Where all mass moves alike, the blur cancels: with any blur W2 and W1 are the shift."""
    x = np.random.default_rng(0).normal(size=(30, 1))
    assert wasserstein_distance(x[:, 0], x[:, 0] + 3) == pytest.approx(3)
    for blur in (0.05, 1.0):
        assert sinkhorn_divergence(x, x + 3, blur=blur, scaling=0.9, rounds=200) == pytest.approx(4.5, rel=1e-3)


def test_the_rounds_by_default_are_enough():
    x, y, z = normalised(*random_sets(sizes=(60, 40, 100), d=16))
    sets = np.vstack([x, y]), z
    assert sinkhorn_divergence(*sets) == pytest.approx(sinkhorn_divergence(*sets, rounds=500), rel=0.02)


def test_distances_keep_their_digits_far_from_the_origin():
    x, y, _ = random_sets()
    assert distances(x + 1e8, y + 1e8) == pytest.approx(cdist(x + 1e8, y + 1e8), rel=1e-6)
