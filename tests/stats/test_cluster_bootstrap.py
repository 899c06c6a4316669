import numpy as np
import pytest
from scipy.stats import norm

from feint.core.errors import InputError, SettingError
from feint.stats.cluster_bootstrap import best_arm_contrast, category_contrast, cluster_mean
from feint.stats.clusters import Clusters, cluster_means

CATEGORIES = ["none", "geometric", "geometric", "local", "local", "color"]


def rng(seed=0):
    return np.random.default_rng(seed)


def grouped(generator, clusters, each, shared=0.02, own=0.02):
    labels = np.repeat(np.arange(clusters), each)
    return generator.normal(0, shared, clusters)[labels] + generator.normal(0, own, labels.size), labels


def test_intervals_equal_those_of_tasks_really_drawn_again():
    labels = np.array(["b", "a", "a", "c", "c", "c", "d", "d"])
    values = rng(1).normal(size=8)
    result = cluster_mean(values, labels, draws=500, generator=rng(2))
    index = np.array([0, 1, 1, 2, 2, 2, 3, 3])
    clusters = Clusters.of(labels, 8)
    drawn = [np.repeat(values, row.astype(int)[index]).mean() for row in clusters.draws(500, rng(2))]
    low, high = clusters.ends(np.array(drawn))
    assert result == pytest.approx((values.mean(), low, high, 4, 8))


def test_draws_take_clusters_with_replacement():
    counts = Clusters.of("abcd", 4).draws(20_000, rng(3))
    assert (counts.sum(axis=1) == 4).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.03)
    np.testing.assert_allclose(counts.var(axis=0), 0.75, atol=0.03)


@pytest.mark.parametrize("clusters", [8, 20])
def test_intervals_cover_the_truth_when_tasks_share_a_model(clusters):
    generator, studies = rng(clusters), 300
    covered = ignoring = plain = 0
    for _ in range(studies):
        values, labels = grouped(generator, clusters, 6)
        result = cluster_mean(values, labels, draws=400, generator=generator)
        naive = cluster_mean(values, range(values.size), draws=400, generator=generator)
        covered += result.low <= 0 <= result.high
        ignoring += naive.low <= 0 <= naive.high
        groups = Clusters.of(labels, labels.size)
        means = groups.draws(400, generator) @ cluster_means(values[None], labels)[0] / clusters
        low, high = np.quantile(means, [0.025, 0.975])
        plain += low <= 0 <= high
    assert 0.91 <= covered / studies <= 0.98
    assert ignoring / studies < 0.8
    assert plain < covered


def test_labels_may_be_pairs():
    pairs = [("mnist", "2"), ("mnist", "2"), ("cifar10", "2"), ("mnist", "6")]
    assert Clusters.of(pairs, 4).index.tolist() == [0, 0, 1, 2]
    assert cluster_means([[1.0, 3.0, 5.0, 7.0]], pairs).tolist() == [[2.0, 5.0, 7.0]]


@pytest.mark.parametrize(("clusters", "trusted"), [(4, False), (5, True)])
def test_few_clusters_are_not_to_be_trusted(clusters, trusted):
    values, labels = grouped(rng(4), clusters, 3)
    assert cluster_mean(values, labels, generator=rng()).trusted is trusted


def test_the_fewer_clusters_the_wider_the_percentiles():
    """Hesterberg (2015): the tail in which the normal law holds t sqrt(K / (K - 1)); t from a printed table."""
    evenly = np.linspace(0, 1, 100_001)
    for K, quantile in [(5, 2.776), (10, 2.262), (41, 2.021)]:
        low, high = Clusters.of(range(K), K).ends(evenly)
        assert low == pytest.approx(norm.sf(quantile * (K / (K - 1)) ** 0.5), rel=0.01)
        assert low + high == pytest.approx(1)


def test_one_cluster_has_no_interval():
    result = cluster_mean([0.1, 0.2], "aa", generator=rng())
    assert result.value == pytest.approx(0.15)
    assert np.isnan([result.low, result.high]).all()


