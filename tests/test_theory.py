"""What docs/choosing-without-labels.md claims, on simulated scores; benchmarks/theory.py prints it at length."""

import math

import numpy as np
import pytest
from scipy.stats import betaprime, norm

from feint.metrics.two_sample import two_sample_auroc
from feint.stats.bulk_shift import bulk_shift
from feint.stats.delong import delong
from feint.stats.mixture import mixture_proportion
from feint.stats.telling_apart import images_needed
from feint.stats.unlabelled_auroc import unlabelled_auroc

SHARES = (0.02, 0.1, 0.5)


def pool(generator, *, share, shift, m=400, n=600, hidden=0.0):
    """Return Gaussian scores (unlabelled, held out); the first anomalies are shifted, the rest of them hidden."""
    return generator.normal(size=n) + shift * (np.arange(n) < share * (1 - hidden) * n), generator.normal(size=m)


def two(generator, *, correlation, share, shifts, m, n):
    """Return the scores of two candidates, (2, n) and (2, m)."""
    mixing = np.linalg.cholesky([[1, correlation], [correlation, 1]])
    raised = np.array(shifts)[:, None] * (np.arange(n) < share * n)
    return mixing @ generator.normal(size=(2, n)) + raised, mixing @ generator.normal(size=(2, m))


def errors(rate, draws):
    return math.sqrt(rate * (1 - rate) / draws)


@pytest.mark.parametrize("share", SHARES)
def test_the_mean_of_a2_whatever_the_law_of_the_scores(share):
    generator, draws, factor = np.random.default_rng(0), 2000, 4.0
    expected = 0.5 + share * (betaprime.cdf(factor, 2, 2) - 0.5)
    grown = np.where(np.arange(100) < share * 100, factor, 1.0)
    found = [two_sample_auroc(generator.gamma(2, size=100) * grown, generator.gamma(2, size=80)) for _ in range(draws)]
    assert abs(np.mean(found) - expected) < 3 * np.std(found) / math.sqrt(draws)


def test_interval_and_paired_level_with_few_anomalies_and_correlated_candidates():
    generator, draws, share, shift = np.random.default_rng(1), 1200, 0.02, 1.8
    expected = 0.5 + share * (norm.cdf(shift / math.sqrt(2)) - 0.5)
    covered = told = 0
    for _ in range(draws):
        u, h = two(generator, correlation=0.9, share=share, shifts=(shift, shift), m=100, n=150)
        result = delong(h, u)
        covered += result.estimate(0).low <= expected <= result.estimate(0).high
        told += result.p_value(0, 1) <= 0.05
    assert abs(covered / draws - 0.95) < 3 * errors(0.05, draws)
    assert abs(told / draws - 0.05) < 3 * errors(0.05, draws)


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_the_images_needed_tell_candidates_apart_as_often_as_asked(ratio):
    generator, draws, correlation = np.random.default_rng(2), 200, 0.9
    shifts = [math.sqrt(2) * norm.ppf(auroc) for auroc in (0.9, 0.75)]
    spearman = 6 / math.pi * math.asin(correlation / 2)
    m, n = images_needed(0.15, share=0.1, correlation=spearman, held_out_per_unlabelled=ratio)
    found = sum(
        delong(*reversed(two(generator, correlation=correlation, share=0.1, shifts=shifts, m=m, n=n))).p_value(0, 1)
        <= 0.05
        for _ in range(draws)
    )
    assert abs(found / draws - 0.8) < 0.03 + 3 * errors(0.8, draws)


def test_a_shift_of_the_normals_rewards_the_candidate_that_sees_it():
    """E[A2] = p Phi((d + delta) / sqrt 2) + (1 - p) Phi(delta / sqrt 2); `bulk_shift` names most such candidates."""
    generator, draws, share, shifts, delta = np.random.default_rng(3), 200, 0.1, (1.8, 0.36), 0.6
    expected = share * norm.cdf((shifts[1] + delta) / math.sqrt(2)) + (1 - share) * norm.cdf(delta / math.sqrt(2))
    a2, named = np.empty((draws, 2)), np.empty((draws, 2))
    for i in range(draws):
        u, h = two(generator, correlation=0.0, share=share, shifts=shifts, m=400, n=1000)
        u[1] += delta
        a2[i] = [two_sample_auroc(u[c], h[c]) for c in (0, 1)]
        named[i] = [bulk_shift(u[c], h[c]) <= 0.05 for c in (0, 1)]
    assert abs(a2[:, 1].mean() - expected) < 3 * a2[:, 1].std() / math.sqrt(draws)
    assert (a2[:, 1] > a2[:, 0]).mean() > 0.95
    assert named[:, 0].mean() < 0.05 + 3 * errors(0.05, draws)
    assert named[:, 1].mean() > 0.85


