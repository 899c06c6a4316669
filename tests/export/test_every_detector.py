"""Every detector of feint's own has a graph, in each format; a part that has none is named."""

from typing import final

import numpy as np
import pytest
import torch
from small_exports import DETECTORS_VOTING, model_of, voters

from feint.core.detector import Scorer
from feint.core.errors import SettingError
from feint.detectors import DETECTORS, POOL_DETECTORS
from feint.export.evidence import Evidence
from feint.export.graph import Graph
from feint.export.parity import compare
from feint.export.runtimes import open_runtime
from feint.export.writers import convert, write_graph

ADAPTERS = {"anomalib", "pyod"}
NO_GRAPH = {"ap"}
"""It augments what it scores, by code that looks at its data. No run has it among its voters."""
SAME_SCORER = {"dae": "ae", "deepsad": "deepsvdd"}


@pytest.fixture(scope="module")
def everything():
    return model_of(voters())


def evidence(model, pixels):
    return Evidence("pictures", tuple(map(str, range(len(pixels)))), {model.members[0].preprocessing: pixels})


def test_no_detector_is_forgotten():
    assert {*DETECTORS, *POOL_DETECTORS} - ADAPTERS - NO_GRAPH - set(SAME_SCORER) == set(DETECTORS_VOTING)


def test_all_detectors_vote_alike_in_torch_and_in_the_graph(everything, pixels):
    alike = Graph(everything).members[0].members
    for voter, same in zip(everything.members[0].scorer.members, alike, strict=True):
        images = torch.from_numpy(pixels) / 255
        torch.testing.assert_close(same(images), voter(images), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(same.map(images), voter.map(images), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def onnx(everything, tmp_path_factory):
    """Return a folder with the ONNX graph, which takes a while to make; OpenVINO's is made of it."""
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("everything")
    write_graph(everything, "onnx", folder)
    return folder


@pytest.mark.parametrize("kind", ["onnx", "openvino", "torch-export"])
def test_each_format_says_the_same(kind, everything, pixels, tmp_path, request):
    match kind:
        case "onnx":
            pytest.importorskip("onnxruntime")
            folder = request.getfixturevalue("onnx")
        case "openvino":
            pytest.importorskip("openvino")
            folder = tmp_path
            convert(request.getfixturevalue("onnx") / "model.onnx", folder / "model.xml")
        case _:
            folder = tmp_path
            write_graph(everything, kind, folder)
    runtime = open_runtime(folder, kind, threads=1, joint=False)
    record = compare(everything, runtime, evidence(everything, pixels))
    assert max(record.score, record.map) < 1e-4
    assert record.images == 30
    for n in (1, 2, 7):
        np.testing.assert_allclose(runtime(pixels[:n]).scores, runtime(pixels).scores[:n], rtol=1e-4, atol=1e-4)
    assert len(runtime(np.concatenate([pixels] * 3), maps=True).maps) == 90


@final
class Sorting(Scorer):
    """A scorer of which there is no graph: what it computes depends on what it sees."""

    def _scores(self, images):
        return images.flatten(1).sum(1) if float(images.sum()) > 3 else images.flatten(1).amax(1)

    def _maps(self, images):
        return images.mean(1)


def test_a_part_without_a_graph_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"^ae \(\), a voter of this run, has no torch-export graph: ."):
        write_graph(model_of([Sorting(1, (32, 32))]), "torch-export", tmp_path)
    assert not list(tmp_path.iterdir())
