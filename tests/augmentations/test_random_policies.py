"""Random static and random dynamic magnitudes, the baselines of self-tuning."""

import pytest
import torch

from feint.augmentations.policies import POLICIES, category_of, policy_for_training, policy_named
from feint.core.errors import SettingError
from feint.core.streams import stream

IMAGES = torch.zeros(50, 1, 16, 16)
NAMES = ["cutout", "cutpaste", "cutdiff", "rotation"]


def magnitudes(name, seed):
    policy = policy_for_training(name, generator=stream(seed, "training"))
    return policy.draw(IMAGES, generator=stream(0, "images"))[1]


@pytest.mark.parametrize("name", NAMES)
def test_random_static_is_one_value_for_all_images_and_another_for_another_seed(name):
    drawn = [magnitudes(f"rs-{name}", seed) for seed in (0, 0, 1)]
    assert all(torch.equal(each, each[:1].expand_as(each)) for each in drawn)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("name", NAMES)
def test_random_static_values_are_drawn_as_one_image_draws_them(name):
    policy = POLICIES[name]
    drawn = torch.stack([magnitudes(f"rs-{name}", seed)[0] for seed in range(40)])
    low, high = torch.tensor(policy.low), torch.tensor(policy.high)
    assert ((drawn >= low - 1e-6) & (drawn <= high + 1e-6)).all()
    moving = high > low
    assert (drawn.amax(0) - drawn.amin(0))[moving].ge(0.6 * (high - low)[moving]).all()


@pytest.mark.parametrize("name", NAMES)
def test_random_dynamic_is_the_policy_itself(name):
    assert policy_named(f"rd-{name}") == policy_for_training(f"rd-{name}", generator=stream(0, "x")) == POLICIES[name]
    assert len(magnitudes(f"rd-{name}", 0).unique(dim=0)) > 40
    assert category_of(f"rs-{name}") == category_of(name)


def test_another_name_keeps_its_ranges():
    assert policy_for_training("cutout-0.1", generator=stream(0, "x")) == policy_named("cutout-0.1")
    assert policy_named("rs-cutout-0.1") == policy_named("cutout-0.1")


@pytest.mark.parametrize("name", ["rs-cutuot", "rd-", "rs-rd-cutout", "rx-cutout"])
def test_unknown_names_are_refused(name):
    with pytest.raises(SettingError, match="there is no augmentation"):
        policy_named(name)
