"""Cross-fitting: who scores whom, and that a pool without anomalies looks like one."""

from dataclasses import dataclass
from statistics import fmean, stdev

import pytest
import torch

from feint.core.detector import PoolDetector, Scorer, as_unit
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import stream
from feint.detectors import PoolClassifier, PoolProbe
from feint.detectors.cross_fitting import cross_fitted
from feint.metrics.two_sample import two_sample_auroc

SIDE = 12


class Memory(Scorer):
    """Scores 1,000 what it was fitted on, and anything else by its brightness."""

    def __init__(self, normals, unlabelled):
        super().__init__(1, (SIDE, SIDE))
        self.seen = torch.cat([as_unit(normals), as_unit(unlabelled)]).flatten(1)
        self.unlabelled = len(unlabelled)

    def _scores(self, images):
        known = (torch.cdist(images.flatten(1), self.seen) < 1e-4).any(1)
        return torch.where(known, 1000.0, images.mean((1, 2, 3)))

    def _maps(self, images):
        return images[:, 0]


@dataclass(frozen=True, kw_only=True)
class Memorising(PoolDetector[Memory]):
    def _fit(self, normals, unlabelled, seed, log):
        return Memory(normals, unlabelled)


@dataclass(frozen=True, kw_only=True)
class Indifferent(PoolDetector[Memory]):
    def _fit(self, normals, unlabelled, seed, log):
        scorer = Memory(normals, unlabelled)
        scorer._scores = lambda images: torch.full((len(images),), 0.25)
        return scorer


def textures(n, *names):
    """Return n random textures (n, 1, 12, 12), uint8."""
    noise = torch.rand(n, 1, SIDE, SIDE, generator=stream(0, "textures", *names))
    return (torch.nn.functional.avg_pool2d(noise, 3, 1, 1) * 255).to(torch.uint8)


def test_no_image_is_scored_by_a_scorer_that_saw_it():
    normals, pool, held_out = textures(10, "normals"), textures(23, "pool"), textures(11, "held out")
    found = cross_fitted(Memorising(), normals, pool, held_out, folds=4, seed=0)
    assert found.pool.shape == (23,)
    assert found.held_out.shape == (11,)
    assert found.pool.max() < 100
    assert sorted(torch.bincount(found.pool_fold).tolist()) == [5, 6, 6, 6]
    assert sorted(torch.bincount(found.held_out_fold).tolist()) == [2, 3, 3, 3]
    assert [scorer.unlabelled for scorer in found.scorers] == [23 - int((found.pool_fold == k).sum()) for k in range(4)]


def test_scores_are_in_quartile_distances_of_the_held_out_normals_from_their_median():
    pool, held_out = textures(8, "pool"), textures(15, "held out")
    found = cross_fitted(Memorising(), textures(4, "normals"), pool, held_out, folds=2, seed=1)
    brightness = as_unit(held_out).mean((1, 2, 3))
    low, middle, high = brightness.quantile(torch.tensor([0.25, 0.5, 0.75]))
    assert torch.allclose(found.held_out, (brightness - middle) / (high - low), atol=1e-4)
    assert torch.allclose(found.pool, (as_unit(pool).mean((1, 2, 3)) - middle) / (high - low), atol=1e-4)


def test_copies_stay_in_one_fold_and_folds_stay_even():
    different = textures(10, "pool")
    groups = [0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]
    pool = different[torch.tensor(groups)]
    alone = cross_fitted(Memorising(), textures(4, "normals"), pool, textures(6, "held out"), folds=3, seed=0)
    together = cross_fitted(
        Memorising(), textures(4, "normals"), pool, textures(6, "held out"), folds=3, seed=0, groups=groups
    )
    assert alone.pool.max() > 100 > together.pool.max()
    assert all(len({int(together.pool_fold[i]) for i in range(13) if groups[i] == g}) == 1 for g in range(10))
    assert max(torch.bincount(together.pool_fold)) <= 6


def test_the_same_seed_gives_the_same_folds_and_scores_and_another_does_not():
    images = textures(6, "normals"), textures(12, "pool"), textures(8, "held out")
    recipe = PoolClassifier(width=8, depth=2, steps=2, batch=4)
    first, again, other = (cross_fitted(recipe, *images, folds=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.pool, again.pool)
    assert torch.equal(first.held_out, again.held_out)
    assert not torch.equal(first.pool_fold, other.pool_fold)


def test_half_the_held_out_normals_may_be_the_same_image():
    held_out = torch.cat([textures(1, "copy").repeat(9, 1, 1, 1), textures(3, "held out")])
    found = cross_fitted(Memorising(), textures(4, "normals"), textures(8, "pool"), held_out, folds=2, seed=0)
    assert found.pool.isfinite().all()


def test_scores_that_tell_nothing_apart_are_named():
    with pytest.raises(CollapseError, match="5 held-out normal scores are all 0.25"):
        cross_fitted(Indifferent(), textures(4, "n"), textures(8, "pool"), textures(5, "h"), folds=2, seed=0)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"folds": 1}, SettingError, "at least 2 folds: got 1"),
        ({"folds": 9}, InputError, "different unlabelled images: got 8"),
        ({"folds": 6}, InputError, "held-out normal images: got 5"),
        ({"folds": 3, "groups": [0, 0, 0, 0, 1, 1, 1, 1]}, InputError, "different unlabelled images: got 2"),
        ({"folds": 2, "groups": [0, 1]}, InputError, "each of 8 unlabelled images: got 2"),
    ],
)
def test_what_cannot_be_folded_is_refused(change, error, text):
    with pytest.raises(error, match=text):
        cross_fitted(Memorising(), textures(4, "n"), textures(8, "pool"), textures(5, "h"), **({"seed": 0} | change))


@pytest.mark.parametrize(
    ("recipe", "seeds"),
    [
        pytest.param(PoolClassifier(width=8, depth=2, steps=40, batch=16, rate=1e-2), 6, id="classifier"),
        pytest.param(PoolProbe(width=8, depth=2, penalty=0.1), 30, id="probe"),
    ],
)
def test_a_pool_without_anomalies_looks_like_one_out_of_fold_and_not_in_sample(recipe, seeds):
    out_of_fold, in_sample = [], []
    for seed in range(seeds):
        normals, pool, held_out = (textures(60, what, seed) for what in ("normals", "pool", "held out"))
        found = cross_fitted(recipe, normals, pool, held_out, folds=2, seed=seed)
        out_of_fold.append(two_sample_auroc(found.pool.numpy(), found.held_out.numpy()))
        scorer = recipe.fit(normals, pool, seed=seed)
        with torch.no_grad():
            in_sample.append(two_sample_auroc(scorer(as_unit(pool)).numpy(), scorer(as_unit(held_out)).numpy()))
    error = stdev(out_of_fold) / seeds**0.5
    assert abs(fmean(out_of_fold) - 0.5) < 3 * error < 0.1
    assert fmean(in_sample) > 0.55
    assert fmean(in_sample) - 0.5 > 3 * stdev(in_sample) / seeds**0.5
