"""Who votes: the defaults, those that seem better, and the better ones alone where that is beyond doubt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.tuning.selection import MOST_JOINING, select

HELD_OUT, POOL = 80, 160


def scored(shifts, *, seed=0, share=0.5, agreement=0.0):
    """Return scores (C, 80) and (C, 160) by candidates that see anomalies `shifts` above the normal images.

    A part `agreement` of the variance is common to all candidates.
    """
    chance = numpy_stream(seed, "scores")
    both = np.sqrt(agreement) * chance.standard_normal(HELD_OUT + POOL) + np.sqrt(1 - agreement) * (
        chance.standard_normal((len(shifts), HELD_OUT + POOL))
    )
    held_out, unlabelled = np.split(both, [HELD_OUT], axis=1)
    unlabelled[:, : round(share * POOL)] += np.asarray(shifts)[:, None]
    return held_out, unlabelled


@pytest.mark.parametrize("defaults", [[0], [0, 1], [3, 1]])
def test_one_plainly_better_votes_without_the_defaults(defaults):
    found = select(*scored([0.3, 0.2, 3.0, 0.1]), defaults=defaults, seed=0)
    assert found.decided
    assert found.voters == found.joined
    assert found.voters[0] == 2
    assert found.confidence > 0.99
    assert found.comparison.values.shape == (4,)


@pytest.mark.parametrize("defaults", [[0], [2, 0]])
def test_defaults_that_are_best_vote_alone(defaults):
    found = select(*scored([3.0, 0.2, 0.1]), defaults=defaults, seed=0)
    assert not found.decided
    assert found.joined == ()
    assert found.voters == tuple(sorted(defaults, key=lambda c: -found.comparison.values[c]))
    assert found.confidence > 0.99


def test_one_that_only_seems_better_joins_the_default():
    found = select(*scored([1.2, 1.9, 0.1, 0.1], agreement=0.5), defaults=[0], seed=0)
    shares = (found.comparison.draws[:, 1] <= found.comparison.draws[:, 0]).mean()
    assert 0.05 / 3 < shares < 0.05
    assert not found.decided
    assert found.joined == (1,)
    assert found.voters == (1, 0)


@pytest.mark.parametrize(("candidates", "share", "agreement"), [(2, 0.1, 0.0), (8, 0.0, 0.0), (8, 0.1, 0.6)])
def test_among_equals_the_default_keeps_its_vote_however_many_there_are(candidates, share, agreement):
    kept = []
    for seed in range(50):
        scores = scored([1.5] * candidates, seed=seed, share=share, agreement=agreement)
        kept.append(0 in select(*scores, defaults=[0], seed=seed, draws=300).voters)
    assert np.mean(kept) >= 0.95


def test_an_equal_one_joins_no_more_often_than_the_level_says():
    joined = [select(*scored([1.5, 1.5], seed=seed), defaults=[0], seed=seed, draws=200).joined for seed in range(150)]
    joined = [bool(each) for each in joined]
    assert 0.0 < np.mean(joined) < 0.11  # 5 %, and three standard errors


@pytest.mark.parametrize("candidates", [2, 8])
def test_equal_ones_are_seldom_told_apart(candidates):
    found = [
        select(*scored([1.5] * candidates, seed=seed, agreement=0.5), defaults=[0], seed=seed) for seed in range(60)
    ]
    assert np.mean([each.decided for each in found]) < 0.05 + 3 * (0.05 * 0.95 / 60) ** 0.5


def test_more_candidates_do_not_hide_one_that_is_plainly_better():
    found = [
        select(*scored([0.5] * 11 + [3.0], seed=seed, agreement=0.3), defaults=[0], seed=seed, draws=200)
        for seed in range(20)
    ]
    assert all(each.voters[0] == 11 for each in found)


def test_where_anomalies_are_few_the_default_never_steps_back():
    scores = scored([0.0, 6.0], share=0.1, agreement=0.9)
    found = select(*scores, defaults=[0], seed=0)
    assert found.decided
    assert found.voters == (1, 0)


def test_at_most_two_join():
    found = select(*scored([0.0, *[2.0] * 6], agreement=0.9), defaults=[0], seed=0)
    assert len(found.joined) == MOST_JOINING == 2
    assert found.voters == found.joined
    assert found.comparison.best == found.voters[0]
    assert found.comparison.values[found.voters[0]] >= found.comparison.values[found.voters[1]]


def test_a_default_never_joins_itself_and_votes_once():
    found = select(*scored([1.0, 1.0, 1.4, 1.4], agreement=0.6), defaults=[0, 1, 2], seed=0)
    assert len(set(found.voters)) == len(found.voters)
    assert {0, 1, 2} <= set(found.voters)
    assert not {0, 1, 2} & set(found.joined)


def test_copies_of_the_default_do_not_join_it():
    held_out, unlabelled = scored([1.5])
    found = select(np.repeat(held_out, 3, axis=0), np.repeat(unlabelled, 3, axis=0), defaults=[1], seed=0)
    assert not found.decided
    assert found.voters == (1,)


def test_a_perfect_candidate_is_told_from_a_constant_one():
    held_out, unlabelled = np.zeros((2, 20)), np.zeros((2, 30))
    unlabelled[1] = 1
    found = select(held_out, unlabelled, defaults=[0], seed=0)
    assert found.decided
    assert found.voters == (1,)
    assert found.confidence == 1


def test_the_default_may_be_the_only_candidate():
    found = select(*scored([1.0]), defaults=[0], seed=0)
    assert found.voters == (0,)
    assert not found.decided
    assert found.confidence == 1


@settings(max_examples=30)
@given(
    shifts=st.lists(st.floats(0, 3), min_size=2, max_size=5),
    transform=st.sampled_from([np.exp, np.arctan, lambda x: x**3, lambda x: 1e4 * x - 7]),
    seed=st.integers(0, 9),
)
def test_the_choice_depends_on_ranks_alone(shifts, transform, seed):
    held_out, unlabelled = scored(shifts, seed=seed)
    plain = select(held_out, unlabelled, defaults=[0], seed=seed, draws=100)
    held_out[-1], unlabelled[-1] = transform(held_out[-1]), transform(unlabelled[-1])
    bent = select(held_out, unlabelled, defaults=[0], seed=seed, draws=100)
    assert (bent.voters, bent.joined, bent.confidence) == (plain.voters, plain.joined, plain.confidence)
    assert 0 <= plain.confidence <= 1
    assert 1 <= len(plain.voters) <= 1 + MOST_JOINING


def test_a_seed_settles_the_choice():
    first, second, other = (select(*scored([0.2, 0.4, 0.5]), defaults=[0], seed=seed, draws=200) for seed in (0, 0, 1))
    assert np.array_equal(first.comparison.draws, second.comparison.draws)
    assert not np.array_equal(first.comparison.draws, other.comparison.draws)


def test_scores_that_are_no_numbers_are_refused():
    held_out, unlabelled = scored([0.2, 0.4])
    unlabelled[1, 3] = np.nan
    with pytest.raises(InputError, match="finite"):
        select(held_out, unlabelled, defaults=[0], seed=0)
