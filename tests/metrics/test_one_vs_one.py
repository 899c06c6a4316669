"""All one-vs-one AUROCs at once against one at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feint.core.errors import InputError
from feint.metrics.one_vs_one import aurocs_one_vs_one
from feint.metrics.roc import auroc


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from([1, 3, 1000]))
def test_each_equals_the_auroc_of_its_pair(seed, count, levels):
    chance = np.random.default_rng(seed)
    names = chance.choice(np.arange(-3, 100), count, replace=False)
    classes = chance.permutation(np.append(names, chance.choice(names, 40)))
    scores, normal = chance.integers(0, levels, classes.size) / levels, int(names[0])
    found = aurocs_one_vs_one(scores, classes, normal=normal)
    pairs = {int(k): auroc(scores[classes == normal], scores[classes == k]) for k in sorted(names[1:])}
    assert list(found) == list(pairs)
    assert found == pytest.approx(pairs, abs=1e-12)


def test_higher_is_more_anomalous_and_ties_get_half():
    assert aurocs_one_vs_one([0, 0, 1, -1, 0], [4, 4, 1, 2, 3], normal=4) == {1: 1.0, 2: 0.0, 3: 0.5}


def test_classes_are_plain_integers_and_arguments_stay_as_they_are():
    scores, classes = np.array([0.3, 0.1, 0.2]), np.array([1, 0, 1], dtype=np.uint8)
    found = aurocs_one_vs_one(scores, classes, normal=0)
    assert [(type(k), type(v)) for k, v in found.items()] == [(int, float)]
    assert scores.tolist() == [0.3, 0.1, 0.2]
    assert classes.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("scores", "classes", "words"),
    [
        ([1.0, 2.0], [1, 2], r"images of class 0, which is normal.*got classes \[1, 2\]"),
        ([1.0, 2.0], [0, 0], r"of another class: got classes \[0\]"),
        ([1.0], [0, 1], "got 1 and 2"),
        ([1.0, np.nan], [0, 1], "1 NaN or infinite of 2"),
        ([1.0, 2.0], [0.0, 1.0], "integers .* got float64"),
        ([1.0, 2.0], ["a", "b"], "integers .* got <U1"),
        ([1.0, 2.0], [[0, 1]], r"of shape \(1, 2\)"),
    ],
)
def test_bad_input_is_named(scores, classes, words):
    with pytest.raises(InputError, match=words):
        aurocs_one_vs_one(scores, classes, normal=0)
