import tracemalloc

import numpy as np
import pytest

from feint.core.errors import InputError, UnsupportedRateError
from feint.core.streams import numpy_stream
from feint.metrics.two_sample import MEAN_EVIDENCE, TWO_SAMPLE_AUROC, excess_above
from feint.stats.delong import delong
from feint.stats.paired_bootstrap import compare
from feint.stats.resampling import bootstrap_counts

CRITERIA = [TWO_SAMPLE_AUROC, MEAN_EVIDENCE, excess_above(0.9)]
by_name = pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.name)


def candidates(generator, n, shift=(0.0, 0.0, 0.0), share=0.0):
    shared = generator.normal(size=n)
    return shared + generator.normal(size=(len(shift), n)) + np.outer(shift, np.arange(n) < share * n)


@by_name
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_each_draw_equals_the_criterion_of_images_really_repeated(criterion, decimals):
    generator = np.random.default_rng(0)
    h = np.round(candidates(generator, 25), decimals)
    u = np.round(candidates(generator, 40, (0, 1, 2), 0.5), decimals)
    comparison = compare(h, u, criterion=criterion, seed=3, draws=100)
    _, H, U = next(iter(bootstrap_counts((25, 40), draws=100, generator=numpy_stream(3, "paired_bootstrap"))))
    for b in range(100):
        for c in range(3):
            repeated = criterion(np.repeat(u[c], U[b]), np.repeat(h[c], H[b]))
            assert comparison.draws[b, c] == pytest.approx(repeated, abs=1e-12)
    assert comparison.values.tolist() == [criterion(u[c], h[c]) for c in range(3)]


@by_name
def test_the_images_of_a_draw_are_the_same_for_all_candidates(criterion):
    generator = np.random.default_rng(1)
    h, u = candidates(generator, 50), candidates(generator, 80)
    twins = compare(np.vstack([h, 7 + 3 * h]), np.vstack([u, 7 + 3 * u]), criterion=criterion, seed=0, draws=200)
    np.testing.assert_array_equal(twins.draws[:, :3], twins.draws[:, 3:])
    assert twins.gap(0, 3) == (0.0, 0.0, 0.0)


def test_spread_of_the_auroc_gap_agrees_with_delong():
    generator = np.random.default_rng(2)
    h, u = candidates(generator, 200), candidates(generator, 300, (0, 1, 2), 0.3)
    comparison, exact = compare(h, u, criterion=TWO_SAMPLE_AUROC, seed=0, draws=2000), delong(h, u)
    np.testing.assert_allclose(comparison.values, exact.aurocs)
    for pair in ((0, 1), (2, 1), (2, 0)):
        np.testing.assert_allclose(comparison.gap(*pair), exact.gap(*pair), atol=0.006)
    np.testing.assert_allclose(comparison.estimate(2), exact.estimate(2), atol=0.006)


@by_name
def test_equal_candidates_are_rarely_told_apart(criterion):
    generator = np.random.default_rng(4)
    repeats = 300
    apart = 0
    for seed in range(repeats):
        h, u = candidates(generator, 60, (1, 1), 0), candidates(generator, 120, (1, 1), 0.2)
        gap = compare(h, u, criterion=criterion, seed=seed, draws=200).gap(0, 1)
        apart += gap.low > 0 or gap.high < 0
    assert apart / repeats < 0.10


@by_name
def test_a_clearly_better_candidate_is_best_with_a_gap_above_zero(criterion):
    generator = np.random.default_rng(5)
    h, u = candidates(generator, 240), candidates(generator, 600, (0, 4, 1), 0.2)
    comparison = compare(h, u, criterion=criterion, seed=0)
    assert comparison.best == 1
    assert comparison.gap(1, 0).low > 0
    assert comparison.gap(0, 1).high < 0
    low, high = comparison.estimate(1)[1:]
    assert low < comparison.values[1] < high


def test_memory_stays_small():
    generator = np.random.default_rng(6)
    h, u = generator.normal(size=(40, 240)), generator.normal(size=(40, 1000))
    tracemalloc.start()
    compare(h, u, criterion=MEAN_EVIDENCE, seed=0, draws=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_bad_input_is_named():
    scores = np.zeros((2, 10))
    with pytest.raises(InputError, match="got 2 and 1"):
        compare(scores, scores[:1], criterion=MEAN_EVIDENCE, seed=0)
    with pytest.raises(InputError, match="unlabelled scores must be finite: got 20 NaN"):
        compare(scores, scores * np.nan, criterion=MEAN_EVIDENCE, seed=0)
    with pytest.raises(UnsupportedRateError, match="at least 19 held-out normal images: got 10"):
        compare(scores, scores, criterion=excess_above(0.95), seed=0)
