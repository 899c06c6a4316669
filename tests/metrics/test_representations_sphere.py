"""Metrics of unit-length embeddings: closed forms, pairwise definitions, bounded memory, edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.core.errors import InputError
from feint.metrics.representations import alignment, self_cluster, std_of_l2, uniformity

RNG = np.random.default_rng(0)


def test_self_cluster_vectors():
    assert self_cluster(np.ones((7, 5))) == pytest.approx(1, abs=1e-12)
    assert self_cluster(np.tile(np.eye(4), (2, 1))) == pytest.approx(-1 / 7, abs=1e-12)
    assert self_cluster(np.eye(4)[:2]) == pytest.approx(-1 / 3, abs=1e-12)
    assert self_cluster(np.repeat(np.eye(4)[:2], 5, axis=0)) == pytest.approx(7 / 27, abs=1e-12)
    assert abs(self_cluster(RNG.normal(size=(2000, 64)))) < 1e-3


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 2**32), st.floats(1e-200, 1e200))
def test_sphere_metrics_against_pairs_under_rotation_and_scale(n, d, seed, scale):
    rng = np.random.default_rng(seed)
    z, zb = rng.normal(size=(n, d)) + 0.5, rng.normal(size=(n, d))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    cosines = unit @ unit.T
    expected = n + n * (n - 1) / d
    assert self_cluster(z) == pytest.approx(((cosines**2).sum() - expected) / (n * n - expected), rel=1e-9, abs=1e-9)
    pairs = [np.exp(-2 * ((unit[i] - unit[j]) ** 2).sum()) for i in range(n) for j in range(i)]
    assert uniformity(z, seed=seed) == pytest.approx(math.log(np.mean(pairs)), rel=1e-9, abs=1e-9)
    rotation = scale * np.linalg.qr(rng.normal(size=(d, d)))[0]
    assert self_cluster(z @ rotation) == pytest.approx(self_cluster(z), rel=1e-8, abs=1e-9)
    assert uniformity(z @ rotation, seed=seed) == pytest.approx(uniformity(z, seed=seed), rel=1e-8, abs=1e-9)
    assert alignment(z @ rotation, zb @ rotation) == pytest.approx(alignment(z, zb), rel=1e-8, abs=1e-9)
    assert std_of_l2(scale * z) == pytest.approx(std_of_l2(z), rel=1e-9)
    assert 0 <= std_of_l2(z) <= d**-0.5 + 1e-12


def test_uniformity_vectors():
    assert uniformity(np.ones((9, 3)), seed=0) == pytest.approx(0, abs=1e-12)
    assert uniformity([[2.0, 0.0], [-1.0, 0.0]], seed=0) == pytest.approx(-8, abs=1e-12)
    assert uniformity(RNG.normal(size=(3000, 256)), seed=0) == pytest.approx(-4 + 8 / 256, rel=0.01)


def test_uniformity_of_a_sample_depends_on_the_seed_alone():
    z = RNG.normal(size=(1200, 8)) + 1
    assert uniformity(z, seed=1, sample=700) == uniformity(z, seed=1, sample=700)
    assert uniformity(z, seed=1, sample=700) != uniformity(z, seed=2, sample=700)
    assert uniformity(z, seed=1, sample=700) == pytest.approx(uniformity(z, seed=1), rel=0.05)


def test_alignment_vectors():
    z = RNG.normal(size=(50, 12))
    assert alignment(z, 3 * z) == pytest.approx(0, abs=1e-12)
    assert alignment(z, -z) == pytest.approx(4, abs=1e-12)
    assert alignment(np.eye(4), np.roll(np.eye(4), 1, axis=1)) == pytest.approx(2, abs=1e-12)
    with pytest.raises(InputError, match=r"\(50, 12\) and \(49, 12\)"):
        alignment(z, z[1:])


def test_spread_of_healthy_and_collapsed_embeddings():
    assert std_of_l2(RNG.normal(size=(5000, 128))) == pytest.approx(0.0884, rel=0.01)
    assert std_of_l2(100 + RNG.normal(size=(500, 128))) < 0.002


def test_zero_rows_stay_zero():
    z = RNG.normal(size=(40, 6))
    z[:10] = 0
    zero = np.zeros((12, 6))
    assert std_of_l2(zero) == 0
    assert uniformity(zero, seed=0) == 0
    assert alignment(zero, zero) == 0
    assert alignment(zero, np.ones((12, 6))) == pytest.approx(1)
    assert self_cluster(zero) == 1
    with_their_own_axis = np.column_stack([z, np.where(z.any(axis=1), 0, 1)])
    gram = with_their_own_axis / np.linalg.norm(with_their_own_axis, axis=1, keepdims=True)
    expected = 40 + 40 * 39 / 6
    assert self_cluster(z) == pytest.approx((((gram @ gram.T) ** 2).sum() - expected) / (1600 - expected))


def test_what_cannot_be_measured_is_named():
    with pytest.raises(InputError, match=r"got shape \(1, 5\)"):
        self_cluster(np.ones((1, 5)))
    with pytest.raises(InputError, match=r"got shape \(5, 1\)"):
        self_cluster(np.ones((5, 1)))
    with pytest.raises(InputError, match="at least two"):
        uniformity(np.ones((1, 5)), seed=0)
    assert std_of_l2(np.ones((1, 5))) == 0
    bad = np.full((3, 2), np.nan)
    for metric in (std_of_l2, self_cluster, lambda z: uniformity(z, seed=0), lambda z: alignment(np.ones((3, 2)), z)):
        with pytest.raises(InputError, match="got 6 NaN or infinite of 6"):
            metric(bad)
