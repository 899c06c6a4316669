"""The densities against direct computations."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch.nn.functional import avg_pool2d

from feint.core.errors import CollapseError
from feint.core.streams import stream
from feint.detectors.density import GaussianDensity, PositionDensity, upsample


def correlated(n, d, name="z"):
    """Return (n, d) float64 with correlated features of different scale and mean."""
    chance = stream(0, "density", name)
    mixing = torch.randn(d, d, generator=stream(0, "density", "mixing"), dtype=torch.float64)
    scale = torch.logspace(-1, 1, d, dtype=torch.float64)
    return torch.randn(n, d, generator=chance, dtype=torch.float64) @ mixing * scale + 3 * scale


def fitted(z):
    density = GaussianDensity(z.shape[1])
    density.fit(z)
    return density


def exact(density, z):
    """Return the density's distances in float64; `forward` rounds them to float32 at the end."""
    return (((z - density.centre) / density.spread) @ density.whitener).norm(dim=1)


def floored(z):
    """Return the spread of each feature, at least half the median one."""
    spread = z.std(0, correction=1)
    return spread.clamp(min=float(0.5 * spread.median()))


@pytest.mark.parametrize(("n", "d"), [(40, 6), (12, 30)])
def test_gaussian_equals_a_direct_computation_with_the_ledoit_wolf_precision(n, d):
    z, new = correlated(n, d), correlated(9, d, "new")
    mean, spread = z.numpy().mean(0), floored(z).numpy()
    covariance = LedoitWolf(assume_centered=True).fit((z.numpy() - mean) / spread).covariance_ + 1e-6 * np.eye(d)
    centred = (new.numpy() - mean) / spread
    wanted = np.sqrt(np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred))
    density = fitted(z)
    assert np.allclose(exact(density, new).numpy(), wanted, rtol=1e-8)
    assert np.allclose(density(new).numpy(), wanted, rtol=1e-6)


def test_the_ridge_changes_distances_by_less_than_a_thousandth():
    z, new = correlated(40, 6), correlated(9, 6, "new")
    plain = LedoitWolf(assume_centered=True).fit(((z - z.mean(0)) / floored(z)).numpy())
    wanted = np.sqrt(plain.mahalanobis(((new - z.mean(0)) / floored(z)).numpy()))
    assert np.allclose(fitted(z)(new).numpy(), wanted, rtol=1e-3)


def test_gaussian_is_invariant_to_a_common_scale_and_to_shifts():
    z, new = correlated(40, 6), correlated(9, 6, "new")
    shift = torch.linspace(-5, 5, 6, dtype=torch.float64)
    wanted = exact(fitted(z), new)
    assert torch.allclose(exact(fitted(z * 37 + shift), new * 37 + shift), wanted, rtol=1e-8)
    assert torch.allclose(exact(fitted(-z), -new), wanted, rtol=1e-8)


def test_with_few_images_a_feature_that_hardly_ever_moves_weighs_less():
    z = torch.randn(30, 40, generator=stream(0, "still"), dtype=torch.float64)
    z[:, 39] *= 1e-3
    strange = z.mean(0, keepdim=True)
    strange[0, 39] += 0.1
    covariance = LedoitWolf(assume_centered=True).fit(((z - z.mean(0)) / z.std(0)).numpy()).covariance_
    alone = np.sqrt(np.linalg.inv(covariance)[39, 39]) * 0.1 / float(z[:, 39].std())
    assert 10 * float(exact(fitted(z), strange)) < alone


def test_gaussian_is_invariant_to_the_order_of_features_and_of_images():
    z, new = correlated(40, 6), correlated(9, 6, "new")
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    wanted = exact(fitted(z), new)
    assert torch.allclose(exact(fitted(z[:, order]), new[:, order]), wanted, rtol=1e-8)
    assert torch.allclose(exact(fitted(z.flip(0)), new), wanted, rtol=1e-8)


def test_distance_is_zero_at_the_mean_and_grows_along_every_ray():
    z = correlated(40, 6)
    density = fitted(z)
    ray = z.mean(0) + torch.linspace(0, 5, 6, dtype=torch.float64)[:, None] * correlated(1, 6, "ray")
    distances = density(ray)
    assert distances[0] < 1e-6
    assert (distances.diff() > 0).all()


def test_dead_features_do_no_harm_and_notice_when_they_come_alive():
    z = correlated(40, 6)
    z[:, 2] = 1.5
    density, new = fitted(z), correlated(9, 6, "new")
    new[:, 2] = 1.5
    before = density(new)
    assert before.isfinite().all()
    new[:, 2] = 9.0
    assert (density(new) > before).all()


def test_constant_embeddings_are_a_collapse():
    with pytest.raises(CollapseError, match="all normal images are the same"):
        fitted(torch.full((20, 4), 0.3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_embeddings_that_are_not_finite_are_a_collapse(bad):
    z = correlated(20, 4)
    z[3, 1] = bad
    with pytest.raises(CollapseError, match="not finite"):
        fitted(z)


def test_one_image_is_a_collapse():
    with pytest.raises(CollapseError):
        fitted(correlated(1, 4))


def maps(n, name="maps", *, c=3, h=5, w=4):
    return torch.randn(n, c, h, w, generator=stream(0, name)) * 2 + 1


def test_position_equals_a_direct_loop():
    z, new = maps(30), maps(6, "new")
    density = PositionDensity(3, (5, 4))
    density.fit(z)
    found = density(new)
    smooth = [avg_pool2d(x.double(), 3, stride=1, padding=1, count_include_pad=False).numpy() for x in (z, new)]
    for i in range(5):
        for j in range(4):
            normal, other = smooth[0][:, :, i, j], smooth[1][:, :, i, j]
            covariance = np.cov(normal.T, bias=True)
            shrunk = 0.9 * covariance + 0.1 * np.trace(covariance) / 3 * np.eye(3)
            centred = other - normal.mean(0)
            wanted = np.sqrt(np.einsum("ij,jk,ik->i", centred, np.linalg.inv(shrunk), centred))
            assert np.allclose(found[:, i, j].numpy(), wanted, rtol=1e-4)


def test_position_knows_its_place():
    """A value that is normal on the left is anomalous on the right."""
    z = 0.1 * maps(30, h=4, w=8)
    z[..., 4:] += 5
    density = PositionDensity(3, (4, 8))
    density.fit(z)
    moved = z[:1].clone()
    moved[..., 6:] -= 5
    assert density(moved)[0, :, 7].min() > 5 * density(z[:1])[0].max()


def test_fewer_images_than_channels_still_give_finite_distances():
    density = PositionDensity(16, (3, 3))
    density.fit(maps(5, c=16, h=3, w=3))
    assert density(maps(4, "new", c=16, h=3, w=3)).isfinite().all()


def test_a_position_that_never_varies_does_no_harm():
    z = maps(30)
    z[:, :, :3, :3] = 0.7
    density = PositionDensity(3, (5, 4))
    density.fit(z)
    assert density(z).isfinite().all()
    assert density(z)[:, 0, 0].max() < 1e-2


def test_upsampling_keeps_constants_and_places():
    coarse = torch.zeros(1, 4, 5)
    coarse[0, 1, 3] = 1.0
    fine = upsample(coarse, (16, 20))
    assert fine.shape == (1, 16, 20)
    top, left = divmod(int(fine.argmax()), 20)
    assert top // 4 == 1
    assert left // 4 == 3
    assert torch.allclose(upsample(torch.full((2, 3, 3), 0.4), (7, 9)), torch.full((2, 7, 9), 0.4))
