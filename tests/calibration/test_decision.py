import math

import numpy as np
import pytest
from scipy.stats import binom, mannwhitneyu

from feint.calibration.conformal import p_values
from feint.calibration.decision import decide, too_high_together, too_many_flagged
from feint.calibration.discoveries import flag
from feint.core.errors import InputError, SettingError, UnsupportedRateError

P = [0.004, 0.05, 0.0501, 0.7]


def test_a_rate_flags_up_to_and_including_itself():
    assert decide(P, false_alarm_rate=0.05).tolist() == [True, True, False, False]
    assert decide([1 / 3, 0.34], false_alarm_rate=1 / 3).tolist() == [True, False]


def test_fdr_is_benjamini_hochberg():
    assert decide(P, fdr=0.1).tolist() == flag(P, 0.1).tolist() == [True, True, True, False]


@pytest.mark.parametrize("rates", [{}, {"false_alarm_rate": 0.1, "fdr": 0.1}])
def test_exactly_one_rule_must_be_given(rates):
    with pytest.raises(SettingError, match="either false_alarm_rate or fdr"):
        decide(P, **rates)


def test_an_impossible_rate_is_refused():
    with pytest.raises(SettingError, match="false_alarm_rate must lie"):
        decide(P, false_alarm_rate=5)


@pytest.mark.parametrize(("n", "m", "rate"), [(100, 1000, 0.05), (19, 50, 0.05), (240, 200, 0.1)])
def test_the_number_flagged_among_normals_follows_the_stated_law(n, m, rate):
    draws = 4000
    scores = np.random.default_rng(n).random((draws, n + m))
    flagged = np.array([(p_values(row[:n], row[n:]) <= rate).sum() for row in scores])
    for quantile in (0.5, 0.9, 0.95, 0.99):
        x = int(np.quantile(flagged, quantile))
        stated = too_many_flagged(x, unlabelled=m, calibration=n, rate=rate)
        assert abs((flagged >= x).mean() - stated) < 4 * math.sqrt(stated * (1 - stated) / draws)


def test_its_level_holds_where_a_binomial_test_cries_wolf():
    n, m, rate, draws = 100, 1000, 0.05, 2000
    scores = np.random.default_rng(1).random((draws, n + m))
    flagged = [int((p_values(row[:n], row[n:]) <= rate).sum()) for row in scores]
    shared = np.mean([too_many_flagged(x, unlabelled=m, calibration=n, rate=rate) <= 0.05 for x in flagged])
    independent = np.mean(binom.sf(np.array(flagged) - 1, m, rate) <= 0.05)
    assert shared <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    assert independent > 0.2


def test_many_more_than_expected_is_no_accident():
    assert too_many_flagged(0, unlabelled=100, calibration=200, rate=0.05) == 1.0
    assert too_many_flagged(40, unlabelled=100, calibration=200, rate=0.05) < 1e-6


def test_bad_input_is_named():
    with pytest.raises(InputError, match="between 0 and the 10 images judged: got 11"):
        too_many_flagged(11, unlabelled=10, calibration=50, rate=0.1)
    with pytest.raises(UnsupportedRateError, match="at least 19 calibration images: got 18"):
        too_many_flagged(1, unlabelled=10, calibration=18, rate=0.05)


@pytest.mark.parametrize(("n", "m", "lift"), [(19, 5, 0), (31, 54, 0.4), (200, 1000, 0.1)])
def test_together_is_mann_and_whitneys_test(n, m, lift):
    chance = np.random.default_rng(n)
    calibration, scores = chance.normal(size=n), chance.normal(lift, size=m)
    expected = mannwhitneyu(scores, calibration, alternative="greater", method="asymptotic").pvalue
    assert too_high_together(p_values(calibration, scores), calibration=n) == pytest.approx(expected, rel=1e-9)


def test_together_its_level_holds_and_ties_only_raise_it():
    n, m, draws = 31, 54, 2000
    scores = np.random.default_rng(2).normal(size=(draws, n + m))
    plain, tied = (
        np.mean([too_high_together(p_values(row[:n], row[n:]), calibration=n) <= 0.05 for row in each])
        for each in (scores, scores.round())
    )
    assert tied < plain <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


def test_together_sees_what_no_image_shows_alone():
    calibration = [*range(29), 90.0, 91.0]  # two odd ones among the normal images
    p = p_values(calibration, np.full(54, 50.0))
    assert not decide(p, false_alarm_rate=0.05).any()
    assert too_high_together(p, calibration=31) < 1e-6
    with pytest.raises(InputError, match="at least one normal image"):
        too_high_together(p, calibration=0)
