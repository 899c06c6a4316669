"""Flips and brightness against plain definitions."""

import pytest
import torch

from feint.augmentations import Brightness, Flips
from feint.core.streams import stream


def test_flips_are_the_four_mirror_images_with_equal_chance():
    image = torch.rand(1, 2, 5, 7, generator=stream(0))
    kinds = [image[0], image[0].flip(2), image[0].flip(1), image[0].flip(1, 2)]
    n = 2000
    images = image.expand(n, -1, -1, -1)
    found = Flips().apply(images, Flips().draw(images, generator=stream(1)), torch.zeros(0))
    counts = [sum(torch.equal(each, kind) for each in found) for kind in kinds]
    assert sum(counts) == n
    assert all(abs(count - n / 4) < 4 * (n * 3 / 16) ** 0.5 for count in counts)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_brightness_multiplies_and_clips(factor):
    images = torch.tensor([0.0, 0.4, 0.9, 1.0]).view(1, 1, 2, 2)
    found = Brightness().apply(images, torch.zeros(1, 0), torch.tensor([factor]))
    assert found.flatten().tolist() == pytest.approx([min(x * factor, 1.0) for x in (0.0, 0.4, 0.9, 1.0)])
