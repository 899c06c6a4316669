import numpy as np
import pytest
from scipy.stats import ttest_1samp

from feint.core.errors import InputError
from feint.stats.student import student_interval


def test_the_interval_is_scipys():
    values = np.random.default_rng(0).normal(size=7)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert student_interval(values) == pytest.approx((values.mean(), expected.low, expected.high))


def test_three_repetitions_are_enough_for_its_level():
    drawn = np.random.default_rng(1).normal(0.02, 0.01, (2000, 3))
    covered = [found.low <= 0.02 <= found.high for found in map(student_interval, drawn)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_one_repetition_has_no_interval():
    found = student_interval([0.3])
    assert found.value == 0.3
    assert np.isnan(found.low)
    with pytest.raises(InputError, match="at least one"):
        student_interval([])
