"""Pseudo-anomalies as judges: what can be told apart scores high, what cannot is at chance."""

import numpy as np
import pytest

from feint.core.errors import InputError
from feint.embeddings.pseudo import pseudo_neighbours, pseudo_probe


def embeddings(seed: int = 0, n: int = 400, d: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("judge", [pseudo_probe, pseudo_neighbours])
def test_embeddings_that_change_much_are_told_apart(judge):
    z = embeddings()
    assert judge(z + 6 * np.eye(8)[0], z + 6 * np.eye(8)[1], seed=0) > 0.95


@pytest.mark.parametrize("judge", [pseudo_probe, pseudo_neighbours])
def test_embeddings_that_forget_the_change_are_at_chance(judge):
    found = [judge(embeddings(seed), embeddings(100 + seed), seed=seed) for seed in range(8)]
    assert abs(np.mean(found) - 0.5) < 0.03


def test_the_probe_sees_a_direction_that_distances_drown():
    z = embeddings(d=32)
    z[:, 0] *= 0.01
    pseudo = z.copy()
    pseudo[:, 0] += 0.05
    assert pseudo_probe(z, pseudo, seed=0) > 0.9
    assert pseudo_neighbours(z, pseudo, seed=0) < 0.6


def test_images_that_fit_the_probe_are_not_those_it_is_judged_on():
    """Noise in as many directions as images: a probe judged on its own images would tell them apart perfectly."""
    assert 0.3 < pseudo_probe(embeddings(1, n=60, d=200), embeddings(2, n=60, d=200), seed=0) < 0.7


@pytest.mark.parametrize("judge", [pseudo_probe, pseudo_neighbours])
def test_what_cannot_be_judged_is_refused(judge):
    with pytest.raises(InputError, match="at least 10 images"):
        judge(embeddings(n=8), embeddings(n=8), seed=0)
    with pytest.raises(InputError, match="embedding of one pseudo-anomaly"):
        judge(embeddings(), embeddings(d=9), seed=0)
    with pytest.raises(InputError, match="finite"):
        judge(embeddings() * np.nan, embeddings(), seed=0)


@pytest.mark.parametrize("judge", [pseudo_probe, pseudo_neighbours])
def test_the_same_seed_gives_the_same_number_and_inputs_stay(judge):
    z, pseudo = embeddings(), embeddings(1) + 1
    kept = z.copy(), pseudo.copy()
    assert judge(z, pseudo, seed=3) == judge(z, pseudo, seed=3)
    assert (z == kept[0]).all()
    assert (pseudo == kept[1]).all()
