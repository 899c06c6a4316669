"""Loading weights from a local file: its sha256 is checked first, and nothing in it is ever executed."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from feint.core.errors import InputError, IntegrityError, SettingError

KNOWN_SHA256 = {"resnet18-f37072fd.pth": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"}


def load_weights(module: nn.Module, path: Path, *, sha256: str | None = None) -> None:
    """Copy the weights in the file `path` into `module`; its `state_dict` must fit name by name, shape by shape.

    Three differences are bridged: a classifier (`fc.*`) that `module` lacks is dropped; where `module` takes grey
    images and the file RGB, the filters of `conv1` are summed over RGB, which is what they answer to a grey image; and
    the counters `num_batches_tracked`, which torchvision's older files lack and nothing reads, may be missing.

    Args:
        module: a network, changed in place, and only if everything fits.
        path: a .safetensors file, or a .pth or .pt file as `torch.save` writes it. The latter are read as plain
            tensors (`weights_only`), and only if their sha256 is known: that of torchvision's
            `resnet18-f37072fd.pth` by its name, any other by `sha256`.
        sha256: what the file's sha256 must be, 64 hexadecimal digits; None: see `path`.

    Raises:
        InputError: the file cannot be read.
        SettingError: it is neither .safetensors, .pth nor .pt, or it is a .pth whose sha256 is neither known nor given.
        IntegrityError: its sha256 differs, it is cut short, it holds anything but tensors, or it does not fit `module`.
    """
    path = Path(path)
    state = _adapt(read_weights(path, sha256=sha256), module.state_dict())
    _check_fit(state, module.state_dict(), path)
    module.load_state_dict(state, strict=False)


def read_weights(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Return the tensors in the file `path` by name; `path`, `sha256` and the errors are those of `load_weights`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror}.") from error
    _check_sha256(content, path, sha256=sha256 or KNOWN_SHA256.get(path.name))
    return _tensors(content, path)


def _check_sha256(content: bytes, path: Path, *, sha256: str | None) -> None:
    if path.suffix not in {".safetensors", ".pth", ".pt"}:
        raise SettingError(f"weights are read from .safetensors, .pth and .pt files: got {path.name}.")
    found = hashlib.sha256(content).hexdigest()
    if sha256 is None and path.suffix != ".safetensors":
        raise SettingError(
            f"{path.name} is none of the known weight files ({', '.join(KNOWN_SHA256)}). If you trust where it comes "
            f"from, give its sha256, as published there; the file here has {found}. Or convert it to .safetensors."
        )
    if sha256 is not None and found != sha256.lower():
        raise IntegrityError(
            f"{path} is not the file it should be: its sha256 is {found}, expected {sha256}. "
            "It was cut short or changed; fetch it again."
        )


def _tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            state: object = load_safetensors(content)
        else:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise IntegrityError(
            f"{path} cannot be read as plain tensors: it was cut short, or holds more than weights. Fetch it again, or "
            f"convert it to .safetensors. ({str(error).partition(chr(10))[0]})"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise IntegrityError(f"{path} must hold a state_dict (names to tensors): got something else.")
    return state


def _adapt(state: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    state = {name: value for name, value in state.items() if name in expected or not name.startswith("fc.")}
    name = "conv1.weight"
    if name in state and name in expected and expected[name].shape[1:2] == (1,) and state[name].shape[1:2] == (3,):
        state[name] = state[name].sum(1, keepdim=True)
    return state


def _check_fit(state: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in state
        if name in expected and state[name].shape != expected[name].shape
    ]
    problems = [
        f"{what}: {', '.join(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if problems:
        hint = " It comes from a network with batch normalisation." if _only_batch_norm(unexpected) else ""
        raise IntegrityError(f"{path} does not fit the network. {'; '.join(problems)}.{hint}")


def _only_batch_norm(names: list[str]) -> bool:
    return bool(names) and all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in names)
