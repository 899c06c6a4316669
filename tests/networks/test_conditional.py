"""The conditioned network: at each setting a plain classifier, smooth in the setting, the same after a whole turn."""

import math

import pytest
import torch

from feint.augmentations import CutDiff, CutPaste, Rotation
from feint.core.streams import stream
from feint.networks.conditional import ConditionedClassifier
from feint.networks.conv import Classifier

SETTINGS = torch.tensor([[0.02, 0.5, 30.0, 0.4], [0.2, 0.9, 120.0, -0.7], [0.4, 0.15, 0.0, 0.0]], dtype=torch.float64)


def images(n=5, channels=1):
    return torch.rand(n, channels, 12, 10, generator=stream(0, "images"), dtype=torch.float64)


@pytest.fixture
def network():
    """Return one in double precision whose condition matters: a fresh one ignores it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = ConditionedClassifier(1, CutDiff.magnitudes, width=8, depth=3).double()
        torch.nn.init.normal_(found.film[-1].weight, std=0.2)
        torch.nn.init.normal_(found.film[-1].bias, std=0.2)
    return found


@pytest.mark.parametrize("setting", SETTINGS)
def test_at_a_setting_it_is_a_plain_classifier(network, setting):
    embeddings, logits = network(images(), setting)
    plain = network.at(setting)
    assert isinstance(plain, Classifier)
    assert torch.allclose(plain(images())[0], embeddings, rtol=1e-12, atol=1e-14)
    assert torch.allclose(plain(images())[1], logits, rtol=1e-12, atol=1e-14)


def test_settings_differ_and_each_image_may_have_its_own(network):
    batch = images(3)
    together = network(batch, SETTINGS)[1]
    alone = torch.cat([network(batch[i : i + 1], SETTINGS[i])[1] for i in range(3)])
    assert torch.allclose(together, alone, rtol=1e-12)
    assert (together - network(batch, SETTINGS.flip(0))[1])[[0, 2]].abs().min() > 1e-3


def test_a_fresh_one_ignores_its_condition():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = ConditionedClassifier(1, CutDiff.magnitudes, width=8, depth=3).double()
    for setting in SETTINGS:
        assert torch.allclose(fresh(images(), setting)[1], fresh.classifier(images())[1], rtol=1e-12)


def test_the_gradient_by_the_magnitudes_equals_finite_differences(network):
    inside = SETTINGS[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: network(images(2), a), (inside,), eps=1e-6, atol=1e-7)
    (gradient,) = torch.autograd.grad(network(images(2), inside)[1].sum(), inside)
    assert (gradient.abs() > 1e-8).all(), "every magnitude is felt"


def test_weights_are_trained_through_the_condition_alone(network):
    network(images(3), SETTINGS)[1].sum().backward()
    without = [name for name, each in network.named_parameters() if each.grad is None]
    assert without == [
        name for name, each in network.named_parameters() if name.endswith(("1.weight", "1.bias")) and "stages" in name
    ]
    assert len(without) == 2 * 3


def test_a_copy_is_taken(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plain = network.at(SETTINGS[0])
    assert all(each.requires_grad for each in plain.parameters())
    with torch.no_grad():
        for each in plain.parameters():
            each.zero_()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("turn", [-360.0, 360.0, 720.0])
def test_the_encoding_of_an_angle_is_the_same_after_a_whole_turn(turn):
    network = ConditionedClassifier(1, Rotation.magnitudes, width=8, depth=2)
    angles = torch.linspace(0, 360, 13, dtype=torch.float64)[:, None]
    assert torch.allclose(network.encode(angles), network.encode(angles + turn), atol=1e-12)
    assert torch.allclose(network.encode(angles)[0], network.encode(angles)[-1], atol=1e-12)
    assert (network.encode(angles).diff(dim=0).norm(dim=1) > 0.5).all(), "and different in between"


def test_the_encoding_of_a_bounded_magnitude_tells_its_ends_apart():
    network = ConditionedClassifier(1, CutPaste.magnitudes[:1], width=8, depth=2)
    (area,) = network.magnitudes
    shares = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    found = network.encode(area.at(shares)[:, None])
    expected = torch.stack([torch.sin(math.pi * shares), torch.cos(math.pi * shares), 2 * shares - 1], dim=1)
    assert torch.allclose(found, expected, atol=1e-12)


def test_every_magnitude_has_columns_of_its_own(network):
    encoded = network.encode(SETTINGS[:1])
    for i, magnitude in enumerate(CutDiff.magnitudes):
        moved = SETTINGS[:1].clone()
        moved[0, i] = magnitude.at(torch.tensor(0.77, dtype=torch.float64))
        changed = ((network.encode(moved) - encoded).abs() > 1e-9)[0]
        assert int(changed.sum()) == (2 if magnitude.scale == "periodic" else 3)
    assert encoded.shape == (1, 11)