@pytest.mark.parametrize(("share", "shift"), [(0.0, 0.0), (0.1, 1.8), (0.5, 4.0), (0.9, 6.0)])
@pytest.mark.parametrize("sizes", [(40, 60), (400, 1000)])
def test_bulk_shift_keeps_its_level_when_anomalies_sit_in_the_tail(share, shift, sizes):
    generator, draws = np.random.default_rng(4), 600
    warned = 0
    for _ in range(draws):
        u, h = pool(generator, share=share, shift=shift, m=sizes[0], n=sizes[1])
        warned += bulk_shift(np.exp(u), np.exp(h)) <= 0.05
    assert warned / draws < 0.05 + 3 * errors(0.05, draws)


@pytest.mark.parametrize(("share", "shift"), [(0.0, 0.0), (0.1, 1.0), (0.5, 3.0), (0.5, -2.0)])
@pytest.mark.parametrize("sizes", [(30, 50), (200, 300)])
def test_the_lower_end_of_the_share_holds_whatever_the_anomalies_score(share, shift, sizes):
    generator, draws = np.random.default_rng(5), 100
    too_high = 0
    for _ in range(draws):
        u, h = pool(generator, share=share, shift=shift, m=sizes[0], n=sizes[1])
        too_high += mixture_proportion(np.round(u, 1), np.round(h, 1)).low > share
    assert too_high / draws <= 0.025 + 3 * errors(0.025, draws)


def test_the_share_with_an_interval_by_one_candidate_and_by_five():
    generator, draws, share = np.random.default_rng(6), 40, 0.3
    one, five = [], []
    for _ in range(draws):
        u, h = generator.normal(size=(5, 400)), generator.normal(size=(5, 300))
        u[:, : int(share * 400)] += np.array([[0.0], [0.5], [1.0], [2.0], [3.0]])
        one.append(mixture_proportion(u[4], h[4]))
        five.append(mixture_proportion(u, h))
    for found in (np.array(one), np.array(five)):
        value, low, high = found.T
        assert ((low <= share) & (share <= high)).mean() >= 0.95 - 3 * errors(0.05, draws)
        assert abs(value.mean() - share) < 0.05
        assert low.mean() > 0.15


@pytest.mark.parametrize("auroc", [0.7, 0.97])
@pytest.mark.parametrize("share", SHARES)
def test_the_auroc_without_a_label_lies_in_its_interval(share, auroc):
    generator, draws = np.random.default_rng(7), 80
    found = []
    for _ in range(draws):
        u, h = pool(generator, share=share, shift=math.sqrt(2) * norm.ppf(auroc), m=200, n=400)
        found.append(unlabelled_auroc(u, h))
    value, low, high = np.array(found).T
    assert ((low <= auroc) & (auroc <= high)).mean() >= 0.95 - 3 * errors(0.05, draws)
    assert high.mean() - low.mean() > 0.45 or share == 0.5
    if auroc == 0.97 and share == 0.5:
        assert abs(value.mean() - auroc) < 0.02
        assert low.mean() > 0.75


def test_anomalies_that_look_normal_make_the_share_too_low_and_the_auroc_that_of_the_visible_ones():
    generator, draws, share, shift = np.random.default_rng(8), 40, 0.5, 3.0
    shares, aurocs = [], []
    for _ in range(draws):
        u, h = pool(generator, share=share, shift=shift, hidden=0.5)
        shares.append(mixture_proportion(u, h).value)
        aurocs.append(unlabelled_auroc(u, h).value)
    visible, overall = norm.cdf(shift / math.sqrt(2)), 0.25 + norm.cdf(shift / math.sqrt(2)) / 2
    assert np.mean(shares) == pytest.approx(share / 2, abs=0.04)
    assert np.mean(aurocs) == pytest.approx(visible, abs=0.03)
    assert np.mean(aurocs) > overall + 0.2
