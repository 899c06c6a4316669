"""Views: what the presets are made of, how often steps happen, whose rows the noise is, and names that are none."""

import itertools

import pytest
import torch

from feint.augmentations import ColorJitter, Crop, Noise
from feint.augmentations.policies import policy_named
from feint.augmentations.views import PARTS, PRESETS, Step, Views, views_named
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.testing.promises import global_generators_untouched

NAMES = [*PRESETS, "crop+color+blur", "flips+brightness", "cutout-0.1+solarise+grey", "noise-0.3"]


def some_images(n: int = 6, channels: int = 3, side: int = 16) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=stream(0, "images"))


def both(name: str) -> list[Views]:
    return list(views_named(name))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_view_is_an_image_drawn_by_the_generator_alone(name, channels):
    images = some_images(40, channels)
    before = images.clone()
    for views in both(name):
        with global_generators_untouched("a view"):
            first, again = (views(images, generator=stream(1)) for _ in range(2))
        other = views(images, generator=stream(2))
        assert first.shape == images.shape
        assert first.dtype == images.dtype
        assert first.min() >= 0
        assert first.max() <= 1
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(images, before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_processes_that_share_a_batch_make_the_views_of_one(name, channels):
    images = some_images(12, channels)
    for views in both(name):
        whole = views(images, generator=stream(3))
        for processes in (2, 3, 12):
            shape = torch.empty(1).expand(images.shape)
            noise = [views.draw(shape, generator=stream(3)).chunk(processes)[i] for i in range(processes)]
            shares = [views.apply(*each) for each in zip(images.chunk(processes), noise, strict=True)]
            assert (torch.cat(shares) - whole).abs().max() < 1e-5


def test_the_noise_of_an_image_does_not_depend_on_how_many_follow():
    views, images = views_named("small")[0], some_images(64)
    few, many = (views.draw(images[:n], generator=stream(4)) for n in (32, 64))
    assert torch.equal(few, many[:32])


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.8, 1.0])
def test_a_step_changes_that_share_of_the_images(probability):
    n = 4000
    views = Views(steps=(Step(policy=PARTS["mirror"], probability=probability),))
    images = some_images(n, 1, 4)
    found = views(images, generator=stream(5))
    mirrored = (found == images.flip(3)).all((1, 2, 3))
    assert torch.equal(torch.where(mirrored[:, None, None, None], images.flip(3), images), found)
    spread = (probability * (1 - probability) / n) ** 0.5
    assert mirrored.float().mean().item() == pytest.approx(probability, abs=5 * spread + 1e-9)


def test_steps_happen_independently_of_one_another():
    """Whether an image is turned upside down says nothing of whether it is mirrored."""
    n = 4000
    upright = torch.tensor([[0.0, 0.2], [0.4, 0.6]]).expand(n, 1, 2, 2)
    views = Views(
        steps=(
            Step(policy=PARTS["mirror"], probability=0.5),
            Step(policy=policy_named("flip-1"), probability=0.5),
        )
    )
    first = views(upright, generator=stream(6))[:, 0, 0, 0]
    counts = [(first - value).abs().lt(1e-6).sum().item() for value in (0.0, 0.2, 0.4, 0.6)]
    assert sum(counts) == n
    assert all(abs(count - n / 4) < 5 * (n * 3 / 16) ** 0.5 for count in counts)


def test_magnitudes_are_drawn_from_the_policy():
    policy = policy_named("cutout-0.25")
    noise = torch.rand(5, 1 + policy.augmentation.noise_size + 2, generator=stream(7))
    found = Step(policy=policy).apply(some_images(5), noise)
    magnitudes = torch.tensor([0.25, 1.0])
    assert torch.equal(found, policy.augmentation.apply(some_images(5), noise[:, 1:-2], magnitudes))


def test_no_steps_are_the_image_itself():
    images = some_images()
    assert torch.equal(Views(steps=())(images, generator=stream(8)), images)


