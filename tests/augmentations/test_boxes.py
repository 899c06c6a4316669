"""CutOut and CutPaste: boxes of the right size, wholly inside, filled with what they should be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feint.augmentations import CutOut, CutPaste
from feint.core.streams import stream

AREAS, ASPECTS = st.floats(0.02, 0.15), st.floats(0.3, 3.3)
SIZES = st.sampled_from([(16, 16), (20, 24), (40, 33)])


def sides(size, area, aspect):
    """Height and width of a box in whole pixels."""
    pixels = area * size[0] * size[1]
    return (
        min(max(round((pixels / aspect) ** 0.5), 1), size[0] - 1),
        min(max(round((pixels * aspect) ** 0.5), 1), size[1] - 1),
    )


def box(changed):
    """Return top, left, height and width of the smallest box around what changed (h, w)."""
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


@given(size=SIZES, area=AREAS, aspect=ASPECTS, seed=st.integers(0, 99))
def test_cutout_blackens_a_whole_box_of_the_right_size(size, area, aspect, seed):
    images = torch.full((2, 3, *size), 0.5)
    noise = CutOut().draw(images, generator=stream(seed))
    found = CutOut().apply(images, noise, torch.tensor([area, aspect]))
    assert set(found.unique().tolist()) == {0.0, 0.5}
    for image in found:
        black = image[0] == 0
        assert torch.equal(image == 0, black.expand(3, *size))
        _, _, height, width = box(black)
        assert black.sum() == height * width
        wanted = sides(size, area, aspect)
        assert abs(height - wanted[0]) <= 1  # a half may round either way
        assert abs(width - wanted[1]) <= 1


@pytest.mark.parametrize("area", [0.02, 0.07, 0.15])
def test_cutout_area_is_right_on_average(area):
    """Over shapes, rounding to whole pixels averages out."""
    aspects = torch.linspace(-1, 1, 200).exp()
    images = torch.ones(200, 1, 64, 64)
    found = CutOut().apply(
        images, CutOut().draw(images, generator=stream(0)), torch.stack([torch.full((200,), area), aspects], dim=1)
    )
    assert (found == 0).float().mean().item() == pytest.approx(area, rel=0.03)


def test_boxes_reach_every_border():
    images = torch.ones(400, 1, 12, 15)
    found = CutOut().apply(images, CutOut().draw(images, generator=stream(0)), torch.tensor([0.05, 1.0]))
    assert (found == 0).any(0)[0].all()


@given(size=SIZES, area=AREAS, aspect=ASPECTS, seed=st.integers(0, 99))
def test_cutpaste_moves_pixels_within_one_image(size, area, aspect, seed):
    """Pixels carry their own address, so that what was pasted tells where it came from."""
    n, (h, w) = 3, size
    address = torch.arange(n * h * w, dtype=torch.float64).view(n, 1, h, w) / (n * h * w)
    found = CutPaste().apply(
        address, CutPaste().draw(address, generator=stream(seed)), torch.tensor([area, aspect, 0.0])
    )
    wanted = sides(size, area, aspect)
    for k in range(n):
        changed = found[k, 0] != address[k, 0]
        if not changed.any():
            continue  # pasted onto itself
        source = (found[k, 0] * n * h * w).round().long()
        assert ((source >= k * h * w) & (source < (k + 1) * h * w)).all(), "a pixel of another image"
        shift = (source - (address[k, 0] * n * h * w).round().long())[changed].unique()
        assert len(shift) == 1, "one box, moved as a whole"
        _, _, height, width = box(changed)
        assert changed.sum() == height * width
        assert abs(height - wanted[0]) <= 1
        assert abs(width - wanted[1]) <= 1


def test_cutpaste_keeps_channels_together():
    grey = torch.rand(4, 1, 16, 20, generator=stream(0))
    images = torch.cat([grey, 1 - grey, grey / 2], dim=1)
    found = CutPaste().apply(images, CutPaste().draw(images, generator=stream(1)), torch.tensor([0.1, 2.0, 0.0]))
    assert torch.allclose(found[:, 1], 1 - found[:, 0], atol=1e-6)
    assert torch.allclose(found[:, 2], found[:, 0] / 2, atol=1e-6)
    assert not torch.equal(found, images)


@pytest.mark.parametrize("augmentation", [CutOut(), CutPaste()], ids=["cutout", "cutpaste"])
@pytest.mark.parametrize("size", [(2, 2), (3, 40)])
def test_tiny_images_keep_some_of_themselves(augmentation, size):
    images = torch.rand(8, 1, *size, generator=stream(0)) / 2 + 0.5
    magnitudes = torch.tensor([0.15, 3.3, 0.1])[: len(augmentation.magnitudes)]
    found = augmentation.apply(images, augmentation.draw(images, generator=stream(1)), magnitudes)
    assert (found == images).flatten(1).any(1).all()
