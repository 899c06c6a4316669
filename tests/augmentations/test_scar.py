"""Scars: their size, where they come from, and that nothing but the box is pasted."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feint.augmentations import Scar
from feint.core.streams import stream

H, W = 40, 50


def addresses(n: int, size: tuple[int, int] = (H, W)) -> torch.Tensor:
    """Return images whose pixels hold their own address, the first being 1 / (n h w)."""
    count = n * size[0] * size[1]
    return (torch.arange(count, dtype=torch.float64) + 1).view(n, 1, *size) / count


def scarred(images, height, width, angle, *, jitter=0.0, seed=0):
    magnitudes = torch.tensor([height, width, angle, jitter], dtype=torch.float64)
    return Scar().apply(images, Scar().draw(images, generator=stream(seed)), magnitudes)


@given(
    height=st.floats(10, 24.99),
    width=st.floats(2, 15.99),
    angle=st.floats(-45, 45),
    seed=st.integers(0, 99),
)
def test_every_pasted_pixel_comes_from_one_box_turned_by_the_angle(height, width, angle, seed):
    image = addresses(1)
    found = scarred(image, height, width, angle, seed=seed)[0, 0]
    pasted = (found != image[0, 0]).nonzero()
    if not len(pasted):
        return  # pasted onto itself
    source = (found[pasted[:, 0], pasted[:, 1]] * H * W).round().long() - 1
    down, right = source // W, source % W
    tall, wide = math.floor(height), math.floor(width)
    assert down.max() - down.min() < tall
    assert right.max() - right.min() < wide
    t = math.radians(angle)
    dy, dx = (pasted[:, i].double() - pasted[0, i] for i in range(2))
    assert ((math.cos(t) * dy + math.sin(t) * dx) - (down - down[0])).abs().max() <= 1 + 1e-6
    assert ((math.cos(t) * dx - math.sin(t) * dy) - (right - right[0])).abs().max() <= 1 + 1e-6


@pytest.mark.parametrize(("height", "width"), [(10.0, 2.0), (24.9, 15.9), (17.5, 7.2)])
def test_without_an_angle_the_box_is_exact(height, width):
    """White comes from the left half, black lies in the right one: where both meet, all of the box shows."""
    images = torch.ones(400, 1, 60, 60, dtype=torch.float64)
    images[..., 20:] = 0
    found = scarred(images, height, width, 0.0)
    white = (found[:, 0, :, 40:] == 1).flatten(1).sum(1)
    assert white.max() == math.floor(height) * math.floor(width)


def test_the_area_of_a_turned_scar_is_that_of_the_box():
    """On average, as the nearest pixels are taken."""
    n = 300
    images = addresses(n, (64, 64))
    magnitudes = torch.tensor([[20.0, 8.0, angle, 0.0] for angle in torch.linspace(-45, 45, n)], dtype=torch.float64)
    noise = Scar().draw(images, generator=stream(0))
    noise[:, 0], noise[:, 2] = 0.0, 0.99  # from the top to the bottom: no overlap
    changed = (Scar().apply(images, noise, magnitudes) != images).flatten(1).sum(1).double()
    assert changed.mean().item() == pytest.approx(160, rel=0.01)
    assert (changed - 160).abs().max() <= 12


def test_turned_scars_lie_inside_and_reach_every_border():
    n = 3000
    images = torch.zeros(n, 1, 36, 30)
    noise, magnitudes = Scar().draw(images, generator=stream(0)), torch.tensor([12.0, 5.0, 30.0, 0.0])
    images += torch.rand(36, 30, generator=stream(1))
    changed = (Scar().apply(images, noise, magnitudes) != images)[:, 0]
    touched = changed.any(0)
    assert touched[0].any()
    assert touched[-1].any()
    assert touched[:, 0].any()
    assert touched[:, -1].any()
    rows = changed.any(2).sum(1)
    box = math.ceil(12 * math.cos(math.radians(30)) + 5 * math.sin(math.radians(30)))
    assert rows.max() <= box
    assert (rows >= box - 2).float().mean() > 0.6, "few are cut off or overlap"


def test_a_positive_angle_turns_counter_clockwise_as_seen():
    """The scar's top leans to the left: among its rows, the upper ones lie further left."""
    images = addresses(200, (48, 48))
    noise = Scar().draw(images, generator=stream(0))
    noise[:, 0], noise[:, 2] = 0.0, 0.99
    found = Scar().apply(images, noise, torch.tensor([20.0, 3.0, 40.0, 0.0]))
    for changed in (found != images)[:20, 0]:
        y, x = changed.nonzero().double().unbind(1)
        assert torch.corrcoef(torch.stack([y, x]))[0, 1] > 0.9


def test_jitter_changes_the_scar_and_nothing_else():
    images = torch.rand(50, 3, 40, 40, generator=stream(0))
    plain, changed = (scarred(images, 15.0, 6.0, 20.0, jitter=jitter) for jitter in (0.0, 0.1))
    pasted = ((plain - images).abs() > 1e-6).any(1, keepdim=True)
    elsewhere = ((changed - images).abs() > 1e-6) & ~pasted
    assert not elsewhere.any()
    assert ((changed - plain).abs().amax((1, 2, 3)) > 0.001).float().mean() > 0.9


@pytest.mark.parametrize("size", [(2, 2), (9, 12), (14, 3)])
def test_images_smaller_than_the_scar_are_covered_and_stay_finite(size):
    images = torch.rand(20, 3, *size, generator=stream(0))
    found = scarred(images, 24.0, 15.0, 45.0, jitter=0.1)
    assert found.isfinite().all()
    assert (found != images).any()
