"""A policy draws every image's magnitudes from the range it was given, uniform on the magnitude's own scale."""

import pytest
import torch

from feint.augmentations import Brightness, CutDiff, CutOut, Flips, VerticalFlip
from feint.core.augmentation import Exposure, Policy
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


def test_draws_follow_the_scales_given():
    policy = Policy(augmentation=CutOut(), low=(0.02, 0.3), high=(0.3, 3.0), scales=("linear", "ratio"))
    _, drawn = policy.draw(IMAGES, generator=stream(0, "policy"))
    critical = 1.95 / len(IMAGES) ** 0.5
    assert kolmogorov_distance(drawn[:, 0], 0.02, 0.3) < critical
    assert abs((drawn[:, 1] < 1).float().mean() - 0.5) < 0.04
    assert kolmogorov_distance(drawn[:, 1][drawn[:, 1] < 1], 0.3, 1.0) < 2 * critical
    assert kolmogorov_distance(drawn[:, 1][drawn[:, 1] >= 1], 1.0, 3.0) < 2 * critical


def test_a_scale_for_each_magnitude_is_wanted():
    with pytest.raises(SettingError, match="2 magnitudes"):
        Policy(augmentation=CutOut(), low=(0.1, 1.0), high=(0.1, 1.0), scales=("linear",))


def test_outcomes_are_those_of_the_augmentation():
    policy = Policy(augmentation=VerticalFlip(), low=(0.5,), high=(0.5,))
    images = torch.rand(3, 1, 5, 4, generator=stream(0))
    found = policy.outcome(images, torch.tensor([0, 1, 1]))
    assert policy.outcomes == 2
    assert torch.equal(found, torch.cat([images[:1], images[1:].flip(2)]))


@pytest.mark.parametrize("which", [[0, 2], [-1, 0], [0]])
def test_outcomes_that_do_not_exist_are_refused(which):
    with pytest.raises(SettingError, match="2 integers from 0 to 1"):
        VerticalFlip().outcome(torch.rand(2, 1, 4, 4), torch.tensor(which))


def test_what_has_no_finite_outcomes_says_so():
    images, none = torch.rand(1, 1, 4, 4), torch.tensor([0])
    with pytest.raises(SettingError, match="brightness has no finite set of outcomes"):
        Brightness().outcome(images, none)
    with pytest.raises(SettingError, match="Exposure has no finite set of outcomes"):
        Exposure(images=images.byte()).outcome(images, none)


def test_exposure_gives_each_image_a_random_one_of_the_outliers():
    outliers = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(-1, 2, 4, 4)
    found = Exposure(images=outliers)(torch.rand(3000, 2, 4, 4), generator=stream(0))
    values, counts = torch.unique(found[:, 0, 0, 0], return_counts=True)
    assert values.tolist() == pytest.approx([0.0, 0.2, 1.0])
    assert all(abs(count - 1000) < 130 for count in counts.tolist())
    assert (found == found[:, :1, :1, :1]).all(), "each comes from one outlier"


@pytest.mark.parametrize("images", [torch.zeros(0, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 1, 4, 4)])
def test_outliers_must_be_bytes_and_some(images):
    with pytest.raises(SettingError, match="uint8"):
        Exposure(images=images)


def test_outliers_of_another_shape_are_refused():
    with pytest.raises(SettingError, match=r"\(1, 4, 4\).*\(1, 5, 4\)"):
        Exposure(images=torch.zeros(2, 1, 4, 4, dtype=torch.uint8))(torch.rand(1, 1, 5, 4), generator=stream(0))
