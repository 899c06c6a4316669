"""The programs that run an exported graph: ONNX Runtime, OpenVINO, or torch. Each is imported when it is opened."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import IntegrityError, SettingError
from feint.export.manifest import FILES, LABEL, MAP, OUTPUTS, P_VALUE, SCORE, Kind

ASKED = (SCORE, LABEL, P_VALUE)


@final
@dataclass(frozen=True, eq=False)
class Results:
    """What a graph said of n images: scores (n,), p-values (n,) and labels (n,); maps (n, h, w) if asked for."""

    scores: NDArray[np.float32]
    p_values: NDArray[np.float32]
    labels: NDArray[np.bool_]
    maps: NDArray[np.float32] | None


class Runtime(Protocol):
    """An exported graph, opened: from bytes (n, c, h, w) to results. Without `maps`, they are not computed.

    A graph with several inputs takes them in the order of the manifest's `inputs`: the same images at each size.
    """

    def __call__(self, *pixels: NDArray[np.uint8], maps: bool = False) -> Results:
        """Run the graph."""
        ...


def open_runtime(folder: Path, kind: Kind, *, threads: int, joint: bool) -> Runtime:
    """Open the graph in `folder` on the CPU; its hashes are taken for checked.

    `joint`: the label of an image depends on the others in its batch, which is so with a false discovery rate.

    Raises: SettingError where the runtime is not installed; IntegrityError where it refuses the file.
    """
    path = folder / FILES[kind][0]
    module, opened = OPENERS[kind]
    require(module)
    try:
        return opened(path, threads, joint)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise IntegrityError(f"{path} cannot be opened by this version of its runtime: {reason}") from error


@final
class OnnxRuntime:
    """A graph in ONNX Runtime.

    A batch is cut into one share for each thread, each share run by a thread alone: threads that meet after every layer
    of a small network take nearly twice as long. One image has all threads to itself, and so has a whole batch where
    the labels depend on all of it (`joint`).
    """

    def __init__(self, path: Path, threads: int, *, joint: bool) -> None:
        import onnxruntime as ort

        def opened(threads: int) -> Any:
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores are needed to decode
            return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        self._shares = 1 if joint else threads
        self._whole = opened(threads)
        self._inputs = [each.name for each in self._whole.get_inputs()]
        self._share = opened(1) if self._shares > 1 else self._whole
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="feint-onnx")
        self._needed_alone = ort.RunOptions()
        self._needed_alone.only_execute_path_to_fetches = True

    def __call__(self, *pixels: NDArray[np.uint8], maps: bool = False) -> Results:
        """Run the graph, or that part of it which the scores need."""
        names = OUTPUTS if maps else ASKED
        shares = min(self._shares, len(pixels[0]))
        if shares <= 1:
            found = self._whole.run(names, self._named(pixels), self._needed_alone)
        else:
            parts = self._pool.map(
                lambda *share: self._share.run(names, self._named(share), self._needed_alone),
                *(np.array_split(each, shares) for each in pixels),
            )
            found = [np.concatenate(each) for each in zip(*parts, strict=True)]
        return _results(dict(zip(names, found, strict=True)))

    def _named(self, pixels: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.uint8]]:
        return dict(zip(self._inputs, pixels, strict=True))


@final
class OpenVino:
    """A graph in OpenVINO, in float32 whatever the processor would prefer; one program with maps, one without."""

    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        self._library = openvino
        self._core = self._library.Core()
        self._graph = self._core.read_model(path)
        self._hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
        }
        self._inputs = [each.any_name for each in self._graph.inputs]
        self._programs: dict[bool, Any] = {}

    def __call__(self, *pixels: NDArray[np.uint8], maps: bool = False) -> Results:
        """Run the graph, or that part of it which the scores need."""
        names = OUTPUTS if maps else ASKED
        if maps not in self._programs:
            wanted = self._library.Model([self._graph.output(name) for name in names], self._graph.get_parameters())
            self._programs[maps] = self._core.compile_model(wanted, "CPU", self._hints)
        found = self._programs[maps](dict(zip(self._inputs, pixels, strict=True)))
        return _results({name: found[name] for name in names})


@final
class TorchExport:
    """A graph in torch, always with maps; the number of threads is the process's."""

    def __init__(self, path: Path) -> None:
        import torch

        self._torch = torch
        self._graph: Callable[[Any], tuple[Any, ...]] = self._torch.export.load(path).module()

    def __call__(self, *pixels: NDArray[np.uint8], maps: bool = False) -> Results:  # noqa: ARG002
        """Run the graph."""
        with self._torch.no_grad():
            found = self._graph(*(self._torch.from_numpy(np.ascontiguousarray(each)) for each in pixels))
        return _results({name: each.numpy() for name, each in zip(OUTPUTS, found, strict=True)})


OPENERS: dict[Kind, tuple[str, Callable[[Path, int, bool], Runtime]]] = {
    "onnx": ("onnxruntime", lambda path, threads, joint: OnnxRuntime(path, threads, joint=joint)),
    "openvino": ("openvino", lambda path, threads, _: OpenVino(path, threads)),
    "torch-export": ("torch", lambda path, *_: TorchExport(path)),
}
"""Of each format, the module that runs it and what opens it."""


def require(*modules: str) -> None:
    """Raise SettingError with the extra that installs the first of `modules` which is not there."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            extra = {"torch": "torch", "openvino": "'feint[openvino]'"}.get(module, "'feint[onnx]'")
            raise SettingError(f"{module} is not installed: pip install {extra}.")


def _results(found: Mapping[str, NDArray[Any]]) -> Results:
    return Results(found[SCORE], found[P_VALUE], found[LABEL].astype(bool), found.get(MAP))
