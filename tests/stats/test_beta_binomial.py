import math

import numpy as np
import pytest
from scipy.stats import betabinom

from feint.stats.beta_binomial import beta_binomial_at_least


@pytest.mark.parametrize(("n", "a", "b"), [(1, 1, 19), (50, 5, 96), (1000, 3, 300), (7, 20, 1)])
def test_tail_equals_scipy(n, a, b):
    for x in {0, 1, 2, n // 3, n - 1, n}:
        assert beta_binomial_at_least(x, n=n, a=a, b=b) == pytest.approx(betabinom.sf(x - 1, n, a, b), abs=1e-10)


def test_small_tails_are_accurate_where_one_minus_the_rest_is_not():
    """All n new scores above all m calibration scores: 1 / C(m + n, n)."""
    exact = 1 / math.comb(150, 50)
    assert beta_binomial_at_least(50, n=50, a=1, b=100) == pytest.approx(exact, rel=1e-9)


def test_it_is_the_law_of_new_scores_above_a_calibration_score():
    m, n, k, draws = 40, 30, 37, 20_000
    scores = np.random.default_rng(0).random((draws, m + n))
    above = (scores[:, m:] > np.sort(scores[:, :m], axis=1)[:, [k - 1]]).sum(axis=1)
    for x in (1, 3, 6, 10):
        expected = beta_binomial_at_least(x, n=n, a=m + 1 - k, b=k)
        assert abs((above >= x).mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)
