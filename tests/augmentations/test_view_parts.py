"""What only views are made of keeps the contract of augmentations, and does what Pillow does."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from feint.augmentations import AUGMENTATIONS, NUISANCES, VIEW_PARTS, Grey, Mirror, Solarise
from feint.augmentations.views import PARTS, PROBABILITIES
from feint.core.streams import stream
from feint.testing.augmentations import AUGMENTATION_CHECKS

NONE = torch.zeros(0)


def photographs(channels: int = 3, n: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, 9, 12), generator=stream(0), dtype=torch.uint8)


def pillow(pixels: torch.Tensor) -> Image.Image:
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def as_images(pictures: list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(each) for each in pictures])).permute(0, 3, 1, 2).double() / 255


@pytest.mark.parametrize("check", AUGMENTATION_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", VIEW_PARTS)
def test_contract(name, check):
    check(VIEW_PARTS[name]())


def test_the_catalogues_share_no_name_and_views_take_from_all():
    assert not VIEW_PARTS.keys() & (AUGMENTATIONS.keys() | NUISANCES.keys())
    assert all(name == each.name for name, each in VIEW_PARTS.items())
    assert {name: type(each.augmentation) for name, each in PARTS.items()} == VIEW_PARTS | NUISANCES
    assert PROBABILITIES.keys() <= PARTS.keys() | AUGMENTATIONS.keys()


def test_mirror_is_pillows():
    pixels = photographs()
    wanted = as_images([ImageOps.mirror(pillow(each)) for each in pixels])
    assert torch.equal(Mirror().apply(pixels.double() / 255, torch.zeros(3, 0), NONE), wanted)


def test_grey_is_pillows_luma_in_every_channel():
    pixels = photographs()
    wanted = as_images([pillow(each).convert("L").convert("RGB") for each in pixels])
    found = Grey().apply(pixels.double() / 255, torch.zeros(3, 0), NONE)
    assert (found - wanted).abs().max() < 1 / 255
    assert torch.equal(found[:, 0], found[:, 2])


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_leaves_images_without_colours_alone(channels):
    images = photographs(channels).double() / 255
    assert torch.equal(Grey().apply(images, torch.zeros(3, 0), NONE), images)


@pytest.mark.parametrize("threshold", [1, 100, 128, 255])
def test_solarise_is_pillows(threshold):
    pixels = photographs()
    wanted = as_images([ImageOps.solarize(pillow(each), threshold) for each in pixels])
    found = Solarise().apply(pixels.double() / 255, torch.zeros(3, 0), torch.tensor([(threshold - 0.5) / 255]).double())
    assert torch.allclose(found, wanted, atol=1e-12)
