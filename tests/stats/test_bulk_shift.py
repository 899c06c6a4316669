import numpy as np
import pytest
from scipy.stats import norm, permutation_test, rankdata

from feint.core.errors import InputError, SettingError
from feint.stats.bulk_shift import bulk_shift


def test_it_is_the_permutation_test_of_truncated_normal_scores():
    generator = np.random.default_rng(0)
    for shift in (0.0, 0.3, 0.6):
        u, h = generator.normal(size=80) + shift, generator.normal(size=61)
        t = np.sort(h)[30]
        low_u, low_h = u[u < t], h[h < t]
        ranks = rankdata(np.concatenate([low_u, low_h]))
        z = norm.ppf(0.5 * (ranks - 0.5) / len(ranks))
        exact = permutation_test(
            (z[: len(low_u)], z[len(low_u) :]), lambda x, y: x.mean() - y.mean(), n_resamples=5_000, rng=generator
        )
        assert bulk_shift(u, h) == pytest.approx(float(exact.pvalue), abs=0.03)


def test_only_the_order_of_the_low_scores_matters():
    generator = np.random.default_rng(1)
    u, h = generator.normal(size=200) + 0.2, generator.normal(size=100)
    assert bulk_shift(np.exp(u), np.exp(h)) == bulk_shift(u, h)
    assert bulk_shift(np.concatenate([u, np.full(500, 99.0)]), h) == bulk_shift(u, h)


def test_it_sees_both_directions_and_a_change_of_spread():
    generator = np.random.default_rng(2)
    u, h = generator.normal(size=2000), generator.normal(size=2000)
    assert bulk_shift(u, h) > 0.05
    for moved in (u + 0.5, u - 0.5, 1.5 * u):
        assert bulk_shift(moved, h) < 1e-4


def test_too_few_or_equal_low_scores_show_nothing():
    assert bulk_shift(np.full(100, 99.0), np.arange(100.0)) == 1.0
    assert bulk_shift(np.arange(100.0), np.arange(8.0)) == 1.0
    assert bulk_shift(np.zeros(100), np.repeat([0.0, 1.0], [30, 50])) == 1.0
    assert bulk_shift([1.0], [1.0]) == 1.0


def test_bad_input_is_named():
    with pytest.raises(InputError, match="unlabelled scores must have shape"):
        bulk_shift([], [1.0])
    for bulk in (0.0, 1.0, float("nan")):
        with pytest.raises(SettingError, match="bulk must lie strictly between 0 and 1"):
            bulk_shift([1.0], [1.0], bulk=bulk)
