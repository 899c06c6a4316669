import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from feint.core.errors import InputError, IntegrityError, SettingError
from feint.networks.architectures import (
    ARCHITECTURES,
    EncoderInfo,
    build,
    full_name,
    load_encoder,
    load_into,
    patch_of,
    save_encoder,
)
from feint.networks.resnet import ResNet8, ResNet18
from feint.networks.vit import ViT


def images(channels=1, side=32, n=2):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_encoder_is_trainable_and_says_its_sizes(name, channels):
    network = build(name, channels=channels, size=(32, 32), seed=0)
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    with torch.no_grad():
        assert network(images(channels)).shape == (2, network.width)
        assert network.embed(images(channels)).shape == (2, network.embedding_size)
        maps = network.maps(images(channels))
    assert len(maps) == (3 if name == "resnet8" else 4)


def test_sizes_are_those_of_the_catalogue():
    def sized(name, px):
        network = build(name, channels=3, size=(px, px), seed=0)
        return type(network), network.width, sum(p.numel() for p in network.parameters())

    assert sized("resnet18", 128) == (ResNet18, 512, 11_176_512)
    assert sized("resnet8", 32) == (ResNet8, 64, 77_392)
    assert sized("vit_tiny", 32) == (ViT, 192, 12 * (12 * 192**2 + 13 * 192) + (48 + 1) * 192 + 3 * 192)
    assert sized("vit_micro", 32) == (ViT, 64, 4 * (12 * 64**2 + 13 * 64) + (48 + 1) * 64 + 3 * 64)


@pytest.mark.parametrize(("px", "side"), [(28, 4), (32, 4), (60, 4), (64, 8), (96, 8), (128, 16), (224, 16)])
def test_the_patch_follows_from_the_size(px, side):
    assert full_name("vit_micro", (px, px)) == f"vit_micro/{side}"
    assert build("vit_micro", channels=1, size=(px, px), seed=0).patch == patch_of("vit_micro", (px, px)) == side


def test_the_larger_side_decides_unless_a_patch_is_named():
    assert full_name("vit_tiny", (32, 64)) == "vit_tiny/8"
    assert full_name("vit_tiny/2", (32, 64)) == "vit_tiny/2"
    assert patch_of("vit_tiny/2", (33, 64)) == 2


def test_convolutions_have_no_patches_and_take_any_sides():
    assert patch_of("resnet8", (33, 47)) == 1
    assert full_name("resnet8", (33, 47)) == "resnet8"


@pytest.mark.parametrize("name", ["resnet18", "resnet8"])
@pytest.mark.parametrize(("px", "kernel"), [(32, 3), (64, 3), (65, 7), (128, 7)])
def test_the_stem_follows_from_the_size(name, px, kernel):
    assert build(name, channels=1, size=(px, px), seed=0).conv1.kernel_size == (kernel, kernel)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("resnet9", (32, 32), "Did you mean resnet8"),
        ("resnet8/4", (32, 32), "no encoder 'resnet8/4'"),
        ("vit_tiny/", (32, 32), "1 to 64 px: got ''"),
        ("vit_tiny/0", (32, 32), "1 to 64 px"),
        ("vit_tiny/-4", (32, 32), "1 to 64 px"),
        ("vit_tiny/65", (65, 65), "1 to 64 px"),
        ("vit_micro", (70, 64), r"multiples of 8 px: got 70 x 64. Resize the images to 72 x 64"),
    ],
)
def test_names_and_sizes_that_do_not_fit_are_refused(name, size, said):
    with pytest.raises(SettingError, match=said):
        build(name, channels=1, size=size, seed=0)


def test_other_readouts_and_channels_are_refused():
    with pytest.raises(SettingError, match="both or mean: got 'cls'"):
        build("vit_micro", channels=1, size=(32, 32), readout="cls", seed=0)
    with pytest.raises(SettingError, match="1 or 3 channels: got 4"):
        build("resnet8", channels=4, size=(32, 32), seed=0)


