import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from feint.calibration.conformal import (
    cross_conformal_p_values,
    leave_one_out_p_values,
    minimum_images,
    p_values,
    realised_rate,
    smallest_rate,
    threshold,
)
from feint.core.errors import InputError, SettingError, UnsupportedRateError

rates = st.sampled_from([0.5, 0.29, 0.1, 0.05, 0.07, 1 / 3])
tied = st.lists(st.integers(0, 6), min_size=20, max_size=60)
untied = st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=60, unique=True)


@pytest.mark.parametrize(
    ("n", "rate", "k"),
    [
        (19, 0.05, 19),
        (99, 0.01, 99),
        (199, 0.01, 198),
        (100, 0.05, 96),
        (20, 0.1, 19),
        (29, 0.1, 27),
        (1000, 0.01, 991),
    ],
)
def test_threshold_is_the_kth_smallest_score(n, rate, k):
    scores = np.random.default_rng(0).permutation(np.arange(1, n + 1))
    assert threshold(scores, rate) == k


@pytest.mark.parametrize(
    ("n", "rate", "k"),
    [(59, 0.05, 59), (100, 0.05, 99), (200, 0.05, 196), (500, 0.05, 484), (299, 0.01, 299), (1000, 0.01, 996)],
)
def test_threshold_with_confidence(n, rate, k):
    assert threshold(np.arange(1, n + 1), rate, confidence=0.95) == k


@pytest.mark.parametrize(("n", "rate"), [(18, 0.05), (98, 0.01)])
def test_too_few_images_are_refused_with_the_number_needed(n, rate):
    with pytest.raises(UnsupportedRateError, match=f"at least {n + 1} calibration images: got {n}"):
        threshold(np.arange(n), rate)
    with pytest.raises(UnsupportedRateError, match=f"at least {n + 1} calibration images: got {n}"):
        realised_rate(n, rate)


@pytest.mark.parametrize(
    ("rate", "confidence", "needed"),
    [(0.1, 0.95, 29), (0.05, 0.95, 59), (0.01, 0.95, 299), (0.05, 0.9, 45), (0.01, 0.9, 230)],
)
def test_images_needed_with_confidence(rate, confidence, needed):
    assert threshold(np.arange(needed), rate, confidence=confidence) == needed - 1
    with pytest.raises(
        UnsupportedRateError, match=f"{confidence:.0%} confidence needs at least {needed} .*{needed - 1}"
    ):
        threshold(np.arange(needed - 1), rate, confidence=confidence)


@pytest.mark.parametrize("n", [1, 2, 5, 48, 96, 106, 1000])
def test_the_smallest_rate_is_supported_and_nothing_smaller(n):
    rate = smallest_rate(n)
    assert minimum_images(rate) == n
    assert threshold(np.arange(n), rate) == n - 1
    with pytest.raises(UnsupportedRateError):
        threshold(np.arange(n), 0.999 * rate)


@pytest.mark.parametrize(
    ("n", "rate", "high"), [(19, 0.05, 0.146), (99, 0.01, 0.030), (100, 0.05, 0.089), (1000, 0.01, 0.0157)]
)
def test_realised_rate_vectors(n, rate, high):
    assert realised_rate(n, rate)[1] == pytest.approx(high, abs=5e-4)


def test_p_values_vector():
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert p_values(scores, [0.05, 0.5, 0.85, 0.9, 0.95]).tolist() == [1.0, 0.6, 0.2, 0.2, 0.1]


@given(calibration=tied | untied, new=tied | untied, rate=rates)
def test_a_p_value_is_small_exactly_when_the_score_is_above_the_threshold(calibration, new, rate):
    scores = np.append(new, calibration)
    assert ((p_values(calibration, scores) <= rate) == (scores > threshold(calibration, rate))).all()


@given(calibration=tied, new=tied)
def test_the_same_scores_serve_any_rate_and_higher_rates_flag_more(calibration, new):
    p = p_values(calibration, new)
    flags = [np.asarray(new) > threshold(calibration, rate) for rate in (0.05, 0.1, 0.29, 0.5)]
    assert all((low <= high).all() for low, high in itertools.pairwise(flags))
    assert all((flags[i] == (p <= rate)).all() for i, rate in enumerate((0.05, 0.1, 0.29, 0.5)))


