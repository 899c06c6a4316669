"""Spectral metrics: exact spectra, invariances, what public implementations get wrong, and the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.core.errors import InputError
from feint.metrics.representations import (
    Spectrum,
    alpha_req,
    coherence,
    eig_rank,
    nesum,
    pseudo_condition,
    rankme,
    rankme_centred,
    stable_rank,
)

SCALARS = [rankme, rankme_centred, eig_rank, nesum, stable_rank, pseudo_condition]
RANKS = [rankme, rankme_centred, eig_rank, nesum, stable_rank]


def planted(exponent, *, n=512, d=128, seed=0):
    """Embeddings (n, d) with mean zero and covariance eigenvalues exactly i^-exponent."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, d))]))[0][:, 1:]
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (u * np.sqrt(n * np.arange(1.0, d + 1) ** -exponent)) @ rotation


@pytest.mark.parametrize(
    ("exponent", "effective", "of_eigenvalues", "sum_of_eigenvalues", "condition"),
    [
        (0.0, 128.006, 128.000, 128.000, 1.0),
        (0.5, 123.594, 107.048, 21.2112, 0.2973),
        (1.0, 107.053, 46.952, 5.4331, 0.08839),
        (2.0, 46.955, 4.868, 1.6372, 0.00781),
    ],
)
def test_exact_spectra(exponent, effective, of_eigenvalues, sum_of_eigenvalues, condition):
    z = planted(exponent)
    assert rankme(z) == pytest.approx(effective, abs=1e-3)
    assert rankme_centred(z) == pytest.approx(effective, abs=1e-3)
    assert eig_rank(z) == pytest.approx(of_eigenvalues, abs=1e-3)
    assert nesum(z) == pytest.approx(sum_of_eigenvalues, abs=1e-4)
    assert pseudo_condition(z) == pytest.approx(condition, abs=5e-5)
    assert pseudo_condition(z) == pytest.approx(128 ** (-exponent / 2), rel=1e-9)
    law = alpha_req(z)
    assert law.alpha == pytest.approx(exponent, abs=1e-9)
    assert law.r2 == pytest.approx(1, abs=1e-9)
    assert (law.first, law.last) == (11, 50)


def test_random_embeddings_of_a_known_spectrum():
    rng = np.random.default_rng(1)
    for exponent, effective, of_eigenvalues, alpha in [(0.5, 123, 105, 0.5), (1, 107, 47, 0.99), (2, 47, 4.9, 2.01)]:
        z = rng.normal(size=(4096, 128)) * np.arange(1, 129) ** (-exponent / 2)
        assert rankme(z) == pytest.approx(effective, abs=1)
        assert eig_rank(z) == pytest.approx(of_eigenvalues, rel=0.03)
        assert alpha_req(z).alpha == pytest.approx(alpha, abs=0.03)


def test_a_constant_vector_lowers_rankme_and_not_the_centred_one():
    z = planted(1.0)
    direction = np.random.default_rng(2).normal(size=128)
    moved = z + 15 * direction / np.linalg.norm(direction)
    assert rankme(moved) == pytest.approx(30.1, abs=0.2)
    for metric in (rankme_centred, eig_rank, nesum):
        assert metric(moved) == pytest.approx(metric(z), rel=1e-10)
    assert rankme_centred(moved) == pytest.approx(107.05, abs=0.01)
    assert alpha_req(moved).alpha == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("n", "expected"), [(64, 61), (192, 155), (512, 182), (2048, 190)])
def test_rankme_grows_with_the_number_of_images(n, expected):
    assert rankme(np.random.default_rng(3).normal(size=(n, 192))) == pytest.approx(expected, abs=1)


def test_one_spectrum_serves_all_metrics():
    z = np.random.default_rng(4).normal(size=(300, 20)) + 3
    spectrum = Spectrum.of(z)
    assert Spectrum.of(spectrum) is spectrum
    for metric in [*SCALARS, coherence]:
        assert metric(spectrum) == metric(z)
    np.testing.assert_allclose(spectrum.s, np.linalg.svd(z, compute_uv=False), rtol=1e-12)
    np.testing.assert_allclose(spectrum.s_centred, np.linalg.svd(z - z.mean(axis=0), compute_uv=False), rtol=1e-12)
    u = np.linalg.svd(z, full_matrices=False)[0]
    np.testing.assert_allclose(spectrum.leverages, (u**2).sum(axis=1), rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 30), st.floats(1e-150, 1e150), st.integers(0, 2**32))
