"""The contrast with a target per task: against its definition, and its level where nothing is aligned."""

import numpy as np
import pytest

from feint.core.errors import InputError, SettingError
from feint.stats.aligned_contrast import aligned_contrast
from feint.stats.cluster_bootstrap import category_contrast

GROUPS = ["a", "a", "b", "c"]
CLUSTERS = [(name, k) for k in range(8) for name in ("x",) for _ in range(3)]
TARGETS = ["a", "b", "c"] * 8


def chance(seed=0):
    return np.random.default_rng(seed)


def study(seed, effect=0.0):
    """Relative AUROCs (4, 24): each cluster has an effect of its own, the target group `effect` on top."""
    generator = chance(seed)
    shared = generator.normal(0, 0.03, (4, 8)).repeat(3, axis=1)
    aligned = np.array([[g == t for t in TARGETS] for g in GROUPS])
    return shared + generator.normal(0, 0.01, (4, 24)) + effect * aligned


def test_it_is_the_mean_of_the_contrasts_of_each_kind_of_task():
    x = study(1, 0.02)
    parts = []
    for target in "abc":
        tasks = [i for i, t in enumerate(TARGETS) if t == target]
        means = {g: np.mean([x[i, tasks].mean() for i in range(4) if GROUPS[i] == g]) for g in "abc"}
        parts.append(means[target] - max(value for g, value in means.items() if g != target))
    found = aligned_contrast(x, GROUPS, TARGETS, CLUSTERS, generator=chance())
    assert found.value == pytest.approx(np.mean(parts))
    assert (found.clusters, found.tasks) == (8, 24)


def test_with_one_target_it_is_the_category_contrast():
    x = study(2)
    one = aligned_contrast(x, GROUPS, ["b"] * 24, CLUSTERS, generator=chance(3))
    other = category_contrast(x, GROUPS, "b", CLUSTERS, generator=chance(3)).interval
    assert one == pytest.approx(other)


def test_nothing_aligned_is_hardly_ever_found_ahead():
    false = sum(aligned_contrast(study(s), GROUPS, TARGETS, CLUSTERS, generator=chance(s)).low > 0 for s in range(200))
    assert false <= 5


def test_a_planted_alignment_is_found():
    found = [aligned_contrast(study(s, 0.1), GROUPS, TARGETS, CLUSTERS, generator=chance(s)).low > 0 for s in range(20)]
    assert sum(found) >= 18


def test_what_does_not_fit_is_named():
    with pytest.raises(SettingError, match="'d'"):
        aligned_contrast(study(0), GROUPS, ["d"] * 24, CLUSTERS, generator=chance())
    with pytest.raises(InputError, match="23"):
        aligned_contrast(study(0), GROUPS, TARGETS[1:], CLUSTERS, generator=chance())