def steps_of(views: Views) -> dict[str, float]:
    return {step.policy.augmentation.name: step.probability for step in views.steps}


def test_presets_hold_what_they_say():
    common = {"crop": 1.0, "mirror": 0.5, "color": 0.8}
    wanted = {
        "imagenet": common | {"grey": 0.2, "blur": 0.5},
        "small": common | {"grey": 0.2},
        "defect": common,
        "mae": {"crop": 1.0, "mirror": 0.5},
    }
    assert wanted.keys() == PRESETS.keys()
    for name, steps in wanted.items():
        first, second = views_named(name)
        assert steps_of(first) == steps
        assert steps_of(second) == steps | ({"solarise": 0.2} if "grey" in steps else {})


@pytest.mark.parametrize(
    ("name", "least", "strength"),
    [("imagenet", 0.08, 1), ("small", 0.08, 0.5), ("defect", 0.4, 0.5), ("mae", 0.2, None)],
)
def test_presets_crop_and_jitter_as_strongly_as_they_say(name, least, strength):
    for views in both(name):
        policies = {type(step.policy.augmentation): step.policy for step in views.steps}
        area, aspect = policies[Crop].at(torch.rand(2000, 2, generator=stream(9))).unbind(1)
        assert least <= area.min() < least + 0.02
        assert 0.98 < area.max() <= 1
        assert aspect.log().mean().abs() < 0.02
        if strength is not None:
            assert policies[ColorJitter].low == policies[ColorJitter].high == (strength,)


def test_a_composition_has_its_parts_in_order_and_both_views_alike():
    first, second = views_named("solarise+crop+blur+cutpaste-0.1")
    assert first == second
    assert steps_of(first) == {"solarise": 0.2, "crop": 1.0, "blur": 0.5, "cutpaste": 1.0}
    assert list(steps_of(first)) == ["solarise", "crop", "blur", "cutpaste"]
    assert first.steps[3].policy.low[0] == 0.1


def test_what_leaves_the_range_is_brought_back():
    assert not Noise.bounded
    assert views_named("noise-1")[0](torch.ones(2, 1, 8, 8), generator=stream(10)).max() == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smal", "did you mean 'small'?"),
        ("gray", "did you mean 'grey'?"),
        ("colour", "did you mean 'color'?"),
        ("crop+gray", "'gray' cannot be part of a composition; did you mean 'grey'?"),
        ("small+rotate", "'small' cannot be part of a composition; "),
        ("zzzzz", "there are no views called 'zzzzz': choose of imagenet, small, defect, mae, or compose mirror, "),
        ("", "there are no views called ''"),
        ("crop+", "there are no views called 'crop+'"),
        ("crop+cutout-5", "area must be between 0.001 and 0.9: got 5"),
        ("rs-cutout", "there are no views called 'rs-cutout'"),
    ],
)
def test_unknown_names_are_refused_with_a_suggestion(name, said):
    with pytest.raises(SettingError) as caught:
        views_named(name)
    assert said in str(caught.value)


def test_wrong_noise_images_and_probabilities_are_refused():
    views, images = views_named("small")[0], some_images(4)
    noise = views.draw(images, generator=stream(11))
    with pytest.raises(SettingError, match=r"noise must have shape \(4, 17\): got \(4, 16\)"):
        views.apply(images, noise[:, 1:])
    with pytest.raises(SettingError, match="Divide bytes by 255"):
        views((255 * images).byte(), generator=stream(11))
    with pytest.raises(SettingError, match=r"mirror: a probability lies between 0 and 1: got 1.5"):
        Step(policy=PARTS["mirror"], probability=1.5)


def test_all_pairs_of_parts_can_be_composed():
    images = some_images(3)
    for pair in itertools.permutations([*PARTS, "crop", "color", "blur", "cutdiff"], 2):
        found = views_named("+".join(pair))[0](images, generator=stream(12))
        assert found.isfinite().all()