@pytest.mark.parametrize(("n", "rate"), [(19, 0.05), (100, 0.05), (250, 0.01)])
def test_false_alarms_keep_the_rate_and_spread_as_the_beta(n, rate):
    """2,000 calibration sets; uniform scores make the realised false-alarm rate 1 - tau."""
    draws = np.random.default_rng(n).random((2000, n))
    realised = np.array([1 - threshold(row, rate) for row in draws])
    assert realised.mean() <= rate + 3 * realised.std() / math.sqrt(2000)
    assert realised.mean() > rate - 1 / (n + 1) - 3 * realised.std() / math.sqrt(2000)
    a = math.floor(rate * (n + 1) + 1e-9)
    assert kstest(realised, beta(a, n + 1 - a).cdf).pvalue > 0.001
    low, high = realised_rate(n, rate)
    assert abs((realised < low).mean() - 0.05) < 0.02
    assert abs((realised > high).mean() - 0.05) < 0.02


def test_ties_only_make_false_alarms_rarer():
    generator = np.random.default_rng(7)
    draws = generator.integers(0, 8, size=(2000, 60))
    rate = np.mean([(p_values(row[:40], row[40:]) <= 0.1).mean() for row in draws])
    assert rate < 0.1


def test_threshold_with_confidence_holds_for_that_share_of_calibration_sets():
    draws = np.random.default_rng(8).random((2000, 100))
    kept = np.mean([1 - threshold(row, 0.05, confidence=0.95) <= 0.05 for row in draws])
    plain = np.mean([1 - threshold(row, 0.05) <= 0.05 for row in draws])
    assert kept > 0.95 - 0.015
    assert plain < 0.7


def test_leave_one_out_p_values_are_those_against_the_others():
    scores = np.random.default_rng(9).integers(0, 9, size=30)
    expected = [p_values(np.delete(scores, i), scores[[i]])[0] for i in range(30)]
    np.testing.assert_array_equal(leave_one_out_p_values(scores), expected)


def test_cross_conformal_p_values_equal_their_definition():
    generator = np.random.default_rng(10)
    folds = [generator.integers(0, 9, size=size) for size in (7, 8, 9)]
    scores = generator.integers(0, 9, size=(3, 20))
    expected = [(1 + sum(int((folds[k] >= scores[k, x]).sum()) for k in range(3))) / 25 for x in range(20)]
    np.testing.assert_array_equal(cross_conformal_p_values(folds, scores), expected)


def test_cross_conformal_needs_no_common_scale():
    generator = np.random.default_rng(11)
    folds, scores = [generator.normal(size=10), generator.normal(size=10)], generator.normal(size=(2, 5))
    moved = cross_conformal_p_values([folds[0], 1000 * folds[1] + 5], scores * [[1], [1000]] + [[0], [5]])
    np.testing.assert_array_equal(moved, cross_conformal_p_values(folds, scores))


def test_one_fold_is_split_conformal():
    generator = np.random.default_rng(12)
    fold, scores = generator.normal(size=30), generator.normal(size=20)
    np.testing.assert_array_equal(cross_conformal_p_values([fold], scores[None]), p_values(fold, scores))


def test_cross_conformal_false_alarms_stay_within_the_proven_bound():
    """Models: distance from the mean of the other folds, in few dimensions too many, so that folds really differ."""
    generator = np.random.default_rng(13)
    K, n, new, rate, alarms = 3, 30, 20, 0.1, []
    for _ in range(1000):
        x = generator.normal(size=(n + new, 8))
        parts = np.array_split(np.arange(n), K)
        centres = [np.delete(x[:n], part, axis=0).mean(axis=0) for part in parts]
        folds = [np.linalg.norm(x[part] - centre, axis=1) for part, centre in zip(parts, centres, strict=True)]
        scores = np.array([np.linalg.norm(x[n:] - centre, axis=1) for centre in centres])
        alarms.append((cross_conformal_p_values(folds, scores) <= rate).mean())
    assert 0.05 < np.mean(alarms) < 0.12
    assert np.mean(alarms) < 2 * rate + 2 * (1 - rate) * (K - 1) / (n + K)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: threshold([], 0.5), InputError, "calibration scores must have shape"),
        (lambda: threshold([1.0, math.nan], 0.5), InputError, "must be finite"),
        (lambda: threshold([1.0], 5), SettingError, "got 5. For 5 % write 0.05"),
        (lambda: threshold([1.0], 0.5, confidence=95), SettingError, "confidence must lie"),
        (lambda: smallest_rate(0), InputError, "at least one normal image: got 0"),
        (lambda: leave_one_out_p_values([1.0]), InputError, "at least two: got 1"),
        (lambda: cross_conformal_p_values([[1.0]], [[1.0], [2.0]]), InputError, "got 1 and 2"),
        (lambda: cross_conformal_p_values([[1.0], []], [[1.0], [2.0]]), InputError, "calibration fold 1"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
