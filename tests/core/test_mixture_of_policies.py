"""A mixture gives each image the output of exactly one of its policies, and says which."""

import pytest
import torch

from feint.augmentations import Brightness, CutDiff, Noise
from feint.augmentations.policies import whole_range
from feint.core.augmentation import Exposure, Mixture, Policy
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.testing.promises import global_generators_untouched

FACTORS = (0.2, 0.5, 0.9)
MIXTURE = Mixture(policies=tuple(Policy(augmentation=Brightness(), low=(f,), high=(f,)) for f in FACTORS))


def images(n):
    return torch.rand(n, 1, 5, 4, generator=stream(0, "images"))


def test_each_image_gets_exactly_one_policys_output_and_the_kind_names_it():
    batch = images(300)
    pseudo, kind = MIXTURE.made(batch, generator=stream(1))
    every = torch.stack([batch * factor for factor in FACTORS])
    fits = ((pseudo - every).abs() < 1e-6).flatten(2).all(2)
    assert fits.sum(0).tolist() == [1] * 300
    assert torch.equal(fits.float().argmax(0), kind)
    assert kind.dtype == torch.long


def test_kinds_are_equally_likely():
    _, kind = MIXTURE.made(images(3000), generator=stream(2))
    counts = torch.bincount(kind, minlength=3)
    assert len(counts) == MIXTURE.kinds == 3
    assert (counts - 1000).abs().max() < 110  # four standard deviations


def test_all_randomness_comes_from_the_generator():
    mixture = Mixture(policies=(whole_range(CutDiff()), whole_range(Noise())))
    batch = images(20)
    with global_generators_untouched("a mixture"):
        first, second, other = (mixture.made(batch, generator=stream(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(mixture(batch, generator=stream(3)), first[0])


def test_images_stay_as_they_are():
    batch = images(20)
    MIXTURE.made(batch, generator=stream(0))
    assert torch.equal(batch, images(20))


def test_one_image_and_one_policy_are_enough():
    alone = Mixture(policies=MIXTURE.policies[1:2])
    pseudo, kind = alone.made(images(1), generator=stream(0))
    assert torch.allclose(pseudo, images(1) * FACTORS[1])
    assert (alone.kinds, kind.tolist()) == (1, [0])


def test_what_is_no_mixture_is_of_one_kind():
    batch = images(4)
    outliers = Exposure(images=torch.full((2, 1, 5, 4), 9, dtype=torch.uint8))
    for each in (MIXTURE.policies[0], outliers):
        pseudo, kind = each.made(batch, generator=stream(0))
        assert each.kinds == 1
        assert kind.tolist() == [0] * 4
        assert torch.equal(pseudo, each(batch, generator=stream(0)))


def test_an_empty_mixture_is_refused():
    with pytest.raises(SettingError, match="at least one"):
        Mixture(policies=())


def test_a_mixture_has_no_finite_outcomes():
    assert MIXTURE.outcomes is None
    with pytest.raises(SettingError, match="Mixture has no finite set"):
        MIXTURE.outcome(images(1), torch.tensor([0]))
