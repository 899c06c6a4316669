"""The landscape: one training, then a detector, its scores and an uphill path at any magnitudes of its range."""

from dataclasses import replace

import pytest
import torch

from feint.augmentations import Brightness, CutDiff, Flips, Rotation
from feint.augmentations.policies import whole_range
from feint.core.augmentation import Policy
from feint.core.detector import as_unit, thinned
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import stream
from feint.testing.detectors import normal_images
from feint.testing.promises import global_generators_untouched
from feint.tuning.landscape import MOST_FITTED, LandscapeTuner

TINY = LandscapeTuner(width=8, depth=3, steps=10, batch=8)
CUTDIFF = whole_range(CutDiff())
SETTING = torch.tensor([0.05, 0.5, 30.0, 0.4])
NORMALS, HELD_OUT, POOL = (normal_images(40, name) for name in ("normal", "held out", "pool"))
POOL[:20, :, 5:9] -= 40


@pytest.fixture(scope="module")
def landscape():
    return replace(TINY, steps=80, batch=16).fit(NORMALS, policy=CUTDIFF, seed=0)


def weights(found):
    return torch.cat([each.flatten() for each in found.state_dict().values()])


# --- training -----------------------------------------------------------------------------------------------------


def test_a_seed_settles_the_weights():
    with global_generators_untouched("fit"):
        first = TINY.fit(NORMALS, policy=CUTDIFF, seed=0)
    torch.rand(1)
    again, other = (TINY.fit(NORMALS, policy=CUTDIFF, seed=seed) for seed in (0, 1))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_training_teaches_it_to_tell_patches_at_the_settings_it_was_trained_on(landscape):
    images = as_unit(HELD_OUT)
    for amplitude in (0.6, -0.6):
        setting = torch.tensor([0.1, 0.6, 45.0, amplitude])
        noise = CutDiff().draw(images, generator=stream(0, "noise"))
        with torch.no_grad():
            clean = landscape.network(images, setting)[1]
            patched = landscape.network(CutDiff().apply(images, noise, setting), setting)[1]
        assert (patched[:, None] > clean).float().mean() > 0.9


def test_the_condition_is_learned(landscape):
    with torch.no_grad():
        dark, bright = (
            landscape.network(as_unit(POOL[:20]), torch.tensor([0.1, 0.6, 45.0, amplitude]))[1]
            for amplitude in (0.6, -0.6)
        )
    assert (dark - bright).abs().mean() > 0.05


def test_the_range_of_the_policy_reaches_the_training():
    narrow = Policy(augmentation=CutDiff(), low=(0.1, 0.5, 0.0, 0.5), high=(0.2, 1.0, 90.0, 0.9))
    found = TINY.fit(NORMALS, policy=narrow, seed=0)
    assert not torch.equal(weights(found), weights(TINY.fit(NORMALS, policy=CUTDIFF, seed=0)))
    assert found.policy == narrow


def test_nuisances_reach_the_training():
    brightness = replace(TINY, nuisances=(Policy(augmentation=Brightness(), low=(0.8,), high=(1.25,)),))
    plain, found = (each.fit(NORMALS, policy=CUTDIFF, seed=0) for each in (TINY, brightness))
    assert not torch.equal(weights(plain), weights(found))


def test_the_log_says_how_the_loss_fell():
    lines = []
    replace(TINY, steps=50, batch=16).fit(NORMALS, policy=CUTDIFF, seed=0, log=lambda *line: lines.append(line))
    assert [step for step, _ in lines] == [0, 20, 40, 49]
    assert lines[-1][1] < lines[0][1]


def test_without_magnitudes_there_is_nothing_to_tune():
    with pytest.raises(SettingError, match="flips has no magnitude"):
        TINY.fit(NORMALS, policy=Policy(augmentation=Flips(), low=(), high=()), seed=0)


def test_a_diverging_training_is_named():
    with pytest.raises(CollapseError, match="Lower the learning rate"):
        replace(TINY, rate=1e30).fit(NORMALS, policy=CUTDIFF, seed=0)


@pytest.mark.parametrize("images", [NORMALS[:, 0], as_unit(NORMALS), NORMALS[:0]], ids=["3-D", "float", "no_image"])
def test_other_than_images_of_bytes_are_refused(images):
    with pytest.raises(InputError, match="shape|uint8"):
        TINY.fit(images, policy=CUTDIFF, seed=0)


# --- scores -------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_the_detector_at_the_setting(landscape):
    scorer = landscape.at(SETTING, NORMALS)
    sets = [HELD_OUT, POOL, POOL[:1]]
    for images, found in zip(sets, landscape.scores(SETTING, NORMALS, sets), strict=True):
        every = scorer.all_scores(as_unit(images))
        assert torch.allclose(found.pooled, every["pooled"], rtol=1e-4)
        assert torch.allclose(found.logit, every["logit"], atol=1e-5)
        assert not found.logit.requires_grad


def test_the_density_is_fitted_on_500_evenly_spaced_ones_of_more(landscape):
    many = torch.cat([NORMALS, 255 - NORMALS]).repeat(7, 1, 1, 1)[: MOST_FITTED + 40]
    ((all_of_them, _),) = landscape.scores(SETTING, many, [POOL])
    ((spaced, _),) = landscape.scores(SETTING, thinned(many, MOST_FITTED), [POOL])
    ((first, _),) = landscape.scores(SETTING, many[:MOST_FITTED], [POOL])
    assert torch.equal(all_of_them, spaced)
    assert not torch.equal(all_of_them, first)


