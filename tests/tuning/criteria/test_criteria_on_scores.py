"""Criteria on scores against definitions written out, and what they are known to do."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata

from feint.tuning.criteria import CRITERIA, Evidence

SCORES = st.lists(st.integers(-3, 3), min_size=2, max_size=9).map(lambda x: np.array(x, dtype=float))


def value(name, **parts):
    return CRITERIA[name].values([Evidence(**parts)], seed=0)[0]


def values(name, pools):
    return CRITERIA[name].values([Evidence(pool=pool) for pool in pools], seed=0)


@given(pool=SCORES, held_out=SCORES)
def test_two_sample_auroc_equals_all_pairs(pool, held_out):
    pairs = [(u > h) + (u == h) / 2 for u in pool for h in held_out]
    assert value("two-sample-auroc", pool=pool, held_out=held_out) == pytest.approx(np.mean(pairs))


@given(pseudo=SCORES, held_out=SCORES)
def test_pseudo_auroc_equals_all_pairs(pseudo, held_out):
    pairs = [(u > h) + (u == h) / 2 for u in pseudo for h in held_out]
    assert value("pseudo-auroc", pseudo=pseudo, held_out=held_out) == pytest.approx(np.mean(pairs))


@given(pool=SCORES, held_out=SCORES)
def test_mean_evidence_equals_its_definition(pool, held_out):
    p = [(1 + sum(h >= u for h in held_out)) / (len(held_out) + 1) for u in pool]
    assert value("mean-evidence", pool=pool, held_out=held_out) == pytest.approx(-np.mean(np.log(p)))


def test_excess_needs_enough_held_out_normals():
    pool = [50.0, 200.0]
    found = [
        CRITERIA[f"excess-{q}"].values([Evidence(pool=pool, held_out=np.arange(m)) for m in sizes], seed=0).tolist()
        for q, sizes in ((95, (18, 19)), (99, (98, 99)))
    ]
    assert np.array_equal(found, [[np.nan, 1.0], [np.nan, 0.5]], equal_nan=True)


def test_variances_equal_their_definition_and_differ_in_scale():
    pool, held_out = np.array([1.0, 4.0, 5.0]), np.array([0.0, 2.0, 4.0])
    S = sum((s - pool.mean()) ** 2 for s in pool) / 3
    assert value("variance", pool=pool) == pytest.approx(S)
    assert value("variance", pool=10 * pool) == pytest.approx(100 * S)
    wanted = S / (8 / 3)
    assert value("standardised-variance", pool=pool, held_out=held_out) == pytest.approx(wanted)
    assert value("standardised-variance", pool=10 * pool + 1, held_out=10 * held_out + 1) == pytest.approx(wanted)


def brute_tau_b(x, y):
    pairs = [(np.sign(a - b), np.sign(c - d)) for (a, c), (b, d) in itertools.combinations(zip(x, y, strict=True), 2)]
    X, Y = np.array(pairs).T
    return (X * Y).sum() / np.sqrt((X**2).sum() * (Y**2).sum())


def test_model_centrality_is_the_mean_tau_with_the_others(seed=0):
    pools = np.random.default_rng(seed).integers(0, 6, size=(4, 15)).astype(float)
    wanted = [np.mean([brute_tau_b(pools[i], pools[j]) for j in range(4) if j != i]) for i in range(4)]
    assert values("model-centrality", pools) == pytest.approx(wanted)
    assert wanted[0] == pytest.approx(np.mean([kendalltau(pools[0], pools[j]).statistic for j in (1, 2, 3)]))


def test_a_setting_listed_twice_lifts_its_own_model_centrality():
    """The known bias: keep one of each."""
    a, b, c = np.random.default_rng(1).normal(size=(3, 40))
    once, twice = values("model-centrality", [a, b, c]), values("model-centrality", [a, b, c, c])
    assert twice[2] > once[2] + 0.3
    assert twice[2] == twice[3]


def power_iteration(W):
    h = np.ones(len(W))
    while True:
        a = W.T @ h
        new = W @ (a / np.linalg.norm(a))
        new /= np.linalg.norm(new)
        if np.abs(new - h).max() < 1e-12:
            return new
        h = new


def test_hits_is_the_limit_of_its_iteration():
    pools = np.random.default_rng(0).integers(0, 9, size=(5, 20)).astype(float)
    W = np.array([1 / rankdata(-pool) for pool in pools])
    assert values("hits", pools) == pytest.approx(power_iteration(W), abs=1e-9)


def test_hits_looks_at_the_top():
    """Two agree on the most anomalous images, two on the most normal ones; ranks from the bottom would prefer those."""
    chance = np.random.default_rng(0)

    def shuffled(scores, kept):
        order = chance.permutation(np.arange(60)[~kept])
        found = scores.copy()
        found[~kept] = scores[order]
        return found

    base = np.arange(60.0)
    top, bottom = base >= 54, base < 30
    found = values("hits", [*(shuffled(base, top) for _ in range(2)), *(shuffled(base, bottom) for _ in range(2))])
    assert found[:2].min() > found[2:].max()


def test_rank_stability_of_identical_and_of_independent_rankings():
    chance = np.random.default_rng(0)
    pool = chance.normal(size=500)
    assert value("rank-stability", pool=pool, again=[np.exp(pool), 3 * pool]) == 1
    for seeds in (1, 4):
        found = [value("rank-stability", pool=chance.normal(size=500), again=chance.normal(size=(seeds, 500)))
                 for _ in range(20)]  # fmt: skip
        assert abs(np.mean(found)) < 0.02
        assert max(map(abs, found)) < 0.15


def test_rank_stability_equals_its_definition():
    s = np.random.default_rng(0).integers(0, 5, size=(3, 12)).astype(float)
    ranks = np.array([rankdata(row) for row in s]) / 12
    wanted = 1 - 12 * np.mean([sum((r - r.mean()) ** 2) / 2 for r in ranks.T])
    assert value("rank-stability", pool=s[0], again=s[1:]) == pytest.approx(wanted)


def test_constant_scores_are_stable_and_agree_with_nobody():
    flat = np.ones(5)
    assert np.isnan(value("rank-stability", pool=flat, again=[flat]))
    found = values("model-centrality", [flat, np.arange(5.0), np.arange(5.0)])
    assert found == pytest.approx([np.nan, 1, 1], nan_ok=True)
