import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from feint.core.errors import InputError, SettingError
from feint.stats.clusters import Clusters
from feint.stats.correlation import rank_correlation

SCIPY = {"spearman": spearmanr, "kendall": kendalltau}
LABELS = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 6])


def rng(seed=0):
    return np.random.default_rng(seed)


def related(generator, labels, decimals=9):
    shared = generator.normal(size=(labels.max() + 1, 1))[labels] + generator.normal(size=(labels.size, 1))
    return np.round(shared + generator.normal(size=(labels.size, 2)), decimals).T


@pytest.mark.parametrize("method", SCIPY)
@pytest.mark.parametrize("decimals", [0, 9])
def test_values_and_intervals_equal_scipy_on_tasks_really_drawn_again(method, decimals):
    x, y = related(rng(1), LABELS, decimals)
    result = rank_correlation(x, y, LABELS, method=method, draws=200, generator=rng(2))
    assert result.value == pytest.approx(SCIPY[method](x, y).statistic)
    clusters = Clusters.of(LABELS, LABELS.size)
    drawn = []
    for counts in clusters.draws(200, rng(2)):
        rows = np.repeat(np.arange(LABELS.size), counts.astype(int)[LABELS])
        drawn.append(SCIPY[method](x[rows], y[rows]).statistic)
    low, high = clusters.ends(np.array(drawn))
    assert (result.low, result.high) == pytest.approx((low, high))


@pytest.mark.parametrize("method", SCIPY)
def test_a_constant_correlates_with_nothing(method):
    result = rank_correlation(np.ones(12), np.arange(12), LABELS, method=method, generator=rng())
    assert result[:3] == (0, 0, 0)


def test_intervals_cover_the_correlation_of_the_population():
    generator, studies, covered = rng(3), 200, 0
    labels = np.repeat(np.arange(30), 3)
    truth = 6 / np.pi * np.arcsin(2 / 3 / 2)
    for _ in range(studies):
        x, y = related(generator, labels)
        result = rank_correlation(x, y, labels, draws=300, generator=generator)
        covered += result.low <= truth <= result.high
    assert 0.90 <= covered / studies <= 0.985


def test_bad_correlations_are_named():
    with pytest.raises(InputError, match="got 2 and 3 values"):
        rank_correlation([1, 2], [1, 2, 3], "ab", generator=rng())
    with pytest.raises(SettingError, match="'spearman' or 'kendall': got 'pearson'"):
        rank_correlation([1, 2], [1, 2], "ab", method="pearson", generator=rng())
