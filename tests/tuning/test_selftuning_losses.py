"""The losses of the ablation: their formulas, and that the tuner follows the one it is given."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_tuning import CUTDIFF_AT, NORMAL, POOL, TINY

from feint.augmentations import CutDiff
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.tuning.alignment import mean_distance, total_distance_normalisation
from feint.tuning.losses import LOSSES, LossName, squared_mmd
from feint.tuning.selftuning import _Start

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7))


def embeddings(n, seed, d=3):
    return torch.randn(n, d, generator=stream(seed, "embeddings"), dtype=torch.float64)


@given(sizes=SIZES, d=st.integers(1, 5), seed=st.integers(0, 99))
def test_mmd_equals_its_definition_and_is_never_negative(sizes, d, seed):
    x, y = embeddings(sizes[0], seed, d), embeddings(sizes[1], seed + 1000, d) + 0.5

    def mean_kernel(a, b):
        return sum(torch.exp(-((p - q) ** 2).sum() / 2) for p in a for q in b) / (len(a) * len(b))

    wanted = mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)
    assert float(squared_mmd(x, y)) == pytest.approx(float(wanted), abs=1e-12)
    assert squared_mmd(x, y) >= 0


@given(n=st.integers(1, 8), seed=st.integers(0, 99))
def test_mmd_of_equal_sets_is_zero_in_any_order(n, seed):
    x = embeddings(n, seed)
    assert float(squared_mmd(x, x.flip(0))) == pytest.approx(0, abs=1e-14)


def test_mmd_tells_a_shift():
    x = embeddings(50, 0)
    values = [float(squared_mmd(x, x + shift)) for shift in (0.0, 0.3, 1.0, 3.0)]
    assert values == sorted(values)
    assert values[-1] > 0.3


@pytest.mark.parametrize("name", get_args(LossName))
def test_only_normalised_losses_do_not_see_scale_and_shift(name):
    sets = [embeddings(5, 1), embeddings(4, 2) + 1, embeddings(6, 3)]
    moved = [3 * z + 7 for z in sets]
    same = torch.allclose(LOSSES[name](*sets), LOSSES[name](*moved))
    assert same == (name in {"mean-distance", "mmd-normalised"})


def test_the_losses_are_made_of_their_parts():
    sets = embeddings(5, 1), embeddings(4, 2) + 1, embeddings(6, 3)
    normal, pseudo, pool = total_distance_normalisation(*sets)
    assert LOSSES["mean-distance"](*sets) == mean_distance(normal, pseudo, pool)
    assert LOSSES["mean-distance-raw"](*sets) == mean_distance(*sets)
    assert LOSSES["mmd"](*sets) == squared_mmd(torch.cat(sets[:2]), sets[2])
    assert LOSSES["mmd-normalised"](*sets) == squared_mmd(torch.cat([normal, pseudo]), pool)


@pytest.mark.parametrize("name", get_args(LossName))
def test_every_loss_has_a_gradient(name):
    sets = [z.requires_grad_() for z in (embeddings(5, 1), embeddings(4, 2) + 1, embeddings(6, 3))]
    assert torch.autograd.gradcheck(LOSSES[name], sets)


def path(recipe):
    lines = []
    recipe.run(NORMAL, POOL, augmentation=CutDiff(), start=CUTDIFF_AT, seed=0, log=lambda *x: lines.append(x))
    return lines


def test_each_loss_takes_a_path_of_its_own():
    found = [path(replace(TINY, updates=2, loss=name)) for name in get_args(LossName)]
    assert all(torch.tensor([line[1] for line in lines]).isfinite().all() for lines in found)
    assert len({str(lines) for lines in found}) == len(found)


class Detached:
    """CutDiff whose pseudo-anomalies carry no gradient to its magnitudes: the trap of a public code."""

    def __init__(self):
        self.inside = CutDiff()

    def __getattr__(self, name):
        return getattr(self.inside, name)

    def apply(self, images, noise, magnitudes):
        with torch.no_grad():
            return self.inside.apply(images, noise, magnitudes)


def test_pseudo_anomalies_without_a_gradient_are_refused():
    rho = CutDiff().free(CUTDIFF_AT)
    assert _Start(TINY, NORMAL, POOL, CutDiff(), seed=0).hypergradient(rho).gradient.abs().max() > 0
    with pytest.raises(SettingError, match="passes no gradient"):
        _Start(TINY, NORMAL, POOL, Detached(), seed=0).hypergradient(rho)
