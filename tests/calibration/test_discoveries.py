import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feint.calibration.conformal import p_values
from feint.calibration.discoveries import adjust, fewest_discoveries, flag, power_warning
from feint.core.errors import InputError, SettingError

CLASSIC = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
           0.7590, 1.0]  # fmt: skip
ranks = st.lists(st.integers(1, 200), max_size=40)
levels = st.sampled_from(["0.05", "0.1", "0.2", "0.5", "0.01"])


def test_vector_of_fifteen():
    expected = [0.0015, 0.003, 0.0095, 0.0356, 0.0603, 0.0639, 0.0639, 0.0645, 0.0765]
    expected += [0.486, 0.5812, 0.7149, 0.7532, 0.8132, 1.0]
    np.testing.assert_allclose(adjust(CLASSIC), expected, atol=5e-5)
    assert flag(CLASSIC, 0.05).tolist() == [True] * 4 + [False] * 11


def test_all_are_flagged_when_the_last_one_is():
    assert flag([0.01, 0.02, 0.03, 0.04, 0.05], 0.05).all()


@pytest.mark.parametrize("m", [3, 6, 41, 53])
def test_equality_is_not_lost_to_rounding(m):
    assert m * 0.05 / m > 0.05, "chosen because floating point gets it wrong"
    assert flag([0.05] * m, 0.05).all()


@given(counts=ranks, q=levels)
def test_flags_equal_the_step_up_rule_in_exact_arithmetic(counts, q):
    p = [Fraction(count, 200) for count in counts]
    m = len(p)
    fitting = [j for j in range(1, m + 1) if sorted(p)[j - 1] <= Fraction(q) * j / m]
    limit = sorted(p)[max(fitting) - 1] if fitting else Fraction(-1)
    assert flag([float(value) for value in p], float(q)).tolist() == [value <= limit for value in p]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_values_keep_the_order_and_are_never_smaller(p):
    adjusted = adjust(p)
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert (adjusted >= np.asarray(p) * (1 - 1e-12)).all()
    assert (adjusted <= 1).all()


def test_nothing_in_nothing_out():
    assert adjust([]).shape == (0,)
    assert flag([], 0.1).shape == (0,)


def test_false_discoveries_keep_the_rate_with_one_shared_calibration_set():
    generator = np.random.default_rng(0)
    n, m, q, share = 400, 100, 0.2, 0.2
    shift = 3.5 * (np.arange(m) < share * m)
    wrong, found = [], []
    for _ in range(1000):
        flagged = flag(p_values(generator.normal(size=n), generator.normal(size=m) + shift), q)
        wrong.append(flagged[shift == 0].sum() / max(1, flagged.sum()))
        found.append(flagged[shift > 0].mean())
    assert np.mean(wrong) <= q * (1 - share) + 3 * np.std(wrong) / math.sqrt(1000)
    assert np.mean(found) > 0.5


def test_a_batch_of_normal_images_rarely_gives_any_discovery():
    generator = np.random.default_rng(1)
    any_flagged = [flag(p_values(generator.random(200), generator.random(50)), 0.1).any() for _ in range(2000)]
    assert np.mean(any_flagged) <= 0.1 + 3 * math.sqrt(0.09 / 2000)


@given(n=st.integers(1, 300), m=st.integers(1, 300), q=levels)
def test_fewest_discoveries_is_where_the_rule_starts_to_flag(n, m, q):
    j = fewest_discoveries(n, m, float(q))
    lowest = 1 / (n + 1)
    if j <= m:
        assert flag([lowest] * j + [1.0] * (m - j), float(q)).sum() >= j
    if 1 < j <= m:
        assert not flag([lowest] * (j - 1) + [1.0] * (m - j + 1), float(q)).any()
    if j > m:
        assert not flag([lowest] * m, float(q)).any()


def test_power_warning_fires_when_nothing_or_no_lone_anomaly_can_be_found():
    assert power_warning(499, 50, 0.1) is None
    assert "finding a lone one takes 499 calibration images" in str(power_warning(498, 50, 0.1))
    assert "fewer than 100 anomalies among 1,000 images" in str(power_warning(100, 1000, 0.1))
    assert "cannot reveal anything among 50" in str(power_warning(8, 50, 0.1))


@pytest.mark.parametrize("p", [[0.5, 1.5], [-0.1], [math.nan], [[0.1]]])
def test_p_values_that_are_none_are_refused(p):
    with pytest.raises(InputError, match="p-values must be numbers from 0 to 1"):
        adjust(p)


def test_an_impossible_q_is_refused():
    with pytest.raises(SettingError, match="q must lie strictly between 0 and 1: got 10"):
        flag([0.1], 10)
