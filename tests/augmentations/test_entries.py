"""What works entry by entry: masks, noise and blur, against their distributions and scipy."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from feint.augmentations import Blur, Mask, Noise
from feint.core.streams import stream


def test_noise_is_normal_of_the_given_width():
    images = torch.full((64, 3, 16, 16), 0.5)
    noise = Noise().draw(images, generator=stream(0))
    added = ((Noise().apply(images, noise, torch.tensor([0.2])) - images) / 0.2).flatten().double()
    assert stats.kstest(added.numpy(), "norm").pvalue > 0.001
    assert added.std().item() == pytest.approx(1, abs=5 / (2 * added.numel()) ** 0.5)


def test_noise_equals_scipys_quantiles():
    noise = torch.tensor([[0.001, 0.25, 0.5, 0.975]], dtype=torch.float64)
    images = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    found = Noise().apply(images, noise, torch.tensor([1.0])).flatten()
    assert found.numpy() == pytest.approx(stats.norm.ppf(noise[0].numpy()), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_of_the_smallest_and_largest_number_is_finite(dtype):
    images = torch.zeros(1, 1, 1, 2, dtype=dtype)
    ends = torch.tensor([[0.0, 1 - 2**-24]])
    found = Noise().apply(images, ends, torch.tensor([1.0])).flatten()
    assert found.isfinite().all()
    assert found[0] < -5
    assert found[1] > 5


def test_channels_have_noise_of_their_own():
    images = torch.full((32, 3, 16, 16), 0.5)
    noise = Noise().draw(images, generator=stream(0))
    added = (Noise().apply(images, noise, torch.tensor([0.1])) - images).transpose(0, 1).flatten(1)
    assert (torch.corrcoef(added) - torch.eye(3)).abs().max() < 0.06


def test_a_mask_sets_entries_to_zero_and_leaves_the_others():
    images = torch.rand(8, 3, 9, 11, generator=stream(0)) + 0.1
    found = Mask().apply(images, Mask().draw(images, generator=stream(1)), torch.tensor([0.3]))
    hidden = found == 0
    assert torch.equal(found, images.masked_fill(hidden, 0))
    assert 0.25 < hidden.float().mean() < 0.35
    assert hidden.any(1).float().mean() > 0.6, "channels are hidden one by one"


@pytest.mark.parametrize(("side", "taps"), [(9, 3), (28, 3), (32, 3), (64, 7), (128, 13), (256, 25)])
def test_the_kernel_has_the_taps_of_the_paper(side, taps):
    """A single white pixel shows them."""
    assert Blur.taps(side, side) == taps
    images = torch.zeros(1, 1, side, side, dtype=torch.float64)
    images[0, 0, side // 2, side // 2] = 1
    found = Blur().apply(images, torch.zeros(1, 0), torch.tensor([2.0]))[0, 0]
    assert int((found[side // 2] > 0).sum()) == int((found[:, side // 2] > 0).sum()) == taps
    assert found.sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", [(32, 32), (40, 33), (70, 64)])
def test_the_blur_equals_scipy_with_a_width_of_its_own_for_each_image(size):
    images = torch.rand(3, 2, *size, generator=stream(0), dtype=torch.float64)
    sigmas = [0.1, 0.8, 2.0]
    found = Blur().apply(images, torch.zeros(3, 0), torch.tensor(sigmas)[:, None])
    radius = Blur.taps(*size) // 2
    for k, sigma in enumerate(sigmas):
        for channel in range(2):
            wanted = ndimage.gaussian_filter(images[k, channel].numpy(), sigma, mode="mirror", radius=radius)
            assert np.abs(found[k, channel].numpy() - wanted).max() < 1e-6
