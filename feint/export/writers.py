"""Writing a graph in one of the formats."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from feint.core.detector import Scorer, as_unit
from feint.core.errors import SettingError
from feint.detectors.committee import Committee
from feint.export.graph import Graph, preprocessings, static
from feint.export.manifest import FILES, IMAGES, OUTPUTS, Kind, named_inputs
from feint.export.runtimes import require
from feint.records.run import PreprocessingRecord
from feint.runs.model import Model

OPSET = 20
LIBRARIES: dict[Kind, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino", "onnx", "onnxscript"),
    "torch-export": (),
}
"""What writing and checking each format needs."""


def check_installed(kind: Kind) -> None:
    """Raise SettingError where a library that `kind` needs is not installed."""
    require(*LIBRARIES[kind])


def write_graph(model: Model, kind: Kind, folder: Path) -> None:
    """Write the graph of `model` into `folder`, for batches of any size.

    Raises: SettingError that names the part of the model which has no such graph.
    """
    inputs = named_inputs(preprocessings(model))
    try:
        with _quiet(), torch.no_grad():
            _write(Graph(model), inputs, kind, folder)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise SettingError(_gap(model, kind, error)) from error


def _write(graph: nn.Module, inputs: Mapping[str, PreprocessingRecord], kind: Kind, folder: Path) -> None:
    path = folder / FILES[kind][0]
    program = _traced(graph, *map(_example, inputs.values()))
    if kind == "torch-export":
        torch.export.save(program, path)
        return
    onnx = path.with_suffix(".onnx")
    _as_onnx(program, inputs=list(inputs)).save(onnx)
    if kind == "openvino":
        convert(onnx, path)
        onnx.unlink()


def convert(onnx: Path, path: Path) -> None:
    """Write an ONNX graph for OpenVINO, weights in float32, as `path` (.xml) and a .bin beside it."""
    import openvino

    openvino.save_model(openvino.Core().read_model(onnx), path, compress_to_fp16=False)


def _example(shape: PreprocessingRecord) -> Tensor:
    return torch.zeros(2, shape.channels, shape.height, shape.width, dtype=torch.uint8)


def _traced(graph: nn.Module, images: Tensor, *others: Tensor) -> torch.export.ExportedProgram:
    """Return the program of a graph that takes `images`, and `others` of as many images."""
    batch = {0: torch.export.Dim("n", min=1)}
    shapes = {"images": batch, "others": (batch,) * len(others)} if others else {"images": batch}
    return torch.export.export(graph, (images, *others), dynamic_shapes=shapes, strict=False)


def _as_onnx(
    program: torch.export.ExportedProgram, *, inputs: Sequence[str] = (IMAGES,), outputs: Sequence[str] = OUTPUTS
) -> Any:
    return torch.onnx.export(
        program,
        dynamo=True,
        input_names=list(inputs),
        output_names=list(outputs),
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )


def _gap(model: Model, kind: Kind, error: Exception) -> str:
    """Return a sentence that names the first voter of which there is no graph."""
    for member in model.members:
        folds = [member.scorer] if member.voters.folds == 1 else list(member.scorer.members)
        voters = [voter for fold in folds if isinstance(fold, Committee) for voter in fold.members]
        for voter, recipe in zip(voters, member.voters.recipes * len(folds), strict=True):
            try:
                with _quiet(), torch.no_grad():
                    program = _traced(_Alone(voter), _example(member.preprocessing))
                    if kind != "torch-export":
                        _as_onnx(program, outputs=("score", "map"))
            except Exception as cause:
                settings = ", ".join(f"{name}={value}" for name, value in recipe.settings.items())
                return f"{recipe.detector} ({settings}), a voter of this run, has no {kind} graph: {_short(cause)}"
    return f"this run has no {kind} graph, though each of its voters has one: {_short(error)}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


@final
class _Alone(nn.Module):
    """One voter by itself."""

    def __init__(self, voter: nn.Module) -> None:
        super().__init__()
        self.voter = static(voter)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.voter, Scorer)
        return self.voter(as_unit(images)), self.voter.map(as_unit(images))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporters say to themselves."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