def test_rotation_and_scale_change_nothing_and_ranks_are_bounded(n, d, scale, seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + rng.normal(size=d)
    rotated = scale * (z @ np.linalg.qr(rng.normal(size=(d, d)))[0])
    for metric in SCALARS:
        assert metric(rotated) == pytest.approx(metric(z), rel=1e-7)
    assert coherence(rotated) == pytest.approx(coherence(z), rel=1e-7)
    for metric in RANKS:
        assert 1 - 1e-5 <= metric(z) <= min(n, d) * (1 + 1e-3)
    assert nesum(z) <= min(n - 1, d) + 1e-9
    assert 0 < pseudo_condition(z) <= 1
    centred = z - z.mean(axis=0)
    assert nesum(z) == pytest.approx(stable_rank(centred), rel=1e-10)
    highest, p99 = coherence(z)
    assert 1 - 1e-9 <= highest <= n / min(n, d) + 1e-9
    assert p99 <= highest


# What public implementations get wrong.


def test_the_rank_of_eigenvalues_is_not_rankme():
    assert rankme(planted(1.0)) - eig_rank(planted(1.0)) > 60
    assert eig_rank(planted(1.0)) == pytest.approx(rankme(planted(2.0)), abs=0.01)


def test_a_large_eps_would_push_rankme_above_the_number_of_features():
    z = planted(0.0, n=600, d=512)
    assert rankme(z) == pytest.approx(512.14, abs=0.005)
    assert rankme(z) <= 512 * (1 + 1e-3)
    assert rankme(z, eps=1e-5) == pytest.approx(525.9, abs=0.05)


def test_the_callers_arrays_stay_as_they_are():
    z = planted(1.0)
    before = z.copy()
    first = [metric(z) for metric in SCALARS], alpha_req(z), coherence(z)
    assert ([metric(z) for metric in SCALARS], alpha_req(z), coherence(z)) == first
    np.testing.assert_array_equal(z, before)
    z.flags.writeable = False
    assert alpha_req(z) == first[1]


def test_alpha_is_a_slope_in_both_logarithms_and_of_eigenvalues():
    z = planted(1.5)
    lam = np.sort(np.linalg.eigvalsh(np.cov(z.T)))[::-1]
    i = np.arange(11, 51)
    slope = np.polyfit(np.log(i), np.log(lam[10:50]), 1, w=np.sqrt(1 / i))[0]
    assert alpha_req(z).alpha == pytest.approx(-slope, rel=1e-9)
    on_a_linear_index = -np.polyfit(i, np.log(lam[10:50]) / 2, 1)[0]
    assert abs(on_a_linear_index - 1.5) > 1


def test_values_are_real():
    for metric in SCALARS:
        assert type(metric(planted(1.0))) is float


# Edges.


@pytest.mark.parametrize(
    ("n", "d", "ranks"), [(512, 64, (5, 32)), (100, 64, (5, 20)), (4096, 120, (6, 60)), (100, 256, (11, 20))]
)
def test_alpha_shrinks_its_ranks_for_few_features_or_images(n, d, ranks):
    z = np.random.default_rng(5).normal(size=(n, d))
    assert alpha_req(z)[2:] == ranks


def test_alpha_and_r2_of_a_spectrum_that_is_no_power_law():
    rng = np.random.default_rng(6)
    u = np.linalg.qr(np.column_stack([np.ones(512), rng.normal(size=(512, 128))]))[0][:, 1:]
    law = alpha_req(u * np.sqrt(np.where(np.arange(128) < 30, 1, 1e-6)))
    assert 0 < law.r2 < 0.9


@pytest.mark.parametrize("z", [np.ones((64, 512)), np.ones((500, 12)), np.ones((500, 128)), planted(1.0)[:, :13]])
def test_alpha_without_enough_eigenvalues_says_so(z):
    with pytest.raises(InputError, match="Take more images"):
        alpha_req(z)


def test_fewer_images_than_features():
    z = np.random.default_rng(7).normal(size=(20, 100))
    for metric in RANKS:
        assert 1 < metric(z) <= 20 * (1 + 1e-4)
    assert rankme_centred(z) <= 19 * (1 + 1e-4)
    assert pseudo_condition(z) > 0.1
    assert coherence(z) == pytest.approx((1, 1))


def test_dead_features_are_cut_from_the_condition():
    z = planted(0.5)
    dead = np.column_stack([z, np.zeros((512, 3)), z[:, 0]])
    assert pseudo_condition(np.column_stack([z, np.zeros((512, 3))])) == pytest.approx(pseudo_condition(z))
    assert Spectrum.of(dead).rank == 128
    assert Spectrum.of(dead.astype(np.float32)).rank == 128


@pytest.mark.parametrize("metric", SCALARS)
def test_float32_embeddings_give_the_float64_value(metric):
    z = (planted(1.0) + 0.3).astype(np.float32)
    assert metric(z) == metric(z.astype(np.float64))
    assert metric(z) == pytest.approx(metric(planted(1.0) + 0.3), rel=1e-4)


@pytest.mark.parametrize("shape", [(30, 8), (1, 8), (8, 1), (1, 1)])
def test_all_zero_embeddings_have_rank_one(shape):
    for metric in RANKS:
        assert metric(np.zeros(shape)) == 1
    assert pseudo_condition(np.zeros(shape)) == 0
    assert coherence(np.zeros(shape)) == (1, 1)


def test_one_image_and_repeated_images_have_rank_one():
    row = np.random.default_rng(8).normal(size=(1, 32))
    for z in (row, np.repeat(row, 50, axis=0)):
        for metric in RANKS:
            assert metric(z) == pytest.approx(1, abs=1e-4)
        assert pseudo_condition(z) == 1
        assert coherence(z) == pytest.approx((1, 1))


def test_repeating_every_image_changes_nothing():
    z = np.random.default_rng(9).normal(size=(100, 16))
    for metric in SCALARS:
        assert metric(np.repeat(z, 3, axis=0)) == pytest.approx(metric(z), rel=1e-9)


def test_coherence_of_balanced_rows_and_of_an_outlier():
    assert coherence(np.tile(np.eye(4), (50, 1))) == pytest.approx((1, 1))
    z = np.random.default_rng(10).normal(size=(2000, 8))
    z[0] *= 1000
    highest, p99 = coherence(z)
    assert highest > 200
    assert p99 < 4


@pytest.mark.parametrize("metric", [*SCALARS, alpha_req, coherence])
def test_what_is_not_a_finite_matrix_is_refused(metric):
    z = np.ones((10, 4))
    z[2, 1], z[5, :2] = np.inf, np.nan
    with pytest.raises(InputError, match="got 3 NaN or infinite of 40"):
        metric(z)
    for shape in [(5,), (0, 3), (3, 0), (2, 3, 4)]:
        with pytest.raises(InputError, match="must have shape"):
            metric(np.ones(shape))
