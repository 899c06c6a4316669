import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from feint.core.errors import SettingError
from feint.metrics.ranks import allowed_exceedances, count_at_least, exact_rate, midranks, minimum_images, p_values

few_values = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@given(few_values)
def test_midranks_equal_scipy(values):
    np.testing.assert_array_equal(midranks(values), rankdata(values))


@given(reference=few_values, scores=few_values)
def test_counts_and_p_values_equal_their_definition(reference, scores):
    counts = [sum(r >= s for r in reference) for s in scores]
    np.testing.assert_array_equal(count_at_least(reference, scores), counts)
    np.testing.assert_array_equal(p_values(reference, scores), [(1 + c) / (len(reference) + 1) for c in counts])


@given(st.integers(1, 10**7 - 1), st.integers(1, 7))
def test_exact_rate_is_the_decimal_that_was_written(digits, places):
    text = f"0.{digits % 10**places:0{places}d}"
    if float(text) > 0:
        assert exact_rate(float(text)) == Fraction(text)


@given(st.integers(2, 10**6))
def test_exact_rate_is_the_reciprocal_that_was_computed(n):
    assert exact_rate(1 / n) == Fraction(1, n)
    assert allowed_exceedances(n - 1, 1 / n) == 1


def test_floats_are_not_trusted_with_the_floor():
    wrong = [m for m in range(1, 1000) if math.floor(0.29 * (m + 1)) != (29 * (m + 1)) // 100]
    assert wrong, "0.29 (m + 1) in floating point should go wrong somewhere"
    assert all(allowed_exceedances(m, 0.29) == (29 * (m + 1)) // 100 for m in wrong)


@pytest.mark.parametrize(("rate", "images"), [(0.1, 9), (0.05, 19), (0.02, 49), (0.01, 99), (0.005, 199), (0.001, 999)])
def test_minimum_images(rate, images):
    assert minimum_images(rate) == images
    assert allowed_exceedances(images, rate) == 1
    assert allowed_exceedances(images - 1, rate) == 0


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, math.nan, 1e-12])
def test_a_rate_outside_zero_and_one_is_refused(rate):
    with pytest.raises(SettingError, match="rate must lie"):
        exact_rate(rate)
