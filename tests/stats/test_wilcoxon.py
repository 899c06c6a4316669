import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, wilcoxon

from feint.core.errors import InputError, SettingError
from feint.stats.cluster_bootstrap import category_contrast
from feint.stats.effect_sizes import effect_sizes
from feint.stats.mean_ranks import mean_ranks
from feint.stats.wilcoxon import signed_rank, wilcoxon_matrix

PUBLISHED = [0.010, 0.020, -0.005, 0.030, 0.015, 0.004, -0.001, 0.025]


def rng(seed=0):
    return np.random.default_rng(seed)


def off_diagonal(matrix):
    return matrix[~np.eye(len(matrix), dtype=bool)]


def study(generator, *, arms, clusters, each, shared, gain=0.0):
    """AUROCs (arms, tasks): task difficulty + luck of the trained model + luck of the task; `gain` for arm 0."""
    labels = np.repeat(np.arange(clusters), each)
    difficulty = generator.normal(0.8, 0.1, size=labels.size)
    model = generator.normal(0, shared, size=(arms, clusters))[:, labels]
    values = difficulty + model + generator.normal(0, 0.01, size=(arms, labels.size))
    values[0] += gain
    return values, labels


def test_the_exact_example():
    test = signed_rank(PUBLISHED)
    assert (test.w_plus, test.w_minus, test.zeros) == (32, 4, 0)
    assert (test.greater, test.less) == (0.02734375, 0.98046875)


def test_a_matrix_of_two_arms_is_the_test_of_their_differences():
    result = wilcoxon_matrix([np.add(PUBLISHED, 0.5), np.full(8, 0.5)], range(8), generator=rng())
    assert (result.p[0, 1], result.p[1, 0]) == (0.02734375, 0.98046875)
    np.testing.assert_allclose(result.holm[0, 1], 2 * 0.02734375)
    np.testing.assert_array_equal(result.clustered[0, 1], 0.02734375)
    assert result.floor == 2**-8


def test_equal_arms_get_p_one_without_a_warning():
    result = wilcoxon_matrix(np.full((3, 30), 0.7), np.repeat(np.arange(6), 5), generator=rng())
    for p in (result.p, result.holm, result.clustered, result.clustered_holm):
        assert np.isnan(np.diag(p)).all()
        assert (off_diagonal(p) == 1).all()
    assert (off_diagonal(result.zeros) == 30).all()
    assert signed_rank([0.0]).greater == signed_rank([0.0]).less == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_small_samples_without_ties_equal_the_exact_law(n, seed):
    d = rng(seed).permutation(np.arange(1, n + 1)) * rng(seed + 1).choice([-0.001, 0.001], size=n)
    test = signed_rank(d)
    assert test.greater == pytest.approx(wilcoxon(d, alternative="greater", method="exact").pvalue)
    assert test.less == pytest.approx(wilcoxon(d, alternative="less", method="exact").pvalue)


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_larger_samples_with_ties_and_zeros_equal_scipy(decimals):
    d = np.round(rng(decimals).normal(0.05, 0.2, size=90), decimals)
    test = signed_rank(d)
    assert test.greater == pytest.approx(wilcoxon(d, alternative="greater").pvalue)
    assert test.less == pytest.approx(wilcoxon(d, alternative="less").pvalue)
    assert test.zeros == (d == 0).sum()
    n = 90 - test.zeros
    assert test.w_plus + test.w_minus == n * (n + 1) / 2


def test_rounding_errors_break_no_ties():
    """0.3 - 0.2 and 0.2 - 0.1 differ in the last bit."""
    exact, drifted = signed_rank([0.1, 0.1, -0.1]), signed_rank([0.3 - 0.2, 0.2 - 0.1, 0.6 - 0.7])
    assert drifted == exact
    assert signed_rank([0.1 + 0.2 - 0.3, 1.0]).zeros == 1


def test_both_directions_agree():
    values, labels = study(rng(1), arms=4, clusters=6, each=5, shared=0.01)
    result = wilcoxon_matrix(np.round(values, 2), labels, generator=rng())
    np.testing.assert_allclose(off_diagonal(result.p + result.p.T), 1)
    assert (off_diagonal(result.clustered + result.clustered.T) >= 1).all()
    np.testing.assert_array_equal(result.zeros, result.zeros.T)
    again = wilcoxon_matrix(np.round(values, 2)[::-1], labels, generator=rng())
    np.testing.assert_array_equal(again.clustered[::-1, ::-1], result.clustered)


def test_the_clustered_p_equals_its_definition():
    """Every sign vector over clusters, applied to the differences themselves, ranks computed anew."""
    generator = rng(2)
    labels = np.array(["a", "b", "b", "c", "d", "d", "d", "e"])
    values = np.round(generator.normal(size=(2, 8)), 1)
    d = values[0] - values[1]
    index = np.unique(labels, return_inverse=True)[1]

    def statistic(differences):
        kept = differences[np.round(differences, 9) != 0]
        return np.sum(np.sign(kept) * rankdata(np.abs(np.round(kept, 9))))

    null = [statistic(np.array(signs)[index] * d) for signs in itertools.product([-1, 1], repeat=5)]
    result = wilcoxon_matrix(values, labels, generator=rng())
    assert result.clustered[0, 1] == np.mean(np.array(null) >= statistic(d))
    assert result.clustered[1, 0] == np.mean(np.array(null) <= statistic(d))
    assert (result.clusters, result.floor) == (5, 1 / 32)


