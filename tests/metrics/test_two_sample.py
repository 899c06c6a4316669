import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from feint.core.errors import CollapseError, InputError, SettingError, UnsupportedRateError
from feint.metrics.ranks import p_values
from feint.metrics.roc import auroc
from feint.metrics.two_sample import (
    MEAN_EVIDENCE,
    TWO_SAMPLE_AUROC,
    excess,
    excess_above,
    mean_evidence,
    score_variance,
    two_sample_auroc,
)

few_values = st.lists(st.integers(-5, 5), min_size=1, max_size=30)
many_values = st.lists(st.integers(-20, 20), min_size=19, max_size=60)


@given(unlabelled=few_values, held_out=few_values)
def test_two_sample_auroc_is_the_auroc_of_unlabelled_over_held_out(unlabelled, held_out):
    assert two_sample_auroc(unlabelled, held_out) == pytest.approx(auroc(held_out, unlabelled), abs=1e-12)


@given(unlabelled=few_values, held_out=few_values)
def test_mean_evidence_is_the_mean_log_p_value(unlabelled, held_out):
    expected = -np.log(p_values(held_out, unlabelled)).mean()
    assert mean_evidence(unlabelled, held_out) == pytest.approx(expected, abs=1e-12)


@given(unlabelled=few_values, held_out=many_values, level=st.sampled_from([0.95, 0.9, 0.71, 0.5]))
def test_excess_is_the_share_of_small_p_values(unlabelled, held_out, level):
    rate = {0.95: 0.05, 0.9: 0.1, 0.71: 0.29, 0.5: 0.5}[level]
    assert excess(unlabelled, held_out, level=level) == (p_values(held_out, unlabelled) <= rate).mean()


@given(unlabelled=few_values, held_out=many_values)
def test_criteria_depend_on_ranks_only(unlabelled, held_out):
    for criterion in (TWO_SAMPLE_AUROC, MEAN_EVIDENCE, excess_above(0.95)):
        moved = criterion(np.exp(np.divide(unlabelled, 5)), np.exp(np.divide(held_out, 5)))
        assert moved == criterion(unlabelled, held_out)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_expectation_of_the_two_sample_auroc(share):
    """E[A2] = 1/2 + p (AUROC - 1/2), within three standard errors over 2,000 draws."""
    m, n, shift, draws = 60, 100, 1.2, 2000
    generator = np.random.default_rng(round(1000 * share))
    true = norm.cdf(shift / math.sqrt(2))
    anomalous = np.arange(n) < share * n
    values = [
        two_sample_auroc(generator.normal(size=n) + shift * anomalous, generator.normal(size=m)) for _ in range(draws)
    ]
    error = np.std(values) / math.sqrt(draws)
    assert abs(np.mean(values) - (0.5 + share * (true - 0.5))) < 3 * error
    assert error < 0.002


def test_null_expectation_of_excess_and_evidence_is_exact_at_small_m():
    m, n, draws = 30, 50, 4000
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(draws, m + n))
    tails = np.array([excess(row[m:], row[:m], level=0.95) for row in scores])
    evidence = np.array([mean_evidence(row[m:], row[:m]) for row in scores])
    expected = math.log(m + 1) - math.lgamma(m + 2) / (m + 1)
    assert abs(tails.mean() - 1 / 31) < 3 * tails.std() / math.sqrt(draws)
    assert abs(evidence.mean() - expected) < 3 * evidence.std() / math.sqrt(draws)


def test_evidence_tells_rare_clear_anomalies_better_than_the_auroc():
    m, n, draws = 240, 1000, 300
    generator = np.random.default_rng(2)
    shift = 3.0 * (np.arange(n) < 0.03 * n)
    null, planted = ([], []), ([], [])
    for _ in range(draws):
        h, u = generator.normal(size=m), generator.normal(size=n)
        for i, criterion in enumerate((two_sample_auroc, mean_evidence)):
            null[i].append(criterion(u, h))
            planted[i].append(criterion(u + shift, h))
    power = [(np.mean(planted[i]) - np.mean(null[i])) / np.std(null[i]) for i in range(2)]
    assert power[1] > 1.3 * power[0]


def test_score_variance_is_free_of_scale_and_place():
    generator = np.random.default_rng(0)
    u, h = generator.normal(size=50), generator.normal(size=40)
    value = score_variance(u, h)
    assert value == pytest.approx(np.mean((u - u.mean()) ** 2) / h.var())
    assert score_variance(5 + 9 * u, 5 + 9 * h) == pytest.approx(value)


@pytest.mark.parametrize(("level", "needed"), [(0.95, 19), (0.99, 99)])
def test_an_excess_that_so_few_images_cannot_show_is_refused_with_the_number_needed(level, needed):
    assert excess([1.0], np.zeros(needed), level=level) == 1.0
    with pytest.raises(UnsupportedRateError, match=f"at least {needed} held-out normal images: got {needed - 1}"):
        excess([1.0], np.zeros(needed - 1), level=level)


def test_bad_input_is_named():
    with pytest.raises(SettingError, match="level must lie strictly between 0 and 1: got 95"):
        excess_above(95)
    with pytest.raises(CollapseError, match="3 held-out normal scores are all 7"):
        score_variance([1.0, 2.0], [7.0, 7.0, 7.0])
    with pytest.raises(InputError, match="held-out scores must be finite"):
        two_sample_auroc([1.0], [math.nan])
    with pytest.raises(InputError, match="unlabelled scores must have shape"):
        mean_evidence([], [1.0])


def test_criteria_travel_to_worker_processes():
    criterion = pickle.loads(pickle.dumps(excess_above(0.9)))
    assert criterion([5.0], np.arange(9)) == 0.0
    assert criterion([9.0], np.arange(9)) == 1.0
    assert criterion.name == "excess_0.9"
