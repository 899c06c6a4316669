"""From a run to a folder that other programs can run: written, compared with the run, and only then kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import final

import torch

from feint import __version__
from feint.backends import available_cores
from feint.core.errors import OutputError, SettingError
from feint.core.files import atomic_folder, refuse_unwritable, sha256_of
from feint.data.sources import Source
from feint.export.benchmark import Pixels, Timing, timings
from feint.export.evidence import Evidence, evidence
from feint.export.graph import preprocessings
from feint.export.manifest import FILES, KINDS, ExportManifest, Kind, named_inputs
from feint.export.parity import compare
from feint.export.runtimes import Runtime, open_runtime
from feint.export.writers import check_installed, write_graph
from feint.runs.model import Model
from feint.runs.progress import Monitor, Silent
from feint.runs.run import Run

LIBRARIES = ("torch", "numpy", "onnx", "onnxscript", "onnxruntime", "openvino")


@final
@dataclass(frozen=True)
class Exported:
    """What was written, and how fast it is beside the run."""

    manifest: ExportManifest
    timings: list[Timing]


def export_run(
    run: Run, *, kind: Kind, out: Path, images: Source | None = None, monitor: Monitor | None = None
) -> Exported:
    """Write the model of `run` to the folder `out` as one graph, if that says what the run says.

    Args:
        run: what `feint tune` wrote. kind: "onnx", "openvino" or "torch-export". out: a folder to make.
        images: on which graph and run are compared; None: those the run was tuned on where they are still there,
            otherwise generated ones.

    Raises: SettingError where a library is missing or a part of the model has no such graph, InputError where `images`
    cannot be used, OutputError where `out` exists or the graph differs from the run; nothing is written then.
    Cost: ten seconds on one core for ONNX with two voters, most of it torch's exporter.
    """
    if kind not in KINDS:
        raise SettingError(f"the format must be one of {', '.join(KINDS)}: got {kind!r}.")
    check_installed(kind)
    refuse_unwritable(out)
    if out.exists():
        raise OutputError(f"{out} exists already and is never overwritten: choose another folder with --out.")
    monitor = monitor or Silent()
    model = run.model
    sizes = preprocessings(model)
    images_seen = evidence(run, sizes, images)
    with atomic_folder(out) as folder:
        monitor.phase(f"writing {kind}")
        write_graph(model, kind, folder)
        monitor.phase("comparing with the run")
        runtime = open_runtime(folder, kind, threads=available_cores(), joint=model.mode == "fdr")
        manifest = ExportManifest(
            kind=kind,
            versions={"feint": __version__} | _versions(),
            inputs=named_inputs(sizes),
            mode=model.mode,
            rate=model.rate,
            map_scale=model.map_scale,
            calibration=sum(len(member.calibration) for member in model.members),
            drift_reference=model.members[0].calibration.tolist() if len(model.members) == 1 else [],
            parity=compare(model, runtime, images_seen),
            files={name: sha256_of(folder / name) for name in FILES[kind]},
        )
        manifest.write(folder)
        monitor.phase("timing")
        measured = _timings(model, runtime, kind, images_seen)
    return Exported(manifest, measured)


def _timings(model: Model, runtime: Runtime, kind: Kind, images: Evidence) -> list[Timing]:
    """Return the timings of the run in torch and of its export, on as many threads each."""
    sizes = preprocessings(model)

    def in_torch(*inputs: Pixels) -> object:
        pixels = dict(zip(sizes, inputs, strict=True))
        return model.judge([member.scores(pixels[member.preprocessing]) for member in model.members])

    with _threads(available_cores()):
        return timings({"torch": in_torch, kind: runtime}, *(images.pixels[each] for each in sizes))


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Hold torch to n threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _versions() -> dict[str, str]:
    """Return the versions of the libraries involved that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