def test_with_one_task_per_cluster_both_units_give_the_same_p():
    values = rng(3).normal(size=(4, 16))
    result = wilcoxon_matrix(values, range(16), generator=rng())
    np.testing.assert_allclose(result.clustered, result.p)


def test_many_clusters_are_drawn_and_come_close_to_the_exact_p():
    values = rng(4).normal(size=(3, 20))
    result = wilcoxon_matrix(values, range(20), draws=19_999, generator=rng())
    np.testing.assert_allclose(off_diagonal(result.clustered), off_diagonal(result.p), atol=4 * 0.5 / 20_000**0.5)
    assert result.floor == 1 / 20_000
    same = wilcoxon_matrix(values, range(20), draws=19_999, generator=rng())
    np.testing.assert_array_equal(same.clustered, result.clustered)


def test_no_p_is_smaller_than_its_draws_allow():
    """The signs observed count among those drawn: chance alone never gives p = 0."""
    result = wilcoxon_matrix([np.arange(40) + 1.0, np.zeros(40)], range(40), draws=999, generator=rng())
    assert result.clustered[0, 1] == result.floor == 0.001


def test_the_corrected_matrix_keeps_its_level_when_tasks_are_independent():
    generator, studies = rng(5), 800
    false_claims, single = np.zeros(2), []
    for _ in range(studies):
        values, labels = study(generator, arms=5, clusters=30, each=1, shared=0.0)
        result = wilcoxon_matrix(values, labels, draws=1999, generator=generator)
        false_claims += np.nanmin(result.holm) <= 0.05, np.nanmin(result.clustered_holm) <= 0.05
        single.append(result.p[0, 1] <= 0.05)
    assert (false_claims / studies <= 0.05 + 2.5 * (0.05 * 0.95 / studies) ** 0.5).all(), false_claims / studies
    assert (false_claims > 0).all()
    assert abs(np.mean(single) - 0.05) < 3 * (0.05 * 0.95 / studies) ** 0.5


def test_tasks_that_share_a_model_break_the_naive_level_and_not_the_clustered_one():
    generator, studies = rng(6), 500
    single, family = np.zeros(2), np.zeros(2)
    for _ in range(studies):
        values, labels = study(generator, arms=4, clusters=10, each=9, shared=0.02)
        result = wilcoxon_matrix(values, labels, generator=generator)
        single += result.p[0, 1] <= 0.05, result.clustered[0, 1] <= 0.05
        family += np.nanmin(result.holm) <= 0.05, np.nanmin(result.clustered_holm) <= 0.05
    noise = 2.5 * (0.05 * 0.95 / studies) ** 0.5
    naive, clustered = single / studies
    assert naive > 0.2
    assert abs(clustered - 0.05) < noise
    naive, clustered = family / studies
    assert naive > 0.5
    assert clustered < 0.05 + noise


def test_a_planted_gain_is_found_by_both_units():
    generator, found = rng(7), []
    for _ in range(40):
        values, labels = study(generator, arms=6, clusters=14, each=9, shared=0.01, gain=0.025)
        result = wilcoxon_matrix(values, labels, generator=generator)
        found.append([(p[0, 1:] <= 0.05).mean() for p in (result.holm, result.clustered_holm)])
    assert (np.mean(found, axis=0) > 0.9).all(), np.mean(found, axis=0)


def test_the_statistics_of_420_tasks_take_less_than_three_seconds():
    values, _ = study(rng(8), arms=14, clusters=42, each=10, shared=0.01)
    labels = [(int(k) // 105, int(k) % 105 // 11) for k in range(420)]
    start = time.process_time()
    wilcoxon_matrix(values, labels, generator=rng())
    effect_sizes(values, labels, generator=rng())
    mean_ranks(values)
    category_contrast(values, ["none", "a", "b", "c", "d", "e", "f"] * 2, "a", labels, generator=rng())
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("values", "labels", "error", "words"),
    [
        ([0.5, 0.6], ["a", "b"], InputError, r"shape \(arms, tasks\)"),
        ([[0.5, np.nan], [0.5, 0.6]], ["a", "b"], InputError, "1 of 2 tasks lack one. Leave those tasks out"),
        ([[0.5, 0.6], [0.5, 0.6]], ["a"], InputError, "got 1 labels for 2 tasks"),
        ([[0.5, 0.6]], ["a", "b"], SettingError, "at least 2 arms: got 1"),
    ],
)
def test_bad_input_is_named(values, labels, error, words):
    with pytest.raises(error, match=words):
        wilcoxon_matrix(values, labels, generator=rng())
    with pytest.raises(error, match=words):
        effect_sizes(values, labels, generator=rng())


def test_draws_must_be_positive():
    with pytest.raises(SettingError, match="draws must be at least 1: got 0"):
        wilcoxon_matrix(np.zeros((2, 3)), "abc", draws=0, generator=rng())
