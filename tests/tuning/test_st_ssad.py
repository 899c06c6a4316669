"""ST-SSAD as a detector: what was planted is found, starts are chosen as the paper does, settings are checked."""

from dataclasses import replace

import pytest
import torch

from feint.augmentations import CutDiff, Rotation
from feint.core.detector import as_unit
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import stream
from feint.metrics.roc import auroc
from feint.testing.promises import global_generators_untouched
from feint.tuning import STSSAD
from feint.tuning.selftuning import Tuned
from feint.tuning.st_ssad import TUNABLE, Path, chosen, spread

SMALL = STSSAD(
    augmentation="rotation", starts=2, width=8, depth=2, warm_start=4, updates=4, between=1, batch=8, sample=8, steps=6
)
SIDE = 16


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def wedges(n, name, *, turned):
    """Return bright wedges that fade downwards, dimmed at random, upside down if turned: uint8."""
    chance = stream(0, "wedges", name)
    y, x = torch.arange(SIDE)[:, None] - 7.5, torch.arange(SIDE)[None, :] - 7.5
    wedge = 0.8 * torch.sigmoid(-y / 2) * torch.exp(-(x**2) / 30)
    images = (wedge.flip(0) if turned else wedge) * (0.8 + 0.2 * torch.rand(n, 1, 1, 1, generator=chance))
    return ((images + 0.05 * torch.rand(n, 1, SIDE, SIDE, generator=chance)).clamp(0, 1) * 255).to(torch.uint8)


NORMALS = wedges(60, "normal", turned=False)
POOL = torch.cat([wedges(30, "upright", turned=False), wedges(30, "turned", turned=True)])


def test_a_planted_half_turn_is_found_chosen_and_told_apart():
    recipe = replace(SMALL, starts=4, warm_start=15, updates=25, batch=16, sample=24, turn_rate=0.015, steps=30)
    scorer = recipe.fit(NORMALS, POOL, seed=0)
    new = torch.cat([wedges(20, "new", turned=False), wedges(20, "new turned", turned=True)])
    scores = scorer(as_unit(new)).numpy()
    assert abs(scorer.tuning.magnitudes["angle"] - 180) < 20
    assert auroc(scores[:20], scores[20:]) > 0.95


def test_one_seed_is_one_scorer_and_no_global_generator_moves():
    with global_generators_untouched("a fit of ST-SSAD"):
        scores = [SMALL.fit(NORMALS, POOL, seed=seed)(as_unit(POOL)) for seed in (3, 3, 4)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


def test_the_tuning_tells_every_path_and_the_policy_of_the_last_training():
    lines = []
    scorer = SMALL.fit(NORMALS, POOL, seed=0, log=lambda step, loss: lines.append((step, loss)))
    tuning = scorer.tuning
    assert [tuple(path.magnitudes.shape) for path in tuning.paths] == [(4, 1), (4, 1)]
    assert [tuple(path.losses.shape) for path in tuning.paths] == [(4,), (4,)]
    assert tuning.magnitudes == tuning.paths[tuning.chosen].tuned.magnitudes
    assert tuning.policy.low == tuning.policy.high == (tuning.magnitudes["angle"],)
    assert [step for step, _ in lines] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 5]


def test_the_scorer_is_that_of_a_discriminator_and_its_state_is_whole():
    first, second = (SMALL.fit(NORMALS, POOL, seed=seed) for seed in (0, 1))
    images = as_unit(POOL[:5])
    assert set(first.all_scores(images)) == {"logit", "gaussian", "pooled", "position"}
    assert torch.equal(first(images), first.all_scores(images)["gaussian"])
    assert first.embed(images).shape == (5, 16)
    assert first.map(images).shape == (5, SIDE, SIDE)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))


def test_starts_are_spread_over_those_an_augmentation_declares():
    assert [each["angle"] for each in spread(Rotation(), 4)] == [60, 150, 210, 300]
    four = spread(CutDiff(), 4)
    assert len({each["area"] for each in four}) == 4
    assert {each["amplitude"] > 0 for each in four} == {True, False}
    assert spread(CutDiff(), len(CutDiff.starts)) == list(CutDiff.starts)


def path(variance, loss=1.0, status="ok"):
    tuned = Tuned(magnitudes={}, status=status, note="it diverged", separability=0.9, variance=variance)
    return Path(tuned, torch.tensor([9.0, 9.0, 9.0, loss]), torch.zeros(4, 1))


def test_the_start_of_largest_variance_is_chosen_and_of_equal_ones_the_better_aligned():
    assert chosen([path(1.0), path(3.0), path(2.0)]) == 1
    assert chosen([path(3.0, loss=0.5), path(3.0, loss=0.2), path(1.0, loss=0.1)]) == 1


def test_failed_starts_are_chosen_only_where_there_is_nothing_else():
    assert chosen([path(9.0, status="identity"), path(1.0), path(99.0, status="collapsed")]) == 1
    assert chosen([path(9.0, status="identity"), path(99.0, status="collapsed")]) == 0
    with pytest.raises(CollapseError, match="all 2 starts"):
        chosen([path(0.0, status="collapsed")] * 2)


def test_a_training_that_diverges_is_a_collapse():
    with pytest.raises(CollapseError, match="all 2 starts"):
        replace(SMALL, rate=1e30).fit(NORMALS, POOL, seed=0)


def test_what_can_be_tuned_is_told():
    assert set(TUNABLE) == {"cutdiff", "rotation"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("augmentation", "cutout"), ("augmentation", "rotatoin"), ("starts", 0), ("starts", 12), ("loss", "mdm"),
        ("order", "third"), ("updates", 0), ("sample", 1), ("steps", 0), ("width", 9), ("depth", 1), ("score", "best"),
        ("warm_start", -1), ("between", -1), ("batch", 0),
    ],
)  # fmt: skip
def test_an_impossible_setting_is_refused_by_name(name, value):
    with pytest.raises(SettingError, match=f"{name} = {value!r}"):
        replace(SMALL, **{name: value})


def test_images_of_another_shape_are_refused():
    with pytest.raises(InputError, match="unlabelled"):
        SMALL.fit(NORMALS, POOL[..., 1:], seed=0)
