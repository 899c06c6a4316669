"""LiDAR: planted discriminant directions, an independent generalised eigenproblem, grouping, edges."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.core.errors import InputError
from feint.metrics.representations import lidar


def planted(k, *, n0=64, d=16, between=4.0, within=0.5, seed=0):
    """Views (n0, 2 d, d) with exactly Sb = between on k rotated axes and Sw = within I (before delta)."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(np.column_stack([np.ones(n0), rng.normal(size=(n0, k))]))[0][:, 1:]
    centres = np.zeros((n0, d))
    centres[:, :k] = u * np.sqrt(between * (n0 - 1))
    spread = np.sqrt(within * (2 * d - 1) / 2)
    noise = spread * np.concatenate([np.eye(d), -np.eye(d)])
    return (centres[:, None] + noise) @ np.linalg.qr(rng.normal(size=(d, d)))[0]


def discriminant(views, delta=1e-4):
    """Sb and Sw by the definition, in loops."""
    n0, q, d = views.shape
    means = views.mean(axis=1)
    between = sum(np.outer(m, m) for m in means - means.mean(axis=0)) / (n0 - 1)
    within = sum(np.outer(v, v) for c in range(n0) for v in views[c] - means[c]) / (n0 * (q - 1))
    return between, within + delta * np.eye(d)


@pytest.mark.parametrize("k", [1, 2, 5, 11, 16])
def test_k_equal_directions_give_k(k):
    assert lidar(planted(k), eps=0) == pytest.approx(k, abs=1e-6)
    assert lidar(planted(k)) == pytest.approx(k, rel=1e-5)


def test_more_directions_give_more():
    values = [lidar(planted(k)) for k in range(1, 17)]
    assert np.all(np.diff(values) > 0.99)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 20), st.integers(2, 6), st.integers(1, 12), st.integers(0, 2**32))
def test_it_is_the_entropy_of_the_generalised_eigenvalues(n0, q, d, seed):
    rng = np.random.default_rng(seed)
    views = rng.normal(size=(n0, 1, d)) * np.arange(1, d + 1) + rng.normal(size=(n0, q, d))
    between, within = discriminant(views)
    lam = np.clip(scipy.linalg.eigh(between, within, eigvals_only=True), 0, None)[::-1][: n0 - 1]
    p = lam / lam.sum() + 1e-8
    assert lidar(views) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-6)
    assert lidar(views) <= (n0 - 1) * (1 + 1e-5)


def test_the_discriminant_matrix_is_not_taken_for_data():
    rng = np.random.default_rng(1)
    views = rng.normal(size=(100, 4, 32))
    views[:, :, :5] += 1.5 * rng.normal(size=(100, 1, 5))
    between, within = discriminant(views)
    root = np.linalg.inv(scipy.linalg.sqrtm(within).real)
    matrix = root @ between @ root
    lam = np.linalg.eigvalsh(np.cov(matrix.T))  # a principal component analysis of the matrix: centred and squared
    p = np.clip(lam, 0, None) / lam.sum() + 1e-8
    assert abs(lidar(views) - np.exp(-(p * np.log(p)).sum())) > 5
    p = np.linalg.eigvalsh(matrix) / np.trace(matrix) + 1e-8
    assert lidar(views) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-6)


def test_views_of_other_images_in_a_row_change_it():
    views = planted(3)
    shuffled = np.random.default_rng(2).permutation(views.reshape(-1, 16)).reshape(views.shape)
    assert lidar(shuffled) > lidar(views) + 3


def test_rotations_and_translations_change_nothing():
    views = planted(4, seed=3)
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(16, 16)))[0]
    assert lidar(views @ rotation + 7) == pytest.approx(lidar(views), rel=1e-6)


def test_few_images_bound_it():
    views = np.random.default_rng(5).normal(size=(6, 4, 200))
    assert lidar(views) <= 5 * (1 + 1e-6)


def test_degenerate_views():
    assert lidar(np.zeros((5, 3, 4))) == 1
    assert lidar(np.repeat(np.random.default_rng(6).normal(size=(30, 1, 4)), 3, axis=1)) > 3
    with pytest.raises(InputError, match="got 5 and 1"):
        lidar(np.ones((5, 1, 4)))
    with pytest.raises(InputError, match="got 1 and 5"):
        lidar(np.ones((1, 5, 4)))
    with pytest.raises(InputError, match=r"\(images, views, features\).*got \(5, 4\)"):
        lidar(np.ones((5, 4)))
    with pytest.raises(InputError, match="got 8 NaN"):
        lidar(np.full((2, 2, 2), np.nan))
