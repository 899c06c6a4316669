"""CLID: planted clusters, planted dimensions, duplicates, the combination over a pool."""

import numpy as np
import pytest

from feint.core.errors import InputError
from feint.metrics.representations import clid, cluster_learnability, two_nn

RNG = np.random.default_rng(0)


def clusters(count, *, each=20, spread=0.05, d=32, seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.normal(size=(count, d)), each, axis=0) + spread * rng.normal(size=(count * each, d))


def test_clusters_are_learnable_and_noise_is_not():
    tight, noise = clusters(20), RNG.normal(size=(400, 32))
    assert cluster_learnability(tight, seed=0) > 0.9
    assert cluster_learnability(noise, seed=0) < 0.5
    assert cluster_learnability(3 * tight, seed=0) == cluster_learnability(tight, seed=0)


def test_learnability_depends_on_seed_and_sample_alone():
    z = RNG.normal(size=(300, 5))
    state = np.random.get_state()[1].copy()  # noqa: NPY002 the global generator must stay as it is
    assert cluster_learnability(z, seed=1) == cluster_learnability(z, seed=1)
    assert cluster_learnability(z, seed=1) != cluster_learnability(z, seed=2)
    assert cluster_learnability(z, seed=1, sample=100) != cluster_learnability(z, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_learnability_of_repeated_rows():
    z = np.repeat(RNG.normal(size=(5, 8)), 40, axis=0)
    assert cluster_learnability(z, seed=0) == 1
    nearly = z + 1e-17 * RNG.normal(size=z.shape)
    assert cluster_learnability(nearly, seed=0) == 1
    with_zeros = np.concatenate([z, np.zeros((40, 8))])
    assert cluster_learnability(with_zeros, seed=0) == 1


@pytest.mark.parametrize("z", [np.ones((50, 4)), np.zeros((50, 4)), np.ones((1, 4)), RNG.normal(size=(3, 4))])
def test_learnability_needs_different_images(z):
    with pytest.raises(InputError, match="at least four images and two directions"):
        cluster_learnability(z, seed=0)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_two_nn_finds_the_planted_dimension_whatever_surrounds_it(dimension):
    rng = np.random.default_rng(1)
    flat = rng.random(size=(2000, dimension))
    isometry = np.linalg.qr(rng.normal(size=(40, 40)))[0][:dimension]
    value = two_nn(flat @ isometry + 100)
    assert value == pytest.approx(dimension, rel=0.12)
    assert value == pytest.approx(two_nn(flat), rel=1e-6)
    assert two_nn(1e-3 * flat) == pytest.approx(two_nn(flat), rel=1e-9)


def test_two_nn_equals_its_definition():
    z = RNG.normal(size=(700, 6)) + 30
    distances = np.sort(np.linalg.norm(z[:, None] - z[None], axis=2), axis=1)
    expected = len(z) / np.log(distances[:, 2] / distances[:, 1]).sum()
    assert two_nn(z) == pytest.approx(expected, rel=1e-10)


def test_duplicates_do_not_count():
    z = RNG.normal(size=(300, 4))
    assert two_nn(np.concatenate([z, z, z[:50]])) == pytest.approx(two_nn(z), rel=1e-12)
    rounded = z[:20] + 1e-9 * RNG.normal(size=(20, 4))
    assert two_nn(np.concatenate([z, rounded])) == pytest.approx(two_nn(z), rel=0.15)


def test_two_nn_of_a_sample():
    z = RNG.normal(size=(1500, 3))
    assert two_nn(z, seed=1, sample=600) == two_nn(z, seed=1, sample=600)
    assert two_nn(z, seed=1, sample=600) == pytest.approx(two_nn(z), rel=0.2)


def test_undefined_dimensions_are_named():
    with pytest.raises(InputError, match="three different images: got 2"):
        two_nn(np.repeat(np.eye(2), 10, axis=0))
    with pytest.raises(InputError, match="equally far"):
        two_nn(np.eye(5))
    with pytest.raises(InputError, match="got 1 NaN"):
        two_nn([[1.0], [2.0], [np.nan]])
    assert two_nn([[0.0], [1.0], [3.0]]) == pytest.approx(3 / np.log([3, 2, 1.5]).sum())


def test_clid_sums_z_scores_over_the_pool():
    learnability, dimension = RNG.random(7), 10 * RNG.random(7)
    value = clid(learnability, dimension)
    assert value.sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(clid(3 * learnability + 1, dimension), value, rtol=1e-9)
    np.testing.assert_allclose(
        value,
        (learnability - learnability.mean()) / learnability.std() + (dimension - dimension.mean()) / dimension.std(),
    )
    np.testing.assert_array_equal(clid([0.4, 0.4], [3.1, 3.1]), [0, 0])
    with pytest.raises(InputError, match="same models: got 2 and 1"):
        clid([0.1, 0.2], [3.0])
