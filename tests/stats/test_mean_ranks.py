import itertools

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from feint.core.errors import SettingError
from feint.stats.clusters import cluster_means
from feint.stats.mean_ranks import mean_ranks


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_friedman_equals_scipy_with_and_without_ties(decimals):
    values = np.round(rng(1).normal(size=(5, 20)) + np.linspace(0, 1, 5)[:, None], decimals)
    result, expected = mean_ranks(values), friedmanchisquare(*values)
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert result.ranks.sum() == pytest.approx(15)


def test_ranks_equal_their_definition():
    """One, plus the number of better arms, plus half the number of other equal ones; averaged over tasks."""
    values = np.round(rng(2).normal(size=(4, 15)), 1)
    better = (values[None] > values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1) - 1
    result = mean_ranks(values)
    np.testing.assert_allclose(result.ranks, (1 + better + equal / 2).mean(axis=1))
    assert (np.diff(result.ranks[list(result.order)]) >= 0).all()


@pytest.mark.parametrize(("arms", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (8, 3.031), (10, 3.164)])
def test_the_critical_difference_has_the_tabled_constants(arms, q):
    """Demsar (2006), table 5."""
    result = mean_ranks(rng(3).normal(size=(arms, 14)))
    assert result.critical_difference == pytest.approx(q * (arms * (arms + 1) / (6 * 14)) ** 0.5, abs=1e-3)


@pytest.mark.parametrize("seed", range(12))
def test_groups_are_the_maximal_sets_within_the_critical_difference(seed):
    generator = rng(seed)
    result = mean_ranks(generator.normal(size=(7, 30)) + np.sort(generator.normal(size=7))[:, None])
    close = [
        set(arms)
        for size in range(2, 8)
        for arms in itertools.combinations(range(7), size)
        if np.ptp(result.ranks[list(arms)]) <= result.critical_difference
    ]
    maximal = [arms for arms in close if not any(arms < other for other in close)]
    assert sorted(map(sorted, map(set, result.groups))) == sorted(map(sorted, maximal))


def test_arms_that_never_differ_are_one_group():
    result = mean_ranks(np.full((3, 9), 0.5))
    assert (result.p, result.statistic, result.groups) == (1.0, 0.0, ((0, 1, 2),))
    assert result.ranks.tolist() == [2.0, 2.0, 2.0]


def test_a_clear_winner_stands_alone():
    values = rng(4).normal(size=(4, 60))
    values[2] += 10
    result = mean_ranks(values)
    assert result.order[0] == 2
    assert result.ranks[2] == 1
    assert all(2 not in group for group in result.groups)
    assert result.p < 1e-6


def test_cluster_means_as_blocks_keep_the_level_that_tasks_break():
    generator, studies = rng(5), 250
    labels = np.repeat(np.arange(12), 8)
    small = np.zeros(2)
    for _ in range(studies):
        values = generator.normal(0, 0.02, size=(4, 12))[:, labels] + generator.normal(0, 0.01, size=(4, 96))
        small += mean_ranks(values).p <= 0.05, mean_ranks(cluster_means(values, labels)).p <= 0.05
    by_task, by_cluster = small / studies
    assert by_task > 0.3
    assert by_cluster < 0.05 + 2.5 * (0.05 * 0.95 / studies) ** 0.5


def test_one_arm_has_no_rank():
    with pytest.raises(SettingError, match="at least 2 arms: got 1"):
        mean_ranks([[0.5, 0.6]])
