import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ttest_rel

from feint.core.errors import InputError
from feint.stats.relative import harm, relative_auroc

aurocs = arrays(np.float64, (4, 3), elements=st.floats(0, 1))


def rng(seed=0):
    return np.random.default_rng(seed)


@given(aurocs, aurocs)
def test_it_is_zero_against_itself_and_antisymmetric(a, b):
    assert (relative_auroc(a, a).value == 0).all()
    forth, back = relative_auroc(a, b), relative_auroc(b, a)
    np.testing.assert_allclose(forth.value, -back.value, atol=1e-12)
    np.testing.assert_allclose(forth.low, -back.high, atol=1e-9)


def test_intervals_are_those_of_the_paired_t_test():
    a, b = rng(1).uniform(0.4, 0.9, size=(2, 6, 5))
    result = relative_auroc(a, b)
    for task in range(6):
        expected = ttest_rel(a[task], b[task]).confidence_interval()
        assert (result.low[task], result.high[task]) == pytest.approx((expected.low, expected.high))
        assert result.value[task] == pytest.approx(a[task].mean() - b[task].mean())


def test_seeds_average_before_the_sign_is_read():
    result = relative_auroc([[0.9, 0.4], [0.3, 0.6]], [[0.5, 0.5], [0.5, 0.5]])
    assert result.hurt.tolist() == [False, True]
    assert not result.hurt_beyond_doubt.any()


def test_a_failed_cell_drops_its_seed_on_both_sides():
    arm = [[0.7, np.nan, 0.9, 0.8], [0.7, 0.7, 0.7, np.nan]]
    vanilla = [[0.6, 0.1, 0.6, 0.6], [0.5, np.nan, 0.5, 0.5]]
    result = relative_auroc(arm, vanilla)
    np.testing.assert_allclose(result.value, [0.2, 0.2])
    assert result.seeds.tolist() == [3, 2]
    assert np.isfinite(result.low).tolist() == [True, False]


def test_the_vanilla_counterpart_may_need_no_seed():
    arm = rng(2).uniform(0.4, 0.6, size=(5, 3))
    np.testing.assert_allclose(relative_auroc(arm, 0.5).value, arm.mean(axis=1) - 0.5)
    np.testing.assert_allclose(relative_auroc(arm, arm[:, :1]).value, arm.mean(axis=1) - arm[:, 0])


def test_harm_counts_hurt_tasks():
    seeds = np.array([-0.001, 0.0, 0.001])
    shifts = np.array([-0.1, -0.1, 0.1, -0.0005])
    result = harm(relative_auroc(0.5 + shifts[:, None] + seeds, 0.5), "aabb", generator=rng())
    assert result.mean.value == pytest.approx(shifts.mean())
    assert (result.hurt.value, result.beyond_doubt.value) == (0.75, 0.5)
    assert (result.hurt.clusters, result.hurt.tasks, result.hurt.trusted) == (2, 4, False)


def test_doubt_is_only_spoken_of_with_three_seeds():
    assert harm(relative_auroc([[0.5, 0.4]] * 4, 0.6), "aabb", generator=rng()).beyond_doubt is None
    mixed = relative_auroc([[0.5, 0.5, np.nan], [0.4, 0.41, 0.39], [0.7, 0.71, 0.72]], 0.6)
    result = harm(mixed, "abb", generator=rng())
    assert (result.beyond_doubt.value, result.beyond_doubt.tasks, result.beyond_doubt.clusters) == (0.5, 2, 1)


def test_without_an_effect_half_are_hurt_and_few_beyond_doubt():
    a, b = rng(3).normal(0.7, 0.02, size=(2, 4000, 3))
    result = harm(relative_auroc(a, b), np.arange(4000), draws=100, generator=rng())
    assert result.hurt.value == pytest.approx(0.5, abs=0.03)
    assert result.beyond_doubt.value == pytest.approx(0.025, abs=0.01)


@pytest.mark.parametrize(
    ("arm", "vanilla", "words"),
    [
        ([0.5, 0.6], [0.5, 0.6], r"shape \(tasks, seeds\), the vanilla ones the same: got \(2,\), \(2,\)"),
        ([[0.5, 0.6]], [[0.5, 0.6, 0.7]], r"got \(1, 2\), \(1, 3\)"),
        ([[70.0, 80.0]], [[0.5, 0.6]], "Are these percentages"),
        ([[np.nan, 0.6], [0.5, 0.5]], [[0.5, np.nan], [0.5, 0.5]], "1 of 2 tasks have no seed finished by both"),
    ],
)
def test_bad_aurocs_are_named(arm, vanilla, words):
    with pytest.raises(InputError, match=words):
        relative_auroc(arm, vanilla)
