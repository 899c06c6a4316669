"""Deep SAD on finished detectors' features: what marked images share counts, and without marks nothing is lost."""

import pytest
import torch
from small_runs import pictures

from feint.core.detector import as_unit, score_images
from feint.core.errors import CollapseError, InputError, SettingError
from feint.detectors import FeatureGaussian
from feint.detectors.density import GaussianDensity
from feint.detectors.marked import MarkedDeepSAD, softened
from feint.metrics.roc import auroc


def images(seeds, *, defects=0):
    return torch.from_numpy(pictures(seeds, defects=defects))[:, None]


@pytest.fixture(scope="module")
def readers():
    return [FeatureGaussian(width=8, depth=3).fit(images(range(40)), policy=None, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def scorer(readers):
    return MarkedDeepSAD(components=12, steps=60).fit(readers, images(range(40)), images(range(900, 906), defects=6))


def test_unseen_defects_score_higher(scorer):
    scores = score_images(scorer, images(range(500, 530), defects=15)).numpy()
    assert auroc(scores[15:], scores[:15]) > 0.9


def test_an_empty_scorer_becomes_this_one_by_its_state(readers, scorer):
    empty = MarkedDeepSAD(components=12).scorer(readers)
    empty.load_state_dict(scorer.state_dict())
    seen = images(range(600, 610))
    assert torch.equal(score_images(empty, seen), score_images(scorer, seen))
    assert torch.equal(empty.map(as_unit(seen)), scorer.map(as_unit(seen)))
    assert scorer.map(as_unit(seen)).shape == (10, 32, 32)


def test_training_pulls_normal_images_in_and_pushes_marked_ones_out(readers):
    normal, marked = images(range(40)), images(range(900, 906), defects=6)
    ratios = []
    for steps in (0, 60):
        scorer = MarkedDeepSAD(components=12, steps=steps).fit(readers, normal, marked)
        ratios.append(float(score_images(scorer, marked).mean() / score_images(scorer, normal).mean()))
    assert ratios[1] > 1.5 * ratios[0]


def test_without_steps_it_is_a_mahalanobis_distance(readers):
    normal, marked = images(range(40)), images(range(900, 906), defects=6)
    scorer = MarkedDeepSAD(components=46, steps=0).fit(readers, normal, marked)
    u, v = (scorer.standardised(scorer.embed(as_unit(each))).double() for each in (normal, marked))
    basis = torch.linalg.svd(torch.cat([u, v]), full_matrices=False).Vh[:46].T
    density = GaussianDensity(46)
    density.fit(u @ basis)
    expected = density(v @ basis).square()
    found = score_images(scorer, marked)
    torch.testing.assert_close(found / found.mean(), expected / expected.mean(), rtol=1e-3, atol=1e-3)


def test_fewer_images_than_components_are_enough(readers):
    few = MarkedDeepSAD(steps=5).fit(readers, images(range(10)), images(range(900, 903), defects=3))
    assert torch.isfinite(score_images(few, images(range(20)))).all()


def test_what_cannot_be_learned_from_is_refused(readers):
    normal = images(range(10))
    with pytest.raises(InputError, match="anomalous images must be uint8"):
        MarkedDeepSAD().fit(readers, normal, normal.float())
    with pytest.raises(CollapseError):
        MarkedDeepSAD().fit(readers, normal[:1].repeat(10, 1, 1, 1), normal[:3])
    with pytest.raises(SettingError, match="components = 0"):
        MarkedDeepSAD(components=0)


def test_the_fewer_marks_the_softer():
    assert softened((1.0, 2.0), 5) == (1.0, 6.0)
    assert softened((1.0, 2.0), 1000)[1] == pytest.approx(2.0, rel=0.02)
