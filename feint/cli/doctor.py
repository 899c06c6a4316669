"""`feint doctor`: what Feint finds on this machine, and whether it works here."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feint import __version__
from feint.backends import ProcessExecutor, core_limits, limit_threads, memory_total_and_available_mib
from feint.core.errors import FeintError
from feint.core.streams import seed_of, stream

if TYPE_CHECKING:
    from torch import Tensor, nn

OF_AN_EXTRA = re.compile(r"""(?P<package>[\w.-]+)(\[(?P<extra>[\w-]+)\])?.*extra == ["'](?P<wanted_by>[\w-]+)""")
ABSENT = "not installed"
REINSTALL = "Reinstall it: pip install --force-reinstall"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: whether it passed, what was seen, and what to do if it failed."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def doctor(json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Show what Feint finds on this machine, and test in about five seconds that it works (exit code 1 if not)."""
    began = time.perf_counter()
    checks = [_check(name, test, advice) for name, (test, advice) in SELF_TEST.items()]
    findings = _findings()
    ok = all(check.ok for check in checks)
    if json:
        typer.echo(dumps({"ok": ok, **findings, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _show(findings, checks, seconds=time.perf_counter() - began)
    raise typer.Exit(0 if ok else 1)


def _show(findings: dict[str, object], checks: list[Check], *, seconds: float) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    for name, finding in findings.items():
        console.print(Text.assemble((f"{name.replace('_', ' '):<17}", "bold"), _in_words(finding)))
    console.print()
    for check in checks:
        mark = ("ok      ", "green") if check.ok else ("failed  ", "bold red")
        console.print(Text.assemble(mark, f"{check.name}: {check.detail}"))
        if check.advice:
            console.print(f"        {check.advice}", markup=False)
    failed = sum(not check.ok for check in checks)
    verdict = f"{failed} of {len(checks)} checks failed." if failed else "Feint works here."
    console.print(f"\n{verdict} ({seconds:.1f} s)")


def _in_words(finding: object) -> str:
    if isinstance(finding, dict):
        return ", ".join(f"{name} {_in_words(value)}" for name, value in finding.items())
    if isinstance(finding, list):
        return ", ".join(finding) or "none"
    return str(finding)


def _findings() -> dict[str, object]:
    """Return what there is: name -> text, number, list or names with numbers; torch's part only if it imports."""
    memory = memory_total_and_available_mib()
    try:
        cores: object = core_limits()
    except FeintError as error:
        cores = str(error)
    extras = _extras()
    return {
        "feint": __version__,
        "python": f"{platform.python_version()} at {sys.executable}",
        "platform": platform.platform(),
        "torch": _version("torch"),
        "cores": {"available": min(cores.values())} | cores if isinstance(cores, dict) else cores,
        "torch_threads": _torch_threads(),
        "devices": _devices(),
        "memory_mib": "unknown" if memory is None else {"total": round(memory[0]), "available": round(memory[1])},
        "disk_free_mib": round(shutil.disk_usage(Path.cwd()).free / 2**20),
        "extras_present": [name for name, there in extras.items() if there],
        "extras_absent": [name for name, there in extras.items() if not there],
    }


def _extras() -> dict[str, bool]:
    """Return Feint's extras, as `pip install 'feint[NAME]'` knows them, and whether all their packages are there."""
    packages: dict[str, list[tuple[str, str]]] = {}
    for line in _requirements():
        if found := OF_AN_EXTRA.match(line):
            packages.setdefault(found["wanted_by"], []).append((found["package"], found["extra"]))

    def there(extra: str) -> bool:
        return all(
            there(other) if package == "feint" else _version(package) != ABSENT for package, other in packages[extra]
        )

    return {extra: there(extra) for extra in packages}


def _requirements() -> list[str]:
    try:
        return requires("feint") or []
    except PackageNotFoundError:  # a copy that pip does not know
        return []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT


def _torch_threads() -> int | str:
    torch = sys.modules.get("torch")
    return "unknown" if torch is None else int(torch.get_num_threads())


def _devices() -> list[str]:
    """Return the devices torch can compute on, and why no GPU is among them."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    if torch.cuda.is_available():
        names = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
        return ["cpu", *names]
    if torch.backends.mps.is_available():
        return ["cpu", "mps"]
    why = "torch was built without CUDA" if torch.version.cuda is None else "no CUDA device or driver was found"
    return [f"cpu (no GPU: {why})"]


def _check(name: str, test: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name=name, ok=True, detail=test())
    except Exception as error:  # whatever goes wrong on this machine is the finding
        return Check(name=name, ok=False, detail=f"{type(error).__name__}: {error}", advice=advice)


def _imports() -> str:
    limit_threads(min(core_limits().values()))
    import numpy
    import torch

    return f"torch {torch.__version__}, numpy {numpy.__version__}"


def _trains() -> str:
    _, losses = _training(seed=0)
    if not losses[-1] < losses[0]:
        raise ArithmeticError(f"the loss did not fall: {losses[0]:.3f} -> {losses[-1]:.3f}")
    return f"loss {losses[0]:.3f} -> {losses[-1]:.3f} in {len(losses)} steps"


def _repeats() -> str:
    import torch

    first, second = (_training(seed=0)[0] for _ in range(2))
    if not all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)):
        raise ArithmeticError("two trainings with the same seed gave different weights")
    return "the same seed gives the same bits"


def _differentiates_twice() -> str:
    import torch

    network = _network(seed=0).double()
    images, target = _images(seed=0)
    images, target = images.double(), target.double()
    weights = dict(network.named_parameters())

    def after_step(amplitude: Tensor) -> Tensor:
        lower = _loss(network, weights, images + amplitude * images.flip(-1), target)
        slopes = torch.autograd.grad(lower, list(weights.values()), create_graph=True)
        moved = {name: w - 0.1 * g for (name, w), g in zip(weights.items(), slopes, strict=True)}
        return _loss(network, moved, images, target)

    at = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    exact = torch.autograd.grad(after_step(at), at)[0].item()
    difference = (after_step(at + 1e-6) - after_step(at - 1e-6)).item() / 2e-6
    if not abs(exact - difference) <= 1e-3 * abs(difference):
        raise ArithmeticError(
            f"the gradient through an update is {exact:.6g}, finite differences give {difference:.6g}"
        )
    return "the gradient through an update equals finite differences"


def _saves() -> str:
    import torch
    from safetensors.torch import load_file, save_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        written = torch.rand(1000, generator=stream(0, "doctor"))
        save_file({"weight": written}, path)
        if not torch.equal(load_file(path)["weight"], written):
            raise OSError(f"{path} does not hold what was written to it")
        return f"wrote and read a safetensors file in {tempfile.gettempdir()}"


def _starts_workers() -> str:
    with ProcessExecutor(1, threads=1) as executor:
        if executor.submit(os.getpid).result(timeout=30) == os.getpid():
            raise RuntimeError("a job ran in this process")
    return "a worker process ran a job"


def _training(seed: int) -> tuple[nn.Module, list[float]]:
    import torch

    network = _network(seed)
    images, target = _images(seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for _ in range(12):
        loss = _loss(network, dict(network.named_parameters()), images, target)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        if not all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters()):
            raise ArithmeticError("a gradient is not finite")
        optimizer.step()
        losses.append(loss.item())
    return network, losses


def _network(seed: int) -> nn.Module:
    import torch
    from torch import nn

    from feint.networks.resnet import ResNet18

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "doctor", "weights"))
        encoder = ResNet18(1, stem="small", width=4)
        return nn.Sequential(encoder, nn.Linear(encoder.embedding_size, 1))


def _images(seed: int) -> tuple[Tensor, Tensor]:
    """Return 16 grey images of noise, the second half with a bright square, and their labels."""
    import torch

    images = torch.rand(16, 1, 24, 24, generator=stream(seed, "doctor", "images")) / 2
    images[8:, :, 8:14, 8:14] += 0.5
    return images, (torch.arange(16) >= 8).float()


def _loss(network: nn.Module, weights: Mapping[str, Tensor], images: Tensor, target: Tensor) -> Tensor:
    from torch.func import functional_call
    from torch.nn.functional import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(functional_call(network, dict(weights), (images,))[:, 0], target)


SELF_TEST: dict[str, tuple[Callable[[], str], str]] = {
    "imports": (_imports, f"If FEINT_CORES is not the cause: {REINSTALL} torch numpy"),
    "trains": (_trains, f"{REINSTALL} torch"),
    "same seed": (_repeats, "Results will not be reproducible here. Try FEINT_CORES=1, then tell us."),
    "second order": (_differentiates_twice, f"{REINSTALL} torch"),
    "files": (_saves, "Free some disk space, or set TMPDIR to a folder that can be written to."),
    "workers": (_starts_workers, "Allow this user to start processes (ulimit -u), or set FEINT_CORES=1."),
}
