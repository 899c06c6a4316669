import numpy as np
import pytest
from scipy.stats import rankdata

from feint.core.errors import SettingError
from feint.stats.clusters import Clusters
from feint.stats.effect_sizes import effect_sizes

LABELS = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4, 4, 4, 5])


def rng(seed=0):
    return np.random.default_rng(seed)


def rank_biserial(d):
    d = d[np.round(d, 9) != 0]
    ranks = rankdata(np.abs(np.round(d, 9)))
    return (ranks[d > 0].sum() - ranks[d < 0].sum()) / ranks.sum() if d.size else 0.0


def drawn_for_real(d, labels, counts, statistic):
    """The statistic of each draw, its tasks written out as often as their cluster was drawn."""
    return np.array([statistic(np.repeat(d, row.astype(int)[labels])) for row in counts])


@pytest.mark.parametrize("decimals", [1, 9])
def test_values_and_intervals_equal_those_of_tasks_really_drawn_again(decimals):
    values = np.round(rng(1).normal(size=(3, LABELS.size)), decimals)
    values[2, :4] = values[0, :4]
    result = effect_sizes(values, LABELS, draws=300, generator=rng(2))
    clusters = Clusters.of(LABELS, LABELS.size)
    counts = clusters.draws(300, rng(2))
    for i, j in [(0, 1), (1, 0), (0, 2), (2, 1)]:
        d = np.round(values[i] - values[j], 9)
        for effect, statistic in ((result.median, np.median), (result.rank_biserial, rank_biserial)):
            assert effect.value[i, j] == pytest.approx(statistic(d))
            low, high = clusters.ends(drawn_for_real(d, LABELS, counts, statistic))
            assert (effect.low[i, j], effect.high[i, j]) == pytest.approx((low, high), abs=1e-9)


def test_diagonals_are_empty_and_directions_mirror():
    result = effect_sizes(rng(3).normal(size=(4, 12)), LABELS, draws=100, generator=rng())
    for effect in (result.median, result.rank_biserial):
        assert all(np.isnan(np.diag(table)).all() for table in (effect.value, effect.low, effect.high))
        np.testing.assert_allclose(effect.value, -effect.value.T)
        np.testing.assert_allclose(effect.low, -effect.high.T)
        assert (effect.low[0, 1:] <= effect.high[0, 1:]).all()


def test_an_arm_that_always_wins_has_rank_biserial_one():
    result = effect_sizes([np.arange(12) + 1.0, np.zeros(12)], LABELS, draws=100, generator=rng())
    biserial = result.rank_biserial
    assert (biserial.value[0, 1], biserial.low[0, 1], biserial.high[0, 1]) == (1, 1, 1)
    assert biserial.value[1, 0] == -1


def test_equal_arms_have_no_effect():
    result = effect_sizes(np.full((2, 12), 0.6), LABELS, draws=100, generator=rng())
    for effect in (result.median, result.rank_biserial):
        assert (effect.value[0, 1], effect.low[0, 1], effect.high[0, 1]) == (0, 0, 0)
    assert result.ties.tolist() == [[0, 12], [12, 0]]


def test_wins_ties_and_losses_count_tasks():
    values = [[0.9, 0.80, 0.70, 0.6], [0.8, 0.79, 0.71, 0.7]]
    strict = effect_sizes(values, "abcd", draws=100, generator=rng())
    assert (strict.wins[0, 1], strict.ties[0, 1], strict.losses[0, 1]) == (2, 0, 2)
    loose = effect_sizes(values, "abcd", tie=0.01, draws=100, generator=rng())
    assert (loose.wins[0, 1], loose.ties[0, 1], loose.losses[0, 1]) == (1, 2, 1)
    np.testing.assert_array_equal(loose.wins, loose.losses.T)


def test_intervals_cover_the_median_of_the_population():
    generator, studies, covered = rng(4), 200, 0
    labels = np.repeat(np.arange(20), 3)
    for _ in range(studies):
        d = 0.02 + np.repeat(generator.normal(0, 0.02, 20), 3) + generator.normal(0, 0.02, 60)
        result = effect_sizes([d, np.zeros(60)], labels, draws=400, generator=generator)
        covered += result.median.low[0, 1] <= 0.02 <= result.median.high[0, 1]
    assert 0.91 <= covered / studies <= 0.99


@pytest.mark.parametrize("tie", [-0.1, np.inf, np.nan])
def test_an_impossible_tie_is_refused(tie):
    with pytest.raises(SettingError, match="tie must be a finite difference of at least 0"):
        effect_sizes(np.zeros((2, 3)), "abc", tie=tie, generator=rng())
