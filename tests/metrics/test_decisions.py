"""Metrics of decisions against scikit-learn and their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_curve

from feint.core.errors import InputError, SettingError
from feint.metrics.decisions import balanced_accuracy, corrected_logits, f1, prevalence, recall_at

both = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=1, max_size=30).map(
    lambda pairs: ([0, 1, *(label for label, _ in pairs)], [0.5, -0.5, *(logit for _, logit in pairs)])
)


@settings(deadline=None)
@given(both)
def test_f1_and_balanced_accuracy_are_those_of_scikit_learn_at_even_odds(data):
    labels, logits = data
    flagged = np.array(logits) > 0
    assert f1(labels, logits) == pytest.approx(f1_score(labels, flagged))
    assert balanced_accuracy(labels, logits) == pytest.approx(balanced_accuracy_score(labels, flagged))


@settings(deadline=None)
@given(both, st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0]))
def test_recall_is_the_best_point_of_the_roc_curve_within_the_rate(data, rate):
    labels, scores = data
    false_alarms, recall, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert recall_at(labels, scores, false_alarm_rate=rate) == pytest.approx(recall[false_alarms <= rate + 1e-12].max())


def test_five_percent_of_a_hundred_normal_images_are_five():
    scores = np.arange(100.0)
    labels = np.r_[np.zeros(100), np.ones(4)]
    assert recall_at(labels, np.r_[scores, 93.5, 94.0, 94.5, 99.5]) == 0.5


@settings(deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_correction_is_that_of_bayes(p, learned, met):
    odds = p / (1 - p) * (met / learned) / ((1 - met) / (1 - learned))
    assert corrected_logits([np.log(p / (1 - p))], learned=learned, met=met)[0] == pytest.approx(np.log(odds), abs=1e-9)


@settings(deadline=None)
@given(both)
def test_prevalence_is_the_average_precision_of_constant_scores(data):
    labels, _ = data
    assert prevalence(labels) == pytest.approx(average_precision_score(labels, np.zeros(len(labels))))


def test_one_class_alone_is_refused():
    with pytest.raises(InputError, match="F1 needs at least one anomalous image: got labels that are all 0"):
        f1([0, 0], [1.0, 2.0])
    assert f1([1, 1], [1.0, -2.0]) == pytest.approx(2 / 3)
    for metric in (balanced_accuracy, recall_at):
        for label in (0, 1):
            with pytest.raises(InputError, match=f"both classes: got labels that are all {label}"):
                metric([label] * 2, [1.0, 2.0])


def test_impossible_rates_are_refused():
    with pytest.raises(SettingError, match="got 1.5"):
        recall_at([0, 1], [0.0, 1.0], false_alarm_rate=1.5)
    for learned, met in ((0.0, 0.5), (0.5, 1.0)):
        with pytest.raises(SettingError, match="must lie between 0 and 1"):
            corrected_logits([0.0], learned=learned, met=met)
