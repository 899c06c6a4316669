import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feint.stats.holm import holm

ps = st.lists(st.floats(0, 1) | st.just(0.01), min_size=1, max_size=12)


@given(ps, st.floats(0.001, 0.999))
def test_it_claims_what_stepping_down_claims(p, alpha):
    """The definition: reject p_(1), p_(2), ... while p_(k) <= alpha / (m - k + 1)."""
    order = np.argsort(p, kind="stable")
    thresholds = [p[i] * (len(p) - k) for k, i in enumerate(order)]
    stop = next((k for k, value in enumerate(thresholds) if value > alpha), len(p))
    adjusted = holm(p)
    assert {i for i in range(len(p)) if adjusted[i] <= alpha} == set(order[:stop].tolist())


@given(ps)
def test_it_is_never_below_p_nor_above_bonferroni_and_keeps_the_order(p):
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p))).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_missing_questions_do_not_count():
    matrix = np.array([[np.nan, 0.01], [0.99, np.nan]])
    np.testing.assert_array_equal(holm(matrix), [[np.nan, 0.02], [0.99, np.nan]])
    assert np.isnan(holm([np.nan])).all()
