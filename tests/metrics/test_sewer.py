import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, fbeta_score

from feint.core.errors import InputError
from feint.metrics.sewer import CLASS_IMPORTANCE, CODES, f1_normal, f2_ciw, f2_per_code

WEIGHTS = np.array(list(CLASS_IMPORTANCE.values()))


def drawn(seed, n=60, share=0.2):
    rng = np.random.default_rng(seed)
    return (rng.random((n, 17)) < share).astype(int), rng.random((n, 17))


def test_the_codes_and_the_sum_of_their_weights():
    assert " ".join(CODES) == "RB OB PF DE FS IS RO IN AF BE FO GR PH PB OS OP OK"
    assert pytest.approx(37.1975) == WEIGHTS.sum()


def test_precision_one_half_and_recall_four_fifths():
    y, p = np.zeros((2, 12, 17), int)
    y[:5, 0] = 1
    p[1:9, 0] = 1  # four hits, four false alarms, one miss
    assert f2_per_code(y, p)[0] == pytest.approx(0.7142857, abs=1e-7)
    assert f2_per_code(y, p)[1:].tolist() == [0] * 16


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.02, 0.2, 0.6]))
def test_f2_is_that_of_scikit_learn(seed, share):
    y, p = drawn(seed, share=share)
    expected = fbeta_score(y, p >= 0.5, beta=2, average=None, zero_division=0)
    np.testing.assert_allclose(f2_per_code(y, p), expected, atol=1e-12)
    assert f2_ciw(y, p) == pytest.approx(np.average(expected, weights=WEIGHTS))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_f1_of_the_normal_images_is_that_of_scikit_learn(seed):
    y, p = drawn(seed, share=0.03)
    p = p**0.1 * (p > 0.9)
    expected = f1_score(~y.any(axis=1), ~(p >= 0.5).any(axis=1), zero_division=0)
    assert f1_normal(y, p) == pytest.approx(expected)
    assert f1_normal(y.any(axis=1), p.max(axis=1)) == pytest.approx(expected)


def test_the_scale_of_the_weights_does_not_matter():
    y, p = drawn(0)
    assert f2_ciw(y, p, weights=WEIGHTS / 5.55) == pytest.approx(f2_ciw(y, p), abs=1e-12)
    assert f2_ciw(y, p, weights=np.ones(17)) != pytest.approx(f2_ciw(y, p), abs=1e-6)


def test_perfect_predictions_and_none():
    y = np.vstack([np.eye(17, dtype=int), np.zeros((3, 17), int)])
    assert f2_ciw(y, y) == 1
    assert f1_normal(y, y) == 1
    assert f2_ciw(y, np.zeros_like(y)) == 0
    assert f1_normal(y, np.ones_like(y)) == 0


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        (np.zeros((3, 16)), np.zeros((3, 16)), r"labels must have shape \(images, 17\).*got \(3, 16\)"),
        (np.zeros((3, 17)), np.zeros((2, 17)), "got 3 and 2"),
        (np.full((3, 17), 2), np.zeros((3, 17)), r"0 or 1: got \[2\]"),
        (np.zeros((3, 17)), np.full((3, 17), -3.0), "sigmoid"),
        (np.zeros((3, 17)), np.full((3, 17), np.nan), "sigmoid"),
        (np.zeros((0, 17)), np.zeros((0, 17)), "at least one image"),
    ],
)
def test_what_is_no_prediction(labels, predictions, message):
    with pytest.raises(InputError, match=message):
        f2_ciw(labels, predictions)


def test_binary_labels_want_binary_predictions():
    with pytest.raises(InputError, match=r"predictions must have shape \(images,\)"):
        f1_normal([0, 1], np.zeros((2, 17)))


@pytest.mark.parametrize("weights", [np.ones(16), np.zeros(17), np.full(17, np.nan)])
def test_weights_that_are_none(weights):
    with pytest.raises(InputError, match="17 positive numbers"):
        f2_ciw(*drawn(0), weights=weights)
