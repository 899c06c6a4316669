"""CutDiff against the values of its formula, and a mask computed pixel by pixel."""

import math

import pytest
import torch

from feint.augmentations import CutDiff
from feint.core.streams import stream

CUTDIFF = CutDiff()
CENTRE = torch.tensor([[0.5, 0.5]], dtype=torch.float64)


def mask(area, aspect, angle, *, size=(41, 41), noise=CENTRE):
    magnitudes = torch.tensor([[area, aspect, angle, 1.0]], dtype=torch.float64)
    return CUTDIFF.mask(noise, magnitudes, size=size)[0]


def direct_mask(area, aspect, angle, *, size, centre):
    """The formula, pixel by pixel, in pixels."""
    height, width = size
    t = math.radians(angle)
    s_h, s_w = math.sqrt(area / aspect * height * width), math.sqrt(area * aspect * height * width)
    g = torch.empty(size, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            dy, dx = i + 0.5 - centre[0] * height, j + 0.5 - centre[1] * width
            along = (math.cos(t) * dy + math.sin(t) * dx) / s_h
            across = (-math.sin(t) * dy + math.cos(t) * dx) / s_w
            g[i, j] = math.exp(-(along**2 + across**2) / 0.2)
    return g


@pytest.mark.parametrize("angle", [0.0, 37.0, 90.0, 171.0])
@pytest.mark.parametrize("size", [(12, 12), (9, 16)])
def test_mask_equals_the_formula(angle, size):
    found = mask(0.07, 0.3, angle, size=size, noise=torch.tensor([[0.3, 0.8]], dtype=torch.float64))
    assert torch.allclose(found, direct_mask(0.07, 0.3, angle, size=size, centre=(0.3, 0.8)), atol=1e-12)


def test_values_at_the_centre_the_nominal_edge_and_beyond():
    """With 41 px and a patch 20 px high, the pixels 10 and 20 below the centre lie at ||d|| = 1/2 and 1."""
    g = mask((20 / 41) ** 2, 1.0, 0.0)
    assert g[20, 20].item() == pytest.approx(1, abs=1e-12)
    assert g[30, 20].item() == pytest.approx(math.exp(-1.25), rel=1e-9)
    assert g[40, 20].item() == pytest.approx(math.exp(-5), rel=1e-9)
    assert torch.allclose(g, g.T)


def test_aspect_is_width_over_height():
    g = mask(0.02, 0.25, 0.0)
    assert g[:, 20].sum().item() == pytest.approx(4 * g[20, :].sum().item(), rel=1e-3)


def test_integral_of_the_mask_is_that_of_its_gaussian():
    """2 pi tau times the area, whatever the shape: area is a share of the image on any image."""
    for size in [(64, 64), (40, 90)]:
        assert mask(0.02, 0.3, 25.0, size=size).mean().item() == pytest.approx(2 * math.pi * 0.1 * 0.02, rel=1e-3)


def angle_gradient(aspect):
    angle = torch.tensor(30.0, dtype=torch.float64, requires_grad=True)
    fixed = [torch.tensor(x, dtype=torch.float64) for x in (0.05, aspect)]
    magnitudes = torch.stack([*fixed, angle, torch.tensor(1.0, dtype=torch.float64)])[None]
    g = CUTDIFF.mask(torch.tensor([[0.45, 0.6]], dtype=torch.float64), magnitudes, size=(16, 24))
    jacobian = torch.stack([torch.autograd.grad(x, angle, retain_graph=True)[0] for x in g.flatten()])
    return jacobian.abs().max().item()


def test_a_round_patch_gives_its_angle_no_gradient_and_a_long_one_does():
    assert angle_gradient(1.0) < 1e-15
    assert angle_gradient(0.5) > 1e-3


def test_half_a_turn_is_the_same_patch():
    assert torch.allclose(mask(0.05, 0.3, 20.0, size=(17, 30)), mask(0.05, 0.3, 200.0, size=(17, 30)), atol=1e-12)


def test_the_inverse_aspect_is_a_quarter_turn():
    assert torch.allclose(mask(0.05, 0.3, 20.0, size=(17, 30)), mask(0.05, 1 / 0.3, 110.0, size=(17, 30)), atol=1e-12)


@pytest.mark.parametrize("size", [(31, 31), (21, 61)])
def test_rotation_of_the_patch_is_a_true_one(size):
    """The second moments, in pixels, turn by the angle on images that are not square as well."""
    g = mask(0.01, 0.3, 35.0, size=size)
    y = torch.arange(size[0], dtype=torch.float64) - size[0] // 2
    x = torch.arange(size[1], dtype=torch.float64) - size[1] // 2
    moments = [(g * w).sum() / g.sum() for w in (y[:, None] ** 2, x[None, :] ** 2, y[:, None] * x[None, :])]
    yy, xx, yx = (float(each) for each in moments)
    direction = math.degrees(0.5 * math.atan2(2 * yx, yy - xx))  # of the long axis, from down towards right
    assert direction == pytest.approx(35.0, abs=0.1)
    spread = math.hypot((yy - xx) / 2, yx)
    assert ((yy + xx) / 2 + spread) / ((yy + xx) / 2 - spread) == pytest.approx(1 / 0.3**2, rel=0.02)


@pytest.mark.parametrize("amplitude", [0.3, -0.3])
def test_the_amplitude_is_subtracted(amplitude):
    images = torch.full((3, 2, 10, 14), 0.5)
    noise = CUTDIFF.draw(images, generator=stream(0))
    magnitudes = torch.tensor([0.05, 0.5, 20.0, amplitude])
    found = CUTDIFF.apply(images, noise, magnitudes)
    g = CUTDIFF.mask(noise, magnitudes.expand(3, 4), size=(10, 14))
    assert torch.allclose(found, 0.5 - amplitude * g[:, None].expand(3, 2, 10, 14))


def test_starts_lie_in_the_ranges():
    ranges = {m.name: (m.low, m.high) for m in CutDiff.magnitudes}
    assert all(start.keys() == ranges.keys() for start in CutDiff.starts)
    assert all(low <= start[name] <= high for start in CutDiff.starts for name, (low, high) in ranges.items())
