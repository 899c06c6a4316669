"""What moves whole images: right angles, flips, GEOM, inversion and crops, against numpy and Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from feint.augmentations import Crop, Geom, Invert, RightAngles, VerticalFlip
from feint.core.errors import SettingError
from feint.core.streams import stream

NONE = torch.zeros(0)


def picture(side: int = 8, channels: int = 2) -> torch.Tensor:
    return torch.rand(1, channels, side, side, generator=stream(0, "picture")) / 2 + 0.25


def numpy_geom(image: np.ndarray, k: int) -> np.ndarray:
    """Outcome `k`, pixel by pixel, of an image (side, side)."""
    side, (mirror, i, j, turns) = len(image), np.unravel_index(k, (2, 3, 3, 4))
    step = [0, -round(side / 4), round(side / 4)]
    moved = np.zeros_like(image)
    for y in range(side):
        for x in range(side):
            source_y, source_x = y - step[j], x - step[i]
            if 0 <= source_y < side and 0 <= source_x < side:
                moved[y, x] = image[source_y, side - 1 - source_x if mirror else source_x]
    return np.rot90(moved, turns)


@pytest.mark.parametrize("turns", range(4))
def test_outcome_k_is_k_quarter_turns(turns):
    found = RightAngles().outcome(picture(), torch.tensor([turns]))
    assert np.array_equal(found[0, 1], np.rot90(picture()[0, 1], turns))


@pytest.mark.parametrize("side", [8, 9, 28])
def test_geom_equals_its_definition_pixel_by_pixel(side):
    image = picture(side, channels=1)
    found = Geom().outcome(image.expand(72, -1, -1, -1), torch.arange(72))
    for k in range(72):
        assert np.array_equal(found[k, 0], numpy_geom(image[0, 0].numpy(), k)), k


def test_geom_has_72_distinct_outcomes():
    found = Geom().outcome(picture(32).expand(72, -1, -1, -1), torch.arange(72))
    assert len(torch.unique(found.flatten(1), dim=0)) == 72


@pytest.mark.parametrize("augmentation", [RightAngles(), Geom()], ids=["rotate", "geom"])
def test_oblong_images_are_refused_with_their_size(augmentation):
    images = torch.rand(2, 1, 6, 8)
    with pytest.raises(SettingError, match="6 x 8"):
        augmentation.apply(images, augmentation.draw(images, generator=stream(0)), NONE)
    with pytest.raises(SettingError, match="square"):
        augmentation.outcome(images, torch.tensor([0, 1]))


def test_images_of_one_batch_keep_their_order():
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(-1, -1, 4, 4) / 8
    which = torch.tensor([3, 0, 2, 1, 3, 3, 0, 1])
    assert torch.equal(RightAngles().outcome(images, which), images)


def test_the_flip_exchanges_top_and_bottom():
    images = torch.rand(2, 3, 5, 7, generator=stream(0))
    noise = torch.tensor([[0.3], [0.7]])
    found = VerticalFlip().apply(images, noise, torch.tensor([0.5]))
    assert np.array_equal(found[0], np.flip(images[0].numpy(), 1))
    assert torch.equal(found[1], images[1])


def test_inversion_is_one_minus_the_image():
    images = torch.rand(2, 3, 5, 7, generator=stream(0))
    found = Invert().outcome(images, torch.tensor([1, 0]))
    assert torch.equal(found[0], 1 - images[0])
    assert torch.equal(found[1], images[1])


def pillow_crop(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """Return the box (left, top, right, bottom) of an image (h, w), enlarged to its size."""
    height, width = image.shape
    turned = Image.fromarray(image).transform(
        (width, height), Image.Transform.EXTENT, box, resample=Image.Resampling.BILINEAR
    )
    return np.asarray(turned)


@pytest.mark.parametrize(("area", "aspect"), [(0.3, 1.2), (0.1, 0.8), (0.6, 1.0)])
def test_a_crop_equals_pillow(area, aspect):
    height, width = 24, 30
    images = torch.rand(1, 1, height, width, generator=stream(2))
    tall, wide = (area * height * width / aspect) ** 0.5, (area * height * width * aspect) ** 0.5
    top, left = 0.4 * (height - tall), 0.7 * (width - wide)
    found = Crop().apply(images, torch.tensor([[0.4, 0.7]]), torch.tensor([area, aspect]))
    wanted = pillow_crop(images[0, 0].numpy(), (left, top, left + wide, top + tall))
    assert np.abs(found[0, 0].numpy() - wanted).max() < 1e-3


def test_the_whole_image_is_the_largest_crop():
    images = torch.rand(4, 1, 9, 9, generator=stream(0), dtype=torch.float64)
    found = Crop().apply(images, Crop().draw(images, generator=stream(1)), torch.tensor([1.0, 1.0]))
    assert torch.allclose(found, images, atol=1e-12)


def test_crops_lie_inside_and_reach_every_border():
    """A ramp tells where each crop begins and ends."""
    n, side = 2000, 32
    ramp = ((torch.arange(side) + 0.5) / side)[None, None, None, :].expand(n, 1, side, side)
    found = Crop().apply(ramp, Crop().draw(ramp, generator=stream(3)), torch.tensor([0.25, 1.0]))[:, 0, 0]
    step = found[:, 16] - found[:, 15]
    assert torch.allclose(step, torch.full_like(step, 0.5 / side), atol=1e-5)
    left = found[:, 16] - 16.5 * step
    assert left.min() >= -1e-5
    assert left.max() <= 0.5 + 1e-5
    assert left.mean() == pytest.approx(0.25, abs=5 * 0.5 / (12 * n) ** 0.5)


def test_crops_longer_than_the_image_are_cut():
    images = torch.rand(2, 1, 8, 8, generator=stream(0), dtype=torch.float64)
    found = Crop().apply(images, torch.tensor([[0.0, 0.0], [0.9, 0.5]]), torch.tensor([1.0, 4 / 3]))
    wide_enough = Crop().apply(images, torch.tensor([[0.0, 0.9], [0.9, 0.1]]), torch.tensor([1.0, 4 / 3]))
    assert torch.allclose(found, wide_enough, atol=1e-12), "all columns are there, wherever the box is put"
    assert not torch.allclose(found, images, atol=1e-3)
