"""The search on a landscape: it finds what was planted, smooths what is noisy, and survives a setting that fails."""

import numpy as np
import pytest
import torch

from feint.augmentations import CutDiff, Rotation
from feint.augmentations.policies import whole_range
from feint.core.streams import numpy_stream, stream
from feint.metrics.roc import auroc
from feint.metrics.two_sample import two_sample_auroc
from feint.networks.conditional import ConditionedClassifier
from feint.testing.detectors import normal_images
from feint.testing.promises import global_generators_untouched
from feint.tuning.landscape import Landscape, LandscapeTuner
from feint.tuning.search import found_by, smoothed

PX = 16
POINTS = 10


def glyphs(n, name, turn=0.0):
    """Return noisy images (n, 1, 16, 16) of a bar with a head, held at about the angle `turn`."""
    chance = stream(0, "glyphs", name)
    angles = turn + 20 * torch.randn(n, 1, generator=chance)
    y, x = torch.meshgrid(torch.linspace(-1, 1, PX), torch.linspace(-1, 1, PX), indexing="ij")
    bar = torch.exp(-((x / 0.2) ** 2) - (y / 0.7) ** 4)
    head = torch.exp(-((y + 0.4) ** 2 + (x - 0.35) ** 2) / 0.06)
    upright = (0.2 + 0.5 * torch.maximum(bar, head)).expand(n, 1, PX, PX)
    turned = Rotation().apply(upright, torch.zeros(n, 0), angles)
    noisy = turned + 0.3 * torch.randn(n, 1, PX, PX, generator=chance)
    return (noisy.clamp(0, 1) * 255).to(torch.uint8)


NORMALS, HELD_OUT = glyphs(150, "normal"), glyphs(60, "held out")
UNLABELLED = torch.cat([glyphs(60, "pool"), glyphs(60, "anomalous", turn=180.0)])


@pytest.fixture(scope="module")
def landscape():
    tuner = LandscapeTuner(width=8, depth=3, steps=100, batch=16, rate=5e-3)
    return tuner.fit(NORMALS, policy=whole_range(Rotation()), seed=1)


def search(landscape, log=lambda number, value: None):
    return found_by(landscape, NORMALS, held_out=HELD_OUT, unlabelled=UNLABELLED, points=POINTS, seed=1, log=log)


@pytest.fixture(scope="module")
def found(landscape):
    return search(landscape)


def test_a_planted_rotation_is_found(found):
    best = int(found.smoothed.argmax())
    assert abs(float(found.points[best]) % 360 - 180) < 60
    aurocs = [auroc(scores[:60].numpy(), scores[60:].numpy()) for scores in found.unlabelled]
    assert aurocs[best] > np.mean(aurocs[:POINTS]) + 0.015


def test_what_was_tried_is_told_in_full(landscape, found):
    assert found.points.shape == (POINTS + 2, 1)
    assert torch.equal(found.points[:POINTS], landscape.points(POINTS, seed=1))
    assert found.held_out.shape == (POINTS + 2, 60)
    assert found.unlabelled.shape == (POINTS + 2, 120)
    for setting, held_out, unlabelled, value in zip(
        found.points, found.held_out, found.unlabelled, found.values, strict=True
    ):
        expected = landscape.scores(setting, NORMALS, [HELD_OUT, UNLABELLED])
        assert torch.equal(held_out, expected[0].pooled)
        assert torch.equal(unlabelled, expected[1].pooled)
        assert float(value) == two_sample_auroc(unlabelled.numpy(), held_out.numpy())


def test_the_smooth_values_are_those_of_all_settings_tried(landscape, found):
    encoded = landscape.network.encode(found.points)
    assert found.smoothed.numpy() == pytest.approx(smoothed(encoded, found.values.tolist(), at=encoded))
    assert found.smoothed.std() <= found.values.std()


