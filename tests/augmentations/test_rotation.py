"""Rotation: its sign, its exactness at quarter turns, and that it is a true one on any image."""

import math

import pytest
import torch

from feint.augmentations import Rotation
from feint.core.streams import stream


def turned(images, angle):
    return Rotation().apply(images, torch.zeros(len(images), 0), torch.tensor([float(angle)], dtype=images.dtype))


def smooth(height, width):
    """Two blobs of different strength, off the centre of a dark image."""
    y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
    blob = lambda dy, dx: torch.exp(-((y - dy) ** 2 + (x - dx) ** 2) / 12)  # noqa: E731
    return (0.8 * blob(-5, 2) + 0.4 * blob(3, 6))[None, None]


@pytest.mark.parametrize("quarters", [-3, -2, -1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_of_a_square_equal_exact_ones(quarters, size):
    images = torch.rand(2, 3, size, size, generator=stream(0), dtype=torch.float64)
    assert torch.allclose(turned(images, 90 * quarters), torch.rot90(images, quarters, (2, 3)), atol=1e-12)


def test_a_positive_angle_turns_counter_clockwise_as_seen():
    """What was on the right comes to the top."""
    images = torch.zeros(1, 1, 9, 9)
    images[0, 0, 4, 7] = 1.0
    assert turned(images, 90)[0, 0, 1, 4] == pytest.approx(1.0, abs=1e-5)


def test_zero_is_the_identity():
    images = torch.rand(2, 1, 7, 12, generator=stream(0), dtype=torch.float64)
    assert torch.allclose(turned(images, 0), images, atol=1e-12)


@pytest.mark.parametrize("angle", [10.0, 123.0, 300.0])
def test_a_whole_turn_more_is_the_same(angle):
    images = torch.rand(2, 1, 7, 12, generator=stream(0), dtype=torch.float64)
    assert torch.allclose(turned(images, angle), turned(images, angle + 360), atol=1e-10)
    assert torch.allclose(turned(images, angle), turned(images, angle - 720), atol=1e-10)


def test_half_a_turn_of_an_image_that_is_not_square_is_exact():
    images = torch.rand(2, 1, 7, 12, generator=stream(0), dtype=torch.float64)
    assert torch.allclose(turned(images, 180), images.flip(2, 3), atol=1e-12)


@pytest.mark.parametrize("size", [(31, 31), (31, 45), (45, 31)])
@pytest.mark.parametrize("angle", [30.0, 90.0, 200.0])
def test_distances_are_kept_on_any_image(size, angle):
    """The brightest blob lies where a rotation in pixels about the centre puts it."""
    found = turned(smooth(*size), angle)[0, 0]
    top, left = divmod(int(found.argmax()), size[1])
    t = math.radians(angle)
    y, x = -5.0, 2.0  # down, right
    wanted = (-math.sin(t) * x + math.cos(t) * y, math.cos(t) * x + math.sin(t) * y)
    assert top - (size[0] - 1) / 2 == pytest.approx(wanted[0], abs=0.75)
    assert left - (size[1] - 1) / 2 == pytest.approx(wanted[1], abs=0.75)


def test_there_and_back_is_nearly_the_identity():
    image = smooth(31, 45)
    assert (turned(turned(image, 33), -33) - image).abs().max() < 0.05


def test_corners_are_mirrored_not_black():
    assert turned(torch.full((1, 1, 9, 14), 0.7), 45).min() == pytest.approx(0.7, abs=1e-5)


def test_each_image_turns_by_its_own_angle():
    images = torch.rand(3, 1, 8, 8, generator=stream(0), dtype=torch.float64)
    angles = torch.tensor([[0.0], [90.0], [180.0]], dtype=torch.float64)
    found = Rotation().apply(images, torch.zeros(3, 0), angles)
    wanted = torch.cat([torch.rot90(images[k : k + 1], k, (2, 3)) for k in range(3)])
    assert torch.allclose(found, wanted, atol=1e-12)
