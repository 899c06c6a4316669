import numpy as np
import pytest
from scipy.stats import norm

from feint.core.errors import InputError
from feint.metrics.roc import auroc
from feint.stats.delong import delong


def by_definition(normal, anomalous):
    kernel = (anomalous[:, None, :] > normal[:, :, None]) + 0.5 * (anomalous[:, None, :] == normal[:, :, None])
    V10, V01 = kernel.mean(axis=1), kernel.mean(axis=2)
    covariance = np.cov(V10) / anomalous.shape[1] + np.cov(V01) / normal.shape[1]
    return kernel.mean(axis=(1, 2)), covariance


def correlated(generator, n, shift):
    shared = generator.normal(size=n)
    return 0.7 * shared + 0.7 * generator.normal(size=(len(shift), n)) + np.array(shift)[:, None]


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_covariance_equals_the_quadratic_definition(decimals):
    generator = np.random.default_rng(0)
    normal = np.round(correlated(generator, 23, [0, 0, 0]), decimals)
    anomalous = np.round(correlated(generator, 31, [0.2, 1.0, 2.0]), decimals)
    result = delong(normal, anomalous)
    aurocs, covariance = by_definition(normal, anomalous)
    np.testing.assert_allclose(result.aurocs, aurocs, atol=1e-12)
    np.testing.assert_allclose(result.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(result.aurocs, [auroc(x, y) for x, y in zip(normal, anomalous, strict=True)])


def test_variance_matches_what_new_images_give():
    generator = np.random.default_rng(1)
    results = [delong(correlated(generator, 60, [0, 0]), correlated(generator, 40, [1.0, 0.5])) for _ in range(1500)]
    observed = np.cov(np.array([r.aurocs for r in results]).T)
    estimated = np.mean([r.covariance for r in results], axis=0)
    np.testing.assert_allclose(estimated, observed, rtol=0.15)


def test_null_variance_of_the_two_sample_auroc():
    """Near equality it is (m + n + 1) / (12 m n)."""
    m, n = 400, 600
    generator = np.random.default_rng(2)
    result = delong(generator.normal(size=(1, m)), generator.normal(size=(1, n)))
    assert float(result.covariance[0, 0]) == pytest.approx((m + n + 1) / (12 * m * n), rel=0.1)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_the_paired_test_keeps_its_level_when_candidates_are_equal(share):
    """With share 1 as an AUROC, with 0.1 as a two-sample criterion."""
    generator = np.random.default_rng(3)
    shift = np.arange(80) < share * 80
    repeats = 2000
    small = 0
    for _ in range(repeats):
        anomalous = correlated(generator, 80, [0, 0]) + shift
        small += delong(correlated(generator, 60, [0, 0]), anomalous).p_value(0, 1) <= 0.05
    assert abs(small / repeats - 0.05) < 0.0175


def test_a_true_gap_is_found_and_covered():
    generator = np.random.default_rng(4)
    truth = norm.cdf(2 / 2**0.5 / 0.98995) - norm.cdf(1 / 2**0.5 / 0.98995)
    found = covered = 0
    for _ in range(300):
        result = delong(correlated(generator, 100, [0, 0]), correlated(generator, 100, [2.0, 1.0]))
        gap = result.gap(0, 1)
        assert gap.low <= gap.value <= gap.high
        found += result.p_value(0, 1) <= 0.05
        covered += gap.low <= truth <= gap.high
    assert found / 300 > 0.9
    assert 0.91 <= covered / 300 <= 0.985


def test_identical_candidates_are_not_told_apart():
    generator = np.random.default_rng(5)
    x, y = generator.normal(size=20), generator.normal(size=30)
    result = delong([x, np.exp(x)], [y, np.exp(y)])
    assert result.p_value(0, 1) == 1.0
    assert result.gap(0, 1) == pytest.approx((0.0, 0.0, 0.0), abs=1e-7)


def test_estimate_is_clipped_to_the_range_of_an_auroc():
    result = delong([[0.0, 1.0, 2.0]], [[1.5, 3.0, 4.0]])
    interval = result.estimate(0)
    assert (interval.value, interval.high) == (pytest.approx(8 / 9), 1.0)
    assert interval.low < interval.value


@pytest.mark.parametrize(
    ("normal", "anomalous", "words"),
    [
        ([[1.0]], [[1.0, 2.0]], "at least 2 normal and 2 anomalous images: got 1 and 2"),
        ([[1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]], "got 1 and 2"),
        ([1.0, 2.0], [1.0, 2.0], r"\(candidates, images\)"),
    ],
)
def test_bad_input_is_named(normal, anomalous, words):
    with pytest.raises(InputError, match=words):
        delong(normal, anomalous)
