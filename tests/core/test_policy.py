"""A policy draws every image's magnitudes from the range it was given, uniform on the magnitude's own scale."""

import pytest
import torch

from feint.augmentations import Brightness, CutDiff, CutOut, Flips
from feint.core.augmentation import Policy
from feint.core.errors import SettingError
from feint.core.streams import stream

LOW, HIGH = (0.01, 0.2, 30.0, -0.5), (0.2, 0.9, 60.0, 0.7)


IMAGES = torch.empty(4000, 1, 5, 4)


def kolmogorov_distance(sample: torch.Tensor, low: float, high: float) -> float:
    """Return the largest distance between the sample's distribution and the uniform one on [low, high]."""
    x = ((sample - low) / (high - low)).sort().values.double()
    steps = torch.arange(len(x) + 1) / len(x)
    return float(torch.maximum((steps[1:] - x).abs(), (steps[:-1] - x).abs()).max())


def test_ranges_are_respected_and_uniform_on_each_scale():
    n = len(IMAGES)
    _, drawn = Policy(augmentation=CutDiff(), low=LOW, high=HIGH).draw(IMAGES, generator=stream(0, "policy"))
    assert drawn.shape == (n, 4)
    critical = 1.95 / n**0.5  # of Kolmogorov's test at 0.001
    for i, magnitude in enumerate(CutDiff.magnitudes):
        column, low, high = drawn[:, i], torch.tensor(LOW[i]), torch.tensor(HIGH[i])
        assert low <= column.min()
        assert column.max() <= high
        if magnitude.scale == "log":
            column, low, high = column.log(), low.log(), high.log()
        assert kolmogorov_distance(column, float(low), float(high)) < critical


def test_log_uniform_is_not_uniform():
    _, drawn = Policy(augmentation=CutDiff(), low=LOW, high=HIGH).draw(IMAGES, generator=stream(0, "policy"))
    assert kolmogorov_distance(drawn[:, 0], LOW[0], HIGH[0]) > 0.2


def test_magnitudes_are_drawn_independently():
    _, drawn = Policy(augmentation=CutDiff(), low=LOW, high=HIGH).draw(IMAGES, generator=stream(0, "policy"))
    correlation = torch.corrcoef(drawn.T) - torch.eye(4)
    assert correlation.abs().max() < 0.06


def test_equal_ends_are_a_fixed_magnitude():
    _, drawn = Policy(augmentation=CutOut(), low=(0.07, 0.3), high=(0.07, 3.3)).draw(IMAGES[:50], generator=stream(0))
    assert (drawn[:, 0] == 0.07).all()
    assert len(drawn[:, 1].unique()) == 50


def test_an_augmentation_without_magnitudes_has_a_policy():
    images = torch.rand(6, 1, 5, 4, generator=stream(0, "images"))
    noise, magnitudes = (policy := Policy(augmentation=Flips(), low=(), high=())).draw(images, generator=stream(1))
    assert noise.shape == (6, 2)
    assert magnitudes.shape == (6, 0)
    assert policy(images, generator=stream(1)).shape == images.shape


def test_a_call_is_a_draw_and_an_apply():
    policy = Policy(augmentation=Brightness(), low=(0.8,), high=(1.25,))
    images = torch.rand(6, 1, 5, 4, generator=stream(0, "images"))
    _, magnitudes = policy.draw(images, generator=stream(1))
    expected = (images * magnitudes[:, 0, None, None, None]).clamp(0, 1)
    assert torch.equal(policy(images, generator=stream(1)), expected)


def test_a_range_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="argument"):
        Policy(augmentation=CutDiff(), low=(0.1,), high=(0.2,)).draw(IMAGES[:1], generator=stream(0))


def test_a_reversed_range_is_refused():
    with pytest.raises(SettingError, match="factor"):
        Policy(augmentation=Brightness(), low=(1.25,), high=(0.8,))


def test_bytes_are_not_augmented():
    images = torch.full((2, 1, 8, 8), 200, dtype=torch.uint8)
    with pytest.raises(SettingError, match="uint8"):
        CutOut().apply(images, CutOut().draw(images, generator=stream(0)), torch.tensor([0.1, 1.0]))
