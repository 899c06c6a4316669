"""Regret of choosing without labels: against enumeration, and the confirmation sees no label of the set left out."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau, rankdata

from feint.core.errors import InputError, SettingError
from feint.stats.correlation import rank_correlation
from feint.stats.selection_regret import (
    best_elsewhere_regret,
    confirmed_regret,
    mean_rank,
    random_regret,
    top_one_regret,
)

Y = np.array([0.60, 0.70, 0.80, 0.75])
M = np.array([1.0, 3.0, 2.0, 4.0])
TABLES = arrays(np.float64, (4, 6), elements=st.integers(0, 20).map(lambda n: n / 20))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_worked_example():
    tau = rank_correlation(M, Y, range(4), method="kendall", draws=100, generator=rng()).value
    assert tau == pytest.approx(1 / 3)
    assert tau == pytest.approx(kendalltau(M, Y).statistic)
    assert top_one_regret(Y[:, None], M[:, None]) == pytest.approx([0.05])
    assert random_regret(Y[:, None]) == pytest.approx([0.0875])


@given(TABLES, TABLES)
def test_regret_is_that_of_a_search_by_hand(auroc, criterion):
    for task, regret in enumerate(top_one_regret(auroc, criterion)):
        best = criterion[:, task].max()
        chosen = [y for y, m in zip(auroc[:, task], criterion[:, task], strict=True) if m == best]
        assert regret == pytest.approx(auroc[:, task].max() - np.mean(chosen))


@given(TABLES, TABLES)
@example(np.tile([[0.0], [0.05], [0.05], [0.05]], 6), np.zeros((4, 6)))
def test_regret_depends_on_the_order_alone_and_the_oracle_has_none(auroc, criterion):
    assert top_one_regret(auroc, np.exp(3 * criterion) - 7) == pytest.approx(top_one_regret(auroc, criterion))
    assert (top_one_regret(auroc, auroc) == 0).all()


def test_a_random_pick_is_the_mean_of_all_picks():
    auroc = rng(1).random((5, 3))
    one_hot = [np.eye(5)[i][:, None] * np.ones(3) for i in range(5)]
    assert random_regret(auroc) == pytest.approx(np.mean([top_one_regret(auroc, each) for each in one_hot], axis=0))
    assert random_regret(auroc) == pytest.approx(top_one_regret(auroc, np.zeros((5, 3))))


def test_a_candidate_without_a_criterion_is_never_chosen():
    assert top_one_regret([[0.9], [0.5]], [[np.nan], [-3.0]]) == pytest.approx([0.4])
    assert np.isnan(top_one_regret([[0.9], [0.5]], [[np.nan], [np.nan]])).all()


@given(TABLES, TABLES)
def test_the_mean_rank_is_scipys(first, second):
    assert mean_rank([first, second]) == pytest.approx((rankdata(first, axis=0) + rankdata(second, axis=0)) / 2)


def test_a_combination_ranks_only_candidates_with_all_of_its_criteria():
    found = mean_rank([[[1.0], [2.0], [np.nan]], [[9.0], [5.0], [7.0]]])
    assert found[:2, 0].tolist() == [2.0, 1.5]
    assert np.isnan(found[2, 0])


def study(seed=0):
    """Return AUROC of 4 candidates on 9 tasks of 3 sets, a criterion that follows it and two of pure noise."""
    generator = rng(seed)
    auroc = generator.uniform(0.5, 0.9, (4, 9))
    criteria = {"noise": generator.random((4, 9)), "good": auroc**2, "other": generator.random((4, 9))}
    return auroc, criteria, ["a"] * 3 + ["b"] * 3 + ["c"] * 3


def test_what_is_good_on_the_other_sets_is_chosen():
    found = confirmed_regret(*study())
    assert found.chosen == {"a": "good", "b": "good", "c": "good"}
    assert (found.regret == 0).all()


def test_the_choice_does_not_see_the_set_that_is_left_out():
    auroc, criteria, sets = study()
    turned = {name: m.copy() for name, m in criteria.items()}
    turned["good"][:, :3] *= -1
    changed = auroc.copy()
    changed[:, :3] = 1 - changed[:, :3]
    found = confirmed_regret(changed, turned | {"good": turned["good"]}, sets)
    assert found.chosen["a"] == "good"
    worst = confirmed_regret(auroc, turned, sets)
    assert worst.chosen["a"] == "good"
    assert worst.regret[:3] == pytest.approx(np.ptp(auroc[:, :3], axis=0))


def test_choosing_among_noise_is_no_better_than_a_random_pick():
    """The criterion that looks best by luck gains nothing on other sets: the confirmation is not fooled."""
    excess = []
    for seed in range(200):
        generator = rng(seed)
        auroc = generator.random((5, 12))
        noise = {f"noise {i}": generator.random((5, 12)) for i in range(8)}
        found = confirmed_regret(auroc, noise, [i // 3 for i in range(12)])
        excess.append((found.regret - random_regret(auroc)).mean())
    assert abs(np.mean(excess)) < 0.02


def test_the_best_of_the_other_sets_is_taken_from_them_alone():
    auroc = np.array([[0.9, 0.9, 0.1], [0.8, 0.8, 0.8], [0.1, 0.1, 0.9]])
    found = best_elsewhere_regret(auroc, ["a", "a", "b"])
    assert found == pytest.approx([0.8, 0.8, 0.8])


def test_criteria_that_cannot_choose_everywhere_are_left_out():
    auroc, criteria, sets = study()
    criteria["good"][:, 4] = np.nan
    assert "good" not in confirmed_regret(auroc, criteria, sets).chosen.values()


def test_bad_choices_are_named():
    auroc, criteria, sets = study()
    with pytest.raises(InputError, match=r"got \(3, 9\) for \(4, 9\)"):
        top_one_regret(auroc, auroc[:3])
    with pytest.raises(SettingError, match="got only 'a'"):
        best_elsewhere_regret(auroc, ["a"] * 9)
    with pytest.raises(InputError, match="got 2 for 9 tasks"):
        confirmed_regret(auroc, criteria, sets[:2])
    with pytest.raises(SettingError, match="no criterion"):
        confirmed_regret(auroc, {"none": np.full((4, 9), np.nan)}, sets)
    with pytest.raises(InputError, match="at least one criterion"):
        mean_rank([])
