import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from feint.core.errors import InputError, IntegrityError, SettingError
from feint.networks import weights
from feint.networks.resnet import ResNet18
from feint.networks.weights import load_weights


def torchvision_state(*, width: int = 4) -> dict[str, Tensor]:
    """What torchvision's file holds, at a smaller width: all names, with a classifier, without counters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        state = ResNet18(3, norm="batch", width=width).state_dict()
        state = {k: torch.randn_like(v) for k, v in state.items() if not k.endswith("num_batches_tracked")}
        return state | {"fc.weight": torch.randn(1000, 8 * width), "fc.bias": torch.randn(1000)}


def save_pth(state: object, path: Path) -> str:
    torch.save(state, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_torchvisions_file_is_taken_by_its_pinned_sha256(tmp_path, monkeypatch):
    path = tmp_path / "resnet18-f37072fd.pth"
    monkeypatch.setitem(weights.KNOWN_SHA256, path.name, save_pth(torchvision_state(), path))
    network = ResNet18(3, norm="batch", width=4)
    load_weights(network, path)
    found = network.state_dict()
    assert all(torch.equal(found[k], v) for k, v in torchvision_state().items() if not k.startswith("fc."))


def test_the_legacy_format_of_torchvisions_file_is_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save(torchvision_state(), path, _use_new_zipfile_serialization=False)
    network = ResNet18(3, norm="batch", width=4)
    load_weights(network, path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert torch.equal(network.conv1.weight, torchvision_state()["conv1.weight"])


def test_pinned_sha256_begins_as_torchvisions_file_name_says():
    assert all(name.split("-")[1].startswith(digest[:8]) for name, digest in weights.KNOWN_SHA256.items())
    assert all(len(digest) == 64 for digest in weights.KNOWN_SHA256.values())


def test_another_file_under_a_known_name_is_refused(tmp_path):
    path = tmp_path / "resnet18-f37072fd.pth"
    save_pth(torchvision_state(), path)
    with pytest.raises(IntegrityError, match="expected f37072fd47e8"):
        load_weights(ResNet18(3, norm="batch", width=4), path)


def test_an_unknown_pth_needs_its_sha256(tmp_path):
    path = tmp_path / "mine.pth"
    digest = save_pth(torchvision_state(), path)
    network = ResNet18(3, norm="batch", width=4)
    with pytest.raises(SettingError, match=digest):
        load_weights(network, path)
    load_weights(network, path, sha256=digest.upper())
    assert torch.equal(network.bn1.running_mean, torchvision_state()["bn1.running_mean"])


def test_safetensors_round_trip_with_and_without_sha256(tmp_path):
    path = tmp_path / "model.safetensors"
    source, target = ResNet18(3, width=4), ResNet18(3, width=4)
    save_file(source.state_dict(), path)
    load_weights(target, path)
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    with pytest.raises(IntegrityError, match="sha256"):
        load_weights(target, path, sha256="0" * 64)


def test_grey_network_answers_to_grey_as_the_rgb_filters_do(tmp_path):
    path = tmp_path / "model.safetensors"
    state = torchvision_state()
    save_file(state, path)
    network = ResNet18(1, norm="batch", width=4)
    load_weights(network, path)
    grey = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), state["conv1.weight"])
    torch.testing.assert_close(nn.functional.conv2d(grey, network.conv1.weight), expected)


def test_all_misfits_are_named_at_once_and_nothing_is_copied(tmp_path):
    path = tmp_path / "model.safetensors"
    state = torchvision_state()
    state["layer9.weight"] = state.pop("layer4.1.conv2.weight")
    state["conv1.weight"] = torch.zeros(4, 3, 3, 3)
    save_file(state, path)
    network = ResNet18(3, norm="batch", width=4)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(IntegrityError) as caught:
        load_weights(network, path)
    for part in (
        "missing: layer4.1.conv2.weight",
        "unexpected: layer9.weight",
        "conv1.weight (4, 3, 3, 3) instead of (4, 3, 7, 7)",
    ):
        assert part in str(caught.value)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_group_norm_network_says_why_batch_norm_weights_do_not_fit(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(torchvision_state(), path)
    with pytest.raises(IntegrityError, match="batch normalisation"):
        load_weights(ResNet18(3, width=4), path)


def test_a_classifier_the_module_has_is_kept(tmp_path):
    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 1)

    path = tmp_path / "head.safetensors"
    save_file({"fc.weight": torch.ones(1, 2), "fc.bias": torch.full((1,), 7.0)}, path)
    module = WithHead()
    load_weights(module, path)
    assert module.fc.bias.item() == 7.0


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return (Path.touch, (self.victim,))


@pytest.mark.parametrize("how", ["torch.save", "legacy torch.save", "pickle"])
def test_a_malicious_pickle_is_never_executed(tmp_path, how):
    victim, path = tmp_path / "victim", tmp_path / "model.pth"
    content = {"conv1.weight": Malicious(victim)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch.save")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(IntegrityError, match="plain tensors"):
        load_weights(ResNet18(3, width=4), path, sha256=digest)
    assert not victim.exists()
    torch.load(path, weights_only=False) if how != "pickle" else pickle.loads(path.read_bytes())
    assert victim.exists(), "the file is harmless: this test could not fail"


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_a_file_cut_short_anywhere_is_an_integrity_error(tmp_path, name):
    whole, path = tmp_path / name, tmp_path / f"cut-{name}"
    state = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}
    torch.save(state, whole) if name.endswith("pth") else save_file(state, whole)
    content = whole.read_bytes()
    for length in [*range(0, len(content), max(1, len(content) // 60)), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(IntegrityError):
            load_weights(nn.Linear(3, 2), path, sha256=hashlib.sha256(content[:length]).hexdigest())


def test_anything_but_a_state_dict_is_refused(tmp_path):
    path = tmp_path / "list.pth"
    digest = save_pth([torch.zeros(1)], path)
    with pytest.raises(IntegrityError, match="state_dict"):
        load_weights(nn.Linear(1, 1), path, sha256=digest)


def test_other_files_and_missing_files_are_refused(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"")
    with pytest.raises(SettingError, match=r"model\.pkl"):
        load_weights(nn.Linear(1, 1), tmp_path / "model.pkl")
    with pytest.raises(InputError, match="No such file"):
        load_weights(nn.Linear(1, 1), tmp_path / "absent.safetensors")
