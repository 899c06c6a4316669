"""What the tests of exports share: the finished run as an ONNX graph, and pictures to score."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import pictures

import feint
from feint.export.exporting import Exported, export_run


@pytest.fixture(scope="session")
def exported(finished, tmp_path_factory) -> tuple[Path, Exported]:
    """Return the folder of the finished run's ONNX graph, not to be changed, and what making it returned."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    return folder, export_run(feint.Run(finished.path), kind="onnx", out=folder)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """Return 30 images (n, 1, 32, 32), ten of them with a defect."""
    return pictures(range(500, 530), defects=10)[:, None]
