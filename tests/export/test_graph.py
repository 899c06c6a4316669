"""The graph itself, in torch: what the saved model says, for any batch, calibration, rate and number of members."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import pictures

import feint
from feint.calibration.conformal import p_values
from feint.calibration.decision import decide
from feint.detectors.neighbours import Bank
from feint.export.graph import Graph, Judge, static


@pytest.mark.parametrize("which", ["finished", "cross_fitted"])
def test_it_says_what_the_run_says(which, request, pixels):
    model = feint.Run(request.getfixturevalue(which).path).model
    assert len(model.members) == {"finished": 1, "cross_fitted": 5}[which]
    score, label, maps, p = Graph(model)(torch.from_numpy(pixels))
    expected = model.judge([each.scores(pixels) for each in model.members])
    np.testing.assert_allclose(score, expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(p, expected[1], rtol=1e-6)
    np.testing.assert_array_equal(label, expected[2])
    np.testing.assert_allclose(maps, model.members[0].maps(pixels), rtol=1e-4, atol=1e-4)


def judged(calibration, scores, *, mode, rate):
    """Return labels and p-values of scores against one member's calibration."""
    judge = Judge([np.asarray(calibration, dtype=np.float64)], mode=mode, rate=rate)
    return judge([torch.tensor(scores, dtype=torch.float32)])[1:]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=20, max_size=60),
    st.lists(st.integers(0, 80), min_size=1, max_size=30),
    st.sampled_from([0.05, 0.1, 0.2, 0.29, 0.5]),
    st.sampled_from(["false_alarm_rate", "fdr"]),
)
def test_labels_are_the_decisions_of_calibration(calibration, scores, rate, mode):
    label, p = judged(calibration, scores, mode=mode, rate=rate)
    expected = p_values(calibration, scores)
    np.testing.assert_allclose(p, expected, rtol=1e-6)
    np.testing.assert_array_equal(label, decide(expected, **{mode: rate}))


@pytest.mark.parametrize("away", [-3e-6, 0.0, 3e-6])
def test_a_calibration_image_ties_with_itself_though_a_runtime_rounds_otherwise(away):
    calibration = np.linspace(-2, 5, 99)
    _, p = judged(calibration, calibration + away, mode="fdr", rate=0.1)
    np.testing.assert_allclose(p, (100 - np.arange(99)) / 100, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 99])
def test_neighbours_without_chunks_are_the_same(k):
    chance = torch.Generator().manual_seed(0)
    bank = Bank(torch.randint(256, (50, 7), generator=chance, dtype=torch.uint8), k=k)
    queries = torch.rand(9, 7, generator=chance)
    torch.testing.assert_close(static(bank)(queries), bank(queries))
    for found, expected in zip(static(bank).nearest(queries, k), bank.nearest(queries, k), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_model_is_left_as_it_was(finished):
    model = feint.Run(finished.path).model
    scorer = model.members[0].scorer
    before = {name: value.clone() for name, value in scorer.state_dict().items()}
    kinds = [type(each) for each in scorer.modules()]
    Graph(model)(torch.from_numpy(pictures(range(2))[:, None]))
    assert kinds == [type(each) for each in scorer.modules()]
    assert all(torch.equal(value, before[name]) for name, value in scorer.state_dict().items())