def test_the_refined_settings_are_no_worse_than_the_luckiest_point(found):
    assert found.smoothed[POINTS:].max() > found.smoothed[:POINTS].mean()


def test_each_setting_is_logged_and_a_seed_settles_them_all(landscape, found):
    lines = []
    with global_generators_untouched("a search"):
        again = search(landscape, log=lambda *line: lines.append(line))
    assert lines == list(enumerate(found.values.tolist(), start=1))
    assert all(torch.equal(a, b) for a, b in zip(again, found, strict=True))


def test_where_the_embeddings_collapse_the_value_is_chance():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ConditionedClassifier(1, CutDiff.magnitudes, width=8, depth=3)
    with torch.no_grad():
        film = network.film
        film[0].weight.zero_()
        film[0].bias.zero_()
        film[0].weight[0, -1] = 1e30  # bright patches, amplitude < 0, leave it 0; for dark ones gamma overflows
        film[2].weight[:, 0] = 1e30
    policy = whole_range(CutDiff())
    normals, pool = normal_images(40, "normal"), normal_images(40, "pool")
    pool[:20, :, 5:9] -= 60
    half = found_by(
        Landscape(policy, network, (20, 18)), normals,
        held_out=normal_images(30, "held out"), unlabelled=pool, points=8, seed=0, log=lambda number, value: None,
    )  # fmt: skip
    dark = half.points[:, 3] > 0
    assert 2 <= int(dark.sum()) <= 8
    assert half.unlabelled[dark].isnan().all()
    assert half.values[dark].tolist() == [0.5] * int(dark.sum())
    assert half.unlabelled[~dark].isfinite().all()
    assert half.held_out[~dark].isfinite().all()
    assert (half.values[~dark] > 0.6).all()
    assert not dark[half.smoothed.argmax()]


# --- smoothing ----------------------------------------------------------------------------------------------------


def turned(angles):
    radians = torch.as_tensor(angles, dtype=torch.float64).deg2rad()
    return torch.stack([radians.sin(), radians.cos()], dim=1)


def curve(angles):
    return 0.7 + 0.1 * np.cos(np.radians(angles))


@pytest.mark.parametrize("seed", range(4))
def test_a_known_curve_is_recovered_from_noisy_values(seed):
    chance, noise = numpy_stream(seed, "curve"), 0.03
    angles, everywhere = chance.uniform(0, 360, 32), np.linspace(0, 360, 73)
    values = curve(angles) + noise * chance.standard_normal(32)
    expected = smoothed(turned(angles), values.tolist(), at=turned(everywhere))
    assert np.sqrt(np.mean((expected - curve(everywhere)) ** 2)) < 0.8 * noise
    assert expected.shape == (73,)
    assert curve(everywhere[expected.argmax()]) > 0.76


def test_values_without_noise_are_kept():
    angles = np.linspace(0, 345, 24)
    expected = smoothed(turned(angles), curve(angles).tolist(), at=turned(angles))
    assert expected == pytest.approx(curve(angles), abs=3e-3)


def test_pure_noise_is_flattened():
    chance = numpy_stream(0, "noise")
    angles, values = chance.uniform(0, 360, 32), 0.6 + 0.02 * chance.standard_normal(32)
    expected = smoothed(turned(angles), values.tolist(), at=turned(angles))
    assert expected.std() < values.std() / 2


@pytest.mark.parametrize("value", [0.5, 0.93])
def test_constant_values_stay_constant(value):
    angles = np.linspace(0, 300, 9)
    assert smoothed(turned(angles), [value] * 9, at=turned(angles[:4])).tolist() == pytest.approx([value] * 4)


def test_smoothing_leaves_the_global_generators_alone():
    angles = np.linspace(0, 345, 12)
    with global_generators_untouched("smoothing"):
        first, second = (smoothed(turned(angles), curve(angles).tolist(), at=turned(angles)) for _ in range(2))
    assert np.array_equal(first, second)
