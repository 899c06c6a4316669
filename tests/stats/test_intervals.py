import tracemalloc

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from feint.core.errors import InputError, SettingError
from feint.metrics.roc import auroc, average_precision, confusion
from feint.stats.intervals import METRICS, bootstrap_metrics
from feint.stats.proportions import exact_proportion
from feint.stats.resampling import bootstrap_counts


def images(n, generator, *, share=0.3, shift=1.5):
    labels = np.arange(n) < share * n
    scores = generator.normal(size=n) + shift * labels
    return labels, scores, scores > norm.isf(0.05)


def direct(labels, scores, flagged):
    counts = confusion(labels, flagged)
    return {
        "auroc": auroc(scores[~labels], scores[labels]),
        "average_precision": average_precision(labels, scores),
        "f1": counts.f1,
        "false_alarm_rate": counts.false_alarm_rate,
        "detection_rate": counts.detection_rate,
    }


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_values_equal_the_metrics_themselves_with_and_without_ties(decimals):
    labels, scores, flagged = images(200, np.random.default_rng(0))
    scores = np.round(scores, decimals)
    result = bootstrap_metrics(labels, scores, flagged, seed=0, draws=100)
    assert {name: interval.value for name, interval in result.items()} == pytest.approx(direct(labels, scores, flagged))


def test_intervals_equal_those_of_images_really_drawn_again():
    generator = np.random.default_rng(1)
    labels, scores, flagged = images(60, generator)
    scores = np.round(scores, 1)
    groups = [np.flatnonzero(~labels), np.flatnonzero(labels)]
    drawn = []
    for _ in range(3000):
        rows = np.concatenate([generator.choice(group, group.size) for group in groups])
        drawn.append(list(direct(labels[rows], scores[rows], flagged[rows]).values()))
    expected = np.quantile(drawn, [0.025, 0.975], axis=0)
    spread = np.std(drawn, axis=0)
    result = bootstrap_metrics(labels, scores, flagged, seed=2, draws=3000)
    assert tuple(result)[: len(METRICS)] == METRICS
    for i, interval in enumerate(result[name] for name in METRICS):
        assert abs(interval.low - expected[0, i]) < 0.2 * spread[i]
        assert abs(interval.high - expected[1, i]) < 0.2 * spread[i]


@pytest.mark.parametrize(("count", "total"), [(0, 14), (14, 14), (3, 14), (1, 1), (500, 10_000)])
def test_the_interval_of_a_share_is_that_of_the_exact_binomial_test(count, total):
    low, high = binomtest(count, total).proportion_ci(confidence_level=0.95, method="exact")
    assert exact_proportion(count, total) == pytest.approx((count / total, low, high), abs=1e-9)


@pytest.mark.parametrize(("count", "total"), [(0, 0), (-1, 4), (5, 4)])
def test_what_is_no_share_is_refused(count, total):
    with pytest.raises(InputError, match=f"got {count} of {total}"):
        exact_proportion(count, total)


def test_a_rate_of_nothing_has_an_interval_that_is_not_nothing():
    result = bootstrap_metrics([0] * 14 + [1] * 5, range(19), [0] * 14 + [1] * 5, seed=0, draws=100)
    assert result["false_alarm_rate"] == exact_proportion(0, 14)
    assert result["detection_rate"] == exact_proportion(5, 5)
    assert result["false_alarm_rate"].high > 0.2


def test_intervals_cover_the_truth():
    generator = np.random.default_rng(3)
    truth = {"auroc": norm.cdf(1.5 / 2**0.5), "false_alarm_rate": 0.05, "detection_rate": norm.sf(norm.isf(0.05) - 1.5)}
    repeats = 300
    covered = dict.fromkeys(truth, 0)
    for seed in range(repeats):
        result = bootstrap_metrics(*images(300, generator), seed=seed, draws=200)
        for name, value in truth.items():
            covered[name] += result[name].low <= value <= result[name].high
    assert all(0.90 <= count / repeats <= 0.99 for count in covered.values()), covered


def test_the_seed_decides():
    data = images(50, np.random.default_rng(4))
    assert bootstrap_metrics(*data, seed=1, draws=200) == bootstrap_metrics(*data, seed=1, draws=200)
    assert bootstrap_metrics(*data, seed=1, draws=200) != bootstrap_metrics(*data, seed=2, draws=200)


def test_memory_stays_small_for_many_images():
    data = images(50_000, np.random.default_rng(5))
    tracemalloc.start()
    bootstrap_metrics(*data, seed=0, draws=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6


def test_counts_keep_the_size_of_each_group_across_chunks():
    seen = []
    for chunk, first, second in bootstrap_counts((3000, 7000), draws=250, generator=np.random.default_rng(0)):
        assert (first.sum(axis=1) == 3000).all()
        assert (second.sum(axis=1) == 7000).all()
        seen.extend(range(chunk.start, chunk.stop))
    assert seen == list(range(250))


@pytest.mark.parametrize(
    ("labels", "scores", "flagged", "words"),
    [
        ([0, 0], [1.0, 2.0], [0, 1], "both kinds, 0 and 1: got 2 images that are all 0"),
        ([1, 1], [1.0, 2.0], [0, 1], "all 1"),
        ([0, 1], [1.0], [0, 1], "labels and scores"),
        ([0, 1], [1.0, 2.0], [0], "labels and flagged"),
    ],
)
def test_bad_input_is_named(labels, scores, flagged, words):
    with pytest.raises(InputError, match=words):
        bootstrap_metrics(labels, scores, flagged, seed=0)


def test_too_few_draws_are_refused():
    with pytest.raises(SettingError, match="at least 100"):
        bootstrap_metrics([0, 1], [1.0, 2.0], [0, 1], seed=0, draws=10)