def test_the_seed_decides_the_weights_and_nothing_else_is_drawn():
    before = torch.get_rng_state()
    one, same, other = (build("vit_micro", channels=1, size=(32, 32), seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["patches.weight"], other["patches.weight"])


@pytest.mark.parametrize("name", ["resnet8", "resnet18", "vit_micro", "vit_micro/8"])
def test_a_saved_encoder_comes_back(name, tmp_path):
    path = tmp_path / "encoder.safetensors"
    network = build(name, channels=1, size=(32, 48), readout="mean", seed=3)
    network(torch.rand(4, 1, 32, 48))
    save_encoder(network, path, name=name, channels=1, size=(32, 48), readout="mean")
    found, info = load_encoder(path)
    assert info == EncoderInfo(architecture=full_name(name, (32, 48)), channels=1, size=(32, 48), readout="mean")
    assert not found.training
    with torch.no_grad():
        assert torch.equal(found.embed(images()), network.eval().embed(images()))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_of_another_encoder_says_of_which(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_encoder(
        build("resnet8", channels=1, size=(32, 32), seed=0), path,
        name="resnet8", channels=1, size=(32, 32), readout="both",
    )  # fmt: skip
    for other in ("vit_micro", "resnet18"):
        network = build(other, channels=1, size=(32, 32), seed=0)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        with pytest.raises(
            IntegrityError, match="the weights of resnet8 for 1 channel and 32 x 32 px, which do not fit"
        ):
            load_into(network, path)
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(IntegrityError, match=r"resnet8 for 1 channel .* conv1.weight \(16, 1, 3, 3\) instead of"):
        load_into(build("resnet8", channels=3, size=(32, 32), seed=0), path)
    fitting = build("resnet8", channels=1, size=(32, 32), seed=1)
    load_into(fitting, path)
    assert torch.equal(fitting.conv1.weight, load_file(path)["conv1.weight"])


def test_a_file_that_says_nothing_is_loaded_where_it_fits_and_else_named(tmp_path):
    path = tmp_path / "plain.safetensors"
    network = build("resnet8", channels=1, size=(32, 32), seed=0)
    save_file(network.state_dict(), path)
    load_into(build("resnet8", channels=1, size=(32, 32), seed=1), path)
    with pytest.raises(IntegrityError, match="does not fit the network"):
        load_into(build("vit_micro", channels=1, size=(32, 32), seed=1), path)
    with pytest.raises(IntegrityError, match=r"does not say which encoder .* feint pretrain"):
        load_encoder(path)


GOOD = {"architecture": "vit_micro/4", "channels": "1", "size": "32x32", "readout": "both"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"architecture": "vit_micro"},
        {"architecture": "vit_micro/5"},
        {"architecture": "vit_micro/04"},
        {"architecture": "alexnet"},
        {"architecture": "resnet8"},
        {"architecture": "vit_tiny/4"},
        {"channels": "one"},
        {"channels": "2"},
        {"channels": "3"},
        {"channels": "-1"},
        {"size": "32"},
        {"size": "0x32"},
        {"size": "32x-32"},
        {"size": "32x32x32"},
        {"size": "9999999x32"},
        {"readout": "cls"},
        {"readout": ""},
    ],
)
def test_nonsense_in_the_metadata_is_an_integrity_error(wrong, tmp_path):
    path = tmp_path / "encoder.safetensors"
    state = build("vit_micro", channels=1, size=(32, 32), seed=0).state_dict()
    save_file(state, path, metadata=GOOD)
    assert load_encoder(path)[1].architecture == "vit_micro/4"
    save_file(state, path, metadata=GOOD | wrong)
    with pytest.raises(IntegrityError):
        load_encoder(path)


@pytest.mark.parametrize("key", GOOD)
def test_missing_metadata_are_an_integrity_error(key, tmp_path):
    path = tmp_path / "encoder.safetensors"
    state = build("vit_micro", channels=1, size=(32, 32), seed=0).state_dict()
    save_file(state, path, metadata={k: v for k, v in GOOD.items() if k != key})
    with pytest.raises(IntegrityError, match=key):
        load_encoder(path)


def test_files_that_are_cut_short_or_missing_are_told_apart(tmp_path):
    path = tmp_path / "encoder.safetensors"
    network = build("resnet8", channels=1, size=(32, 32), seed=0)
    save_encoder(network, path, name="resnet8", channels=1, size=(32, 32), readout="both")
    content = path.read_bytes()
    for length in (0, 7, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(IntegrityError):
            load_encoder(path)
    header = json.dumps({"__metadata__": GOOD}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(IntegrityError, match="missing"):
        load_encoder(path)
    with pytest.raises(InputError, match="absent"):
        load_encoder(tmp_path / "absent.safetensors")


def test_a_name_that_does_not_fit_is_not_written(tmp_path):
    path = tmp_path / "encoder.safetensors"
    network = build("resnet8", channels=1, size=(32, 32), seed=0)
    with pytest.raises(SettingError):
        save_encoder(network, path, name="vit_micro/5", channels=1, size=(32, 32), readout="both")
    assert not path.exists()
