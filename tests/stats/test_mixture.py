import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from feint.core.errors import InputError
from feint.stats.mixture import mixture_proportion

few_values = st.lists(st.integers(-9, 9), min_size=1, max_size=40)


def by_definition(unlabelled, held_out):
    """Low and high by trying every number of normal images."""
    u, h = np.array(unlabelled), np.sort(held_out)
    m, n = len(h), len(u)
    every = np.arange(n + 1)
    looks = {min(m, max(1, round(part * (m + 1)))) for part in (0.25, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)}
    most = n
    for k in looks:
        below = int((u <= h[k - 1]).sum())
        most = min(most, np.flatnonzero(betabinom.cdf(below, every, k, m + 1 - k) >= 0.025 / len(looks)).max())
    k = max(1, round(0.1 * (m + 1)))
    below = int((u < h[k - 1]).sum())
    possible = (every >= below) & (betabinom.sf(below - 1, every, k, m + 1 - k) >= 0.025)
    fewest = np.flatnonzero(possible).min(initial=n)
    return 1 - most / n, 1 - fewest / n


@settings(deadline=None)
@given(unlabelled=few_values, held_out=few_values)
def test_the_ends_are_those_of_the_definition(unlabelled, held_out):
    found = mixture_proportion(unlabelled, held_out)
    low, high = by_definition(unlabelled, held_out)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(max(high, found.value, 1 / len(unlabelled)))


@given(unlabelled=few_values, held_out=few_values)
def test_the_ends_enclose_the_value_and_only_order_matters(unlabelled, held_out):
    found = mixture_proportion(unlabelled, held_out)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found == mixture_proportion(np.exp(np.divide(unlabelled, 9)), np.exp(np.divide(held_out, 9)))


def test_a_pool_of_anomalies_alone_and_a_pool_of_none():
    generator = np.random.default_rng(0)
    held_out = generator.normal(size=400)
    alone = mixture_proportion(generator.normal(9.0, size=300), held_out)
    assert alone.low > 0.98
    assert alone.high == 1.0
    none = mixture_proportion(generator.normal(size=300), held_out)
    assert none.low == 0
    assert none.value < 0.1


def test_the_candidate_that_sees_the_anomalies_decides():
    generator = np.random.default_rng(1)
    held_out, pool = generator.normal(size=(3, 300)), generator.normal(size=(3, 500))
    pool[1, :150] += 4.0
    alone, together = mixture_proportion(pool[1], held_out[1]), mixture_proportion(pool, held_out)
    assert 0.2 < together.low <= alone.low <= 0.3
    assert together.high == alone.high
    assert mixture_proportion(pool[::2], held_out[::2]).low < 0.05


@pytest.mark.parametrize(
    ("unlabelled", "held_out", "words"),
    [
        ([1.0, float("nan")], [1.0], "unlabelled scores must be finite"),
        ([1.0], [], "held-out scores must have shape"),
        ([[1.0], [2.0]], [[1.0]], "must belong to the same images: got 1 and 2"),
    ],
)
def test_bad_input_is_named(unlabelled, held_out, words):
    with pytest.raises(InputError, match=words):
        mixture_proportion(unlabelled, held_out)
