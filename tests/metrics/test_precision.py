"""Precision and F1 at k against their definitions."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from feint.core.errors import InputError
from feint.metrics.precision import f1_at_k, precision_at_k

labelled = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=6).map(
    lambda pairs: ([1, *(label for label, _ in pairs)], [1, *(score for _, score in pairs)])
)


@given(labelled)
def test_precision_at_k_is_the_mean_over_all_orders_of_tied_images(data):
    labels, scores = data
    k = sum(labels)
    found = [
        np.mean([labels[i] for i in order[:k]])
        for order in permutations(range(len(labels)))
        if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    assert precision_at_k(labels, scores) == pytest.approx(np.mean(found), abs=1e-12)


@given(labelled)
def test_f1_at_k_is_that_of_flagging_from_the_kth_highest_score_up(data):
    labels, scores = data
    threshold = sorted(scores, reverse=True)[sum(labels) - 1]
    wanted = f1_score(labels, [score >= threshold for score in scores])
    assert f1_at_k(labels, scores) == pytest.approx(wanted, abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_without_ties_the_two_are_one(seed):
    chance = np.random.default_rng(seed)
    labels, scores = np.append(chance.random(30) < 0.3, True), chance.permutation(31)
    assert precision_at_k(labels, scores) == pytest.approx(f1_at_k(labels, scores), abs=1e-12)


def test_separated_reversed_and_constant_scores():
    labels = [0, 0, 0, 1, 1]
    assert precision_at_k(labels, [0, 1, 2, 3, 4]) == f1_at_k(labels, [0, 1, 2, 3, 4]) == 1.0
    assert precision_at_k(labels, [4, 3, 2, 1, 0]) == f1_at_k(labels, [4, 3, 2, 1, 0]) == 0.0
    assert precision_at_k(labels, np.zeros(5)) == 2 / 5
    assert f1_at_k(labels, np.zeros(5)) == pytest.approx(4 / 7)
    assert precision_at_k([1, 1], [3.0, 5.0]) == f1_at_k([1, 1], [3.0, 5.0]) == 1.0


@pytest.mark.parametrize("metric", [precision_at_k, f1_at_k])
@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([0, 0], [1.0, 2.0], "at least one anomalous"),
        ([0, -1], [1.0, 2.0], r"got \[-1\]"),
        ([0, 1], [1.0], "got 2 and 1"),
        ([0, 1], [1.0, np.nan], "1 NaN or infinite of 2"),
    ],
)
def test_bad_input_is_named(metric, labels, scores, words):
    with pytest.raises(InputError, match=words):
        metric(labels, scores)