def test_a_set_may_be_empty_and_larger_than_a_chunk(landscape):
    many = POOL.repeat(4, 1, 1, 1)
    none, found = landscape.scores(SETTING, NORMALS, [POOL[:0], many])
    assert none.pooled.shape == none.logit.shape == (0,)
    assert torch.allclose(found.pooled, landscape.scores(SETTING, NORMALS, [POOL])[0].pooled.repeat(4), rtol=1e-4)


def test_the_detector_at_a_setting_is_ready_to_use(landscape):
    scorer = landscape.at(SETTING, NORMALS)
    assert not scorer.training
    assert not any(each.requires_grad for each in scorer.parameters())
    assert scorer.map(as_unit(POOL[:2])).shape == (2, 20, 18)
    before = weights(landscape)
    scorer.classifier.requires_grad_(requires_grad=True)
    with torch.no_grad():
        next(scorer.classifier.parameters()).zero_()
    assert torch.equal(weights(landscape), before), "a copy"


def test_identical_normal_images_are_a_collapse(landscape):
    with pytest.raises(CollapseError, match="the same"):
        landscape.scores(SETTING, NORMALS[:1].repeat(30, 1, 1, 1), [POOL])


# --- points -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [CUTDIFF, Policy(augmentation=CutDiff(), low=(0.01, 0.5, 20.0, 0.1), high=(0.1, 0.9, 80.0, 0.3))],
    ids=["whole_range", "part_of_it"],
)
def test_points_fill_the_range_evenly_on_each_scale(landscape, policy):
    points = type(landscape)(policy, landscape.network, landscape.size).points(64, seed=3)
    assert points.shape == (64, 4)
    for i, magnitude in enumerate(policy.ranges):
        share = magnitude.share(points[:, i].double())
        assert torch.histc(share, 16, 0, 1).tolist() == [4] * 16


def test_points_depend_on_the_seed_alone(landscape):
    with global_generators_untouched("points"):
        first = landscape.points(8, seed=0)
    torch.rand(1)
    assert torch.equal(first, landscape.points(8, seed=0))
    assert torch.equal(first[:5], landscape.points(5, seed=0))
    assert not torch.equal(first, landscape.points(8, seed=1))


# --- ascent -------------------------------------------------------------------------------------------------------


def smooth_criterion(landscape, setting):
    """Return what the ascent maximises, on all images."""
    with torch.no_grad():
        u, h = (landscape.network(as_unit(images), setting)[1] for images in (POOL, HELD_OUT))
    return float(torch.sigmoid((u[:, None] - h) / h.std()).mean())


def test_ascent_raises_the_smooth_criterion(landscape):
    gains = []
    for start in landscape.points(4, seed=3):
        end = landscape.ascend(start, HELD_OUT, POOL, steps=25, seed=0)
        gains.append(smooth_criterion(landscape, end) - smooth_criterion(landscape, start))
    assert min(gains) > -0.002
    assert sum(gains) / len(gains) > 0.005


@pytest.mark.parametrize("rate", [0.1, 5.0])
def test_ascent_never_leaves_the_range_of_the_policy(landscape, rate):
    policy = Policy(augmentation=CutDiff(), low=(0.05, 0.5, 20.0, -0.3), high=(0.1, 0.5, 80.0, 0.3))
    narrow = type(landscape)(policy, landscape.network, landscape.size)
    for start in narrow.points(3, seed=0):
        end = narrow.ascend(start, HELD_OUT, POOL, steps=8, seed=0, rate=rate)
        assert (end >= torch.tensor(policy.low)).all()
        assert (end <= torch.tensor(policy.high)).all()
        assert end[1] == 0.5
        assert not torch.equal(end, start)


def test_an_ascent_of_no_step_stays_where_it_is(landscape):
    for start in landscape.points(4, seed=0):
        end = landscape.ascend(start, HELD_OUT, POOL, steps=0, seed=0)
        assert torch.allclose(end, start, rtol=1e-4)


def test_an_angle_may_turn_on():
    turned = replace(TINY, steps=30).fit(NORMALS, policy=whole_range(Rotation()), seed=0)
    start = torch.tensor([359.9])
    ends = torch.stack([turned.ascend(start, HELD_OUT, pool, steps=8, seed=0, rate=0.4) for pool in (POOL, HELD_OUT)])
    assert ((ends - start).abs() > 0.5).any()
    with torch.no_grad():
        logits = [turned.network(as_unit(POOL), each)[1] for each in (ends[0], ends[0] % 360)]
    assert torch.allclose(*logits, atol=1e-4)


def test_ascent_moves_neither_weights_nor_global_generators(landscape):
    before = weights(landscape)
    with global_generators_untouched("ascend"):
        first = landscape.ascend(SETTING, HELD_OUT, POOL, steps=3, seed=0)
    assert torch.equal(weights(landscape), before)
    assert not first.requires_grad
    assert torch.equal(first, landscape.ascend(SETTING, HELD_OUT, POOL, steps=3, seed=0))
    assert torch.equal(SETTING, torch.tensor([0.05, 0.5, 30.0, 0.4]))
