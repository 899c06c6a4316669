import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from feint.core.errors import InputError
from feint.metrics.roc import auroc, average_precision, confusion

tied_scores = arrays(np.int64, st.integers(1, 25), elements=st.integers(-4, 4))


@given(normal=tied_scores, anomalous=tied_scores)
def test_auroc_equals_the_mean_over_all_pairs(normal, anomalous):
    higher = (anomalous[:, None] > normal[None, :]).mean()
    equal = (anomalous[:, None] == normal[None, :]).mean()
    assert auroc(normal, anomalous) == pytest.approx(higher + equal / 2, abs=1e-12)


@given(normal=tied_scores, anomalous=tied_scores)
def test_auroc_is_unchanged_by_increasing_maps_and_mirrored_by_decreasing_ones(normal, anomalous):
    value = auroc(normal, anomalous)
    assert auroc(np.exp(normal) + 3, np.exp(anomalous) + 3) == value
    assert auroc(-normal, -anomalous) == pytest.approx(1 - value, abs=1e-12)


def test_auroc_of_separated_scores_is_one_and_higher_means_more_anomalous():
    assert auroc([0, 1], [2, 3]) == 1.0
    assert auroc([2, 3], [0, 1]) == 0.0


@given(st.integers(0, 2**32 - 1))
def test_auroc_and_average_precision_equal_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    labels = np.append(generator.random(40) < 0.3, [False, True])
    scores = np.round(generator.normal(size=42) + labels, 1)
    assert auroc(scores[~labels], scores[labels]) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


def test_average_precision_does_not_depend_on_the_order_of_tied_images():
    assert average_precision([1, 0, 0, 0], [1, 1, 1, 1]) == average_precision([0, 0, 0, 1], [1, 1, 1, 1]) == 0.25


def test_confusion_counts_and_rates():
    result = confusion([0, 0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 1, 1, 0])
    assert (result.true_alarms, result.false_alarms, result.misses, result.true_rests) == (2, 1, 1, 3)
    assert (result.f1, result.false_alarm_rate, result.detection_rate) == (2 / 3, 1 / 4, 2 / 3)


def test_a_rate_with_nothing_to_divide_by_is_nan():
    result = confusion([0, 0], [0, 0])
    assert math.isnan(result.detection_rate)
    assert math.isnan(result.f1)
    assert result.false_alarm_rate == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: auroc([], [1.0]), r"normal scores .* \(0,\)"),
        (lambda: auroc([[1.0]], [1.0]), r"\(1, 1\)"),
        (lambda: auroc([1.0, math.nan], [1.0]), "1 NaN or infinite of 2"),
        (lambda: auroc([1.0], [math.inf]), "anomalous scores must be finite"),
        (lambda: average_precision([0, 0], [1.0, 2.0]), "at least one anomalous"),
        (lambda: average_precision([0, -1, 1], [1.0, 2.0, 3.0]), r"0 \(normal\) or 1 \(anomalous\): got \[-1\]"),
        (lambda: average_precision([0, 1], [1.0, 2.0, 3.0]), "got 2 and 3"),
        (lambda: confusion([0, 1], [0]), "got 2 and 1"),
        (lambda: confusion([[0, 1]], [0, 1]), "at least one label"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