def test_a_contrast_equals_its_definition():
    values, labels = rng(5).normal(size=(6, 12)), np.repeat(np.arange(4), 3)
    means = values.mean(axis=1)
    mean = category_contrast(values, CATEGORIES, "geometric", labels, generator=rng(6))
    others = {"none": means[0], "local": means[3:5].mean(), "color": means[5]}
    assert mean.interval.value == pytest.approx(means[1:3].mean() - max(others.values()))
    assert mean.rival == max(others, key=others.get)
    best = best_arm_contrast(values, CATEGORIES, "geometric", labels, generator=rng(6))
    assert best.interval.value == pytest.approx(means[1:3].max() - means[[0, 3, 4, 5]].max())


def test_the_rival_is_chosen_anew_in_each_draw():
    values, labels = rng(7).normal(size=(6, 12)), np.repeat(np.arange(6), 2)
    result = category_contrast(values, CATEGORIES, "local", labels, draws=300, generator=rng(8))
    clusters = Clusters.of(labels, 12)
    drawn = []
    for row in clusters.draws(300, rng(8)):
        means = np.repeat(values, row.astype(int)[labels], axis=1).mean(axis=1)
        drawn.append(means[3:5].mean() - max(means[0], means[1:3].mean(), means[5]))
    assert result.interval[1:3] == pytest.approx([float(end) for end in clusters.ends(np.array(drawn))])
    assert result.ranked_first == np.mean(np.array(drawn) > 0)


def test_against_one_other_category_it_is_the_mean_of_the_difference():
    values, labels = rng(9).normal(size=(2, 20)), np.repeat(np.arange(5), 4)
    contrast = category_contrast(values, ["a", "b"], "a", labels, generator=rng(10)).interval
    assert contrast == pytest.approx(cluster_mean(values[0] - values[1], labels, generator=rng(10)))


def simulated(generator, gains, clusters=12):
    return np.stack([gain + grouped(generator, clusters, 4)[0] for gain in gains]), np.repeat(np.arange(clusters), 4)


@pytest.mark.parametrize("contrast", [category_contrast, best_arm_contrast])
def test_equal_categories_are_rarely_said_to_be_first(contrast):
    generator, studies = rng(11), 400
    claims = 0
    for _ in range(studies):
        values, labels = simulated(generator, [0, 0, 0, 0, 0, 0])
        claims += contrast(values, CATEGORIES, "geometric", labels, draws=400, generator=generator).interval.low > 0
    assert claims / studies < 0.025 + 2.5 * (0.025 * 0.975 / studies) ** 0.5


def test_a_better_category_is_found_and_its_lead_covered():
    generator, studies = rng(12), 200
    found = covered = 0
    for _ in range(studies):
        values, labels = simulated(generator, [0.0, 0.06, 0.06, 0.03, 0.03, 0.0])
        result = category_contrast(values, CATEGORIES, "geometric", labels, draws=400, generator=generator)
        found += result.interval.low > 0
        covered += result.interval.low <= 0.03 <= result.interval.high
    assert found / studies > 0.9
    assert 0.90 <= covered / studies <= 0.985


@pytest.mark.parametrize("contrast", [category_contrast, best_arm_contrast])
def test_bad_categories_are_named(contrast):
    values, labels = np.zeros((2, 4)), "aabb"
    with pytest.raises(InputError, match="one per arm: got 3 for 2 arms"):
        contrast(values, ["x", "y", "z"], "x", labels, generator=rng())
    with pytest.raises(SettingError, match="some arms but not of all: got 'z'"):
        contrast(values, ["x", "y"], "z", labels, generator=rng())
    with pytest.raises(SettingError, match="some arms but not of all: got 'x'"):
        contrast(values, ["x", "x"], "x", labels, generator=rng())


@pytest.mark.parametrize(
    ("values", "labels", "draws", "error", "words"),
    [
        ([], [], 200, InputError, "at least one task"),
        ([[0.1]], ["a"], 200, InputError, r"shape \(tasks,\)"),
        ([0.1, np.inf], "ab", 200, InputError, "1 of 2 tasks lack one"),
        ([0.1, 0.2], "a", 200, InputError, "got 1 labels for 2 tasks"),
        ([0.1, 0.2], "ab", 99, SettingError, "draws must be at least 100"),
    ],
)
def test_bad_tasks_are_named(values, labels, draws, error, words):
    with pytest.raises(error, match=words):
        cluster_mean(values, labels, draws=draws, generator=rng())
