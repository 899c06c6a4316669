import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from feint.core.errors import InputError, SettingError
from feint.stats.clusters import Clusters
from feint.stats.correlation import rank_correlation_within

SCIPY = {"spearman": spearmanr, "kendall": kendalltau}
CLUSTERS = np.repeat(np.arange(5), 8)
GROUPS = np.tile(list("aaabbccc"), 5)


def rng(seed=0):
    return np.random.default_rng(seed)


def by_hand(x, y, groups, method):
    """Return the mean of scipy's correlations within groups, weighted by their sizes."""
    parts = [
        (np.sum(groups == g), SCIPY[method](x[groups == g], y[groups == g]).statistic) for g in sorted(set(groups))
    ]
    parts = [(n, value) for n, value in parts if n > 1]
    return sum(n * value for n, value in parts) / sum(n for n, _ in parts)


@pytest.mark.parametrize("method", SCIPY)
@pytest.mark.parametrize("nested", [False, True], ids=["across clusters", "groups are clusters"])
def test_values_and_intervals_equal_scipy_on_tasks_really_drawn_again(method, nested):
    x, y = rng(1).normal(size=(2, 40))
    y = y + x
    groups = CLUSTERS.astype(str) if nested else GROUPS
    found = rank_correlation_within(x, y, groups, CLUSTERS, method=method, generator=rng(2))
    assert found.value == pytest.approx(by_hand(x, y, groups, method))
    clusters = Clusters.of(CLUSTERS, 40)
    every, which = np.unique(clusters.draws(2000, rng(2)), axis=0, return_inverse=True)
    results = []
    for counts in every:
        rows = np.repeat(np.arange(40), counts.astype(int)[clusters.index])
        results.append(by_hand(x[rows], y[rows], groups[rows], method))
    assert (found.low, found.high) == pytest.approx(clusters.ends(np.array(results)[which]))


def test_how_hard_a_group_is_makes_no_correlation():
    noise = rng(3).normal(size=(2, 200))
    groups = np.repeat(np.arange(10), 20)
    x, y = noise + 10 * groups
    found = rank_correlation_within(x, y, groups, groups, generator=rng())
    assert abs(found.value) < 0.2
    assert found.low < 0 < found.high


def test_groups_of_one_say_nothing():
    found = rank_correlation_within([1, 2, 9], [3, 4, 0], ["a", "a", "b"], range(3), generator=rng())
    assert found.value == 1
    with pytest.raises(InputError, match="no group has two tasks"):
        rank_correlation_within([1, 2], [3, 4], "ab", "ab", generator=rng())
    with pytest.raises(SettingError, match="got 'pearson'"):
        rank_correlation_within([1, 2], [3, 4], "aa", "ab", method="pearson", generator=rng())
