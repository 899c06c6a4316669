"""Colour jitter against Pillow and colorsys, its order, its ranges, and the part of an image it is measured on."""

import colorsys
import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from feint.augmentations import ColorJitter
from feint.augmentations.colors import grey, hue_turned, jittered
from feint.core.streams import stream

ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
ORDERS = list(itertools.permutations(range(4)))


def photograph(seed: int, size: tuple[int, int] = (10, 13)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def as_batch(*photographs: np.ndarray) -> torch.Tensor:
    return torch.stack([torch.from_numpy(each) for each in photographs]).permute(0, 3, 1, 2).double() / 255


def pillow_jitter(pixels: np.ndarray, factors: list[float], turns: float, order: tuple[int, ...]) -> np.ndarray:
    """Return the jittered photograph in [0, 1]: three steps by Pillow in bytes, the hue by colorsys."""
    picture = Image.fromarray(pixels)
    for kind in order:
        if kind < 3:
            picture = ENHANCERS[kind](picture).enhance(factors[kind])
        else:
            hsv = [colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in np.asarray(picture).reshape(-1, 3)]
            turned = np.array([colorsys.hsv_to_rgb((h + turns) % 1, s, v) for h, s, v in hsv])
            picture = Image.fromarray(np.rint(255 * turned).astype(np.uint8).reshape(pixels.shape))
    return np.asarray(picture) / 255


def noise_in_order(order: tuple[int, ...], numbers: list[float]) -> torch.Tensor:
    """Return the noise (1, 8) that draws these numbers and this order."""
    ranks = [order.index(kind) / 4 for kind in range(4)]
    return torch.tensor([[*numbers, *ranks]], dtype=torch.float64)


@pytest.mark.parametrize("turns", [-0.5, -0.2, 0.0, 0.07, 0.3, 1.0])
def test_the_hue_turns_as_in_colorsys(turns):
    colours = list(itertools.product((0.0, 0.2, 0.5, 1.0), repeat=3))
    images = torch.tensor(colours, dtype=torch.float64).T.reshape(1, 3, 8, 8)
    found = hue_turned(images, torch.tensor([turns], dtype=torch.float64))[0].flatten(1).T
    for colour, got in zip(colours, found.tolist(), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*colour)
        assert got == pytest.approx(colorsys.hsv_to_rgb((h + turns) % 1, s, v), abs=1e-12)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_every_order_equals_pillow_and_colorsys(order):
    """Pillow cuts down to bytes after each of the four steps, and later ones enlarge the error."""
    numbers, spread = [0.7, 0.2, 0.6, 0.8], [0.5, 0.6, 0.7, 0.15]
    factors = [1 - s + 2 * s * u for s, u in zip(spread[:3], numbers[:3], strict=True)]
    turns = spread[3] * (2 * numbers[3] - 1)
    wanted = pillow_jitter(photograph(1), factors, turns, order)
    found = jittered(
        as_batch(photograph(1)), torch.tensor([spread], dtype=torch.float64), noise_in_order(order, numbers)
    )
    assert np.abs(found[0].permute(1, 2, 0).numpy() - wanted).max() < 6 / 255


def test_orders_differ_and_are_all_drawn():
    n = 2400
    images = as_batch(photograph(2)).expand(n, -1, -1, -1)
    noise = torch.rand(n, 8, generator=stream(0), dtype=torch.float64)
    noise[:, :4] = torch.tensor([0.9, 0.1, 0.8, 0.7])
    found = jittered(images, torch.tensor([[0.8, 0.8, 0.8, 0.2]]).double().expand(n, -1), noise).flatten(1)
    _, counts = torch.unique((found * 1e6).round(), dim=0, return_counts=True)
    assert len(counts) == 24
    assert counts.min() > 100 - 5 * 10
    assert counts.max() < 100 + 5 * 10


def test_grey_images_have_brightness_and_contrast_only():
    image = photograph(3)[..., :1]
    numbers, spread = [0.7, 0.2, 0.6, 0.8], torch.tensor([[0.5, 0.6, 0.7, 0.15]]).double()
    found = jittered(as_batch(image), spread, noise_in_order((1, 0, 2, 3), numbers))
    picture = Image.fromarray(image[..., 0])
    for enhancer, factor in ((ImageEnhance.Contrast, 1 - 0.6 * 0.6), (ImageEnhance.Brightness, 1 + 0.5 * 0.4)):
        picture = enhancer(picture).enhance(factor)
    assert np.abs(found[0, 0].numpy() - np.asarray(picture) / 255).max() < 2 / 255


def test_contrast_is_about_the_mean_of_the_part_inside():
    images = as_batch(photograph(4), photograph(5))
    inside = torch.zeros(2, 1, 10, 13, dtype=torch.bool)
    inside[0, :, 2:5, 3:9] = True
    inside[1, :, 6:8, 0:4] = True
    spread = torch.tensor([[0.0, 0.5, 0.0, 0.0]]).double().expand(2, -1)
    noise = torch.full((2, 8), 0.25, dtype=torch.float64)  # a factor of 0.75
    found = jittered(images, spread, noise, inside=inside)
    for k, (rows, columns) in enumerate([(slice(2, 5), slice(3, 9)), (slice(6, 8), slice(0, 4))]):
        mean = grey(images[k : k + 1])[0, 0, rows, columns].mean()
        assert torch.allclose(found[k], 0.75 * images[k] + 0.25 * mean, atol=1e-12)


def test_factors_stay_positive_and_fill_their_range():
    """A white image shows the brightness factor where it is below 1, a dark one where it is above."""
    n = 4000
    spread = torch.tensor([[1.5, 0.0, 0.0, 0.0]]).expand(n, -1)
    noise = torch.rand(n, 8, generator=stream(0))
    factor = jittered(torch.full((n, 1, 2, 2), 0.25), spread, noise)[:, 0, 0, 0] / 0.25
    assert factor.min() >= 0
    assert factor.min() < 0.01
    assert factor.max() > 2.49
    assert factor.mean() == pytest.approx(1.25, abs=5 * 2.5 / (12 * n) ** 0.5)


def test_colours_without_chroma_have_a_finite_gradient():
    images = torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
    hue_turned(images, torch.tensor([0.1, -0.2])).sum().backward()
    assert images.grad.isfinite().all()


def test_strength_scales_the_four_spreads():
    images = as_batch(photograph(6), photograph(7))
    noise = torch.rand(2, 8, generator=stream(1))
    found = ColorJitter().apply(images, noise, torch.tensor([0.5]))
    spread = torch.tensor([[0.4, 0.4, 0.4, 0.1]], dtype=torch.float64).expand(2, -1)
    assert torch.allclose(found, jittered(images, spread, noise.double()), atol=1e-12)
