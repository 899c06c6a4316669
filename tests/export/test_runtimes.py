"""A batch cut into shares for threads: the same answers, and whole where labels depend on each other."""

import numpy as np
import pytest
from small_exports import model_of, voters
from small_runs import pictures

from feint.calibration.decision import decide
from feint.export.runtimes import open_runtime
from feint.export.writers import write_graph


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("images", [1, 2, 5, 30])
@pytest.mark.parametrize("maps", [False, True])
def test_shares_say_what_the_whole_batch_says(exported, pixels, threads, images, maps):
    alone, shared = (open_runtime(exported[0], "onnx", threads=k, joint=False) for k in (1, threads))
    expected, found = alone(pixels[:images], maps=maps), shared(pixels[:images], maps=maps)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.p_values, expected.p_values)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert (found.maps is None) == (not maps)
    if maps:
        np.testing.assert_allclose(found.maps, expected.maps, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module", params=["onnx", "openvino", "torch-export"])
def discovering(request, tmp_path_factory):
    """Return the kind and the folder of a graph whose labels hold a false discovery rate over the batch."""
    folder = tmp_path_factory.mktemp("discovering")
    write_graph(model_of(voters()[:1], mode="fdr", rate=0.2), request.param, folder)
    return request.param, folder


@pytest.mark.parametrize("threads", [1, 4])
def test_a_false_discovery_rate_sees_the_whole_batch(discovering, threads):
    kind, folder = discovering
    mixed = np.concatenate([pictures(range(300, 330)), pictures(range(500, 530), defects=30)])[:, None]
    runtime = open_runtime(folder, kind, threads=threads, joint=True)
    found = runtime(mixed)
    p = np.rint(found.p_values.astype(np.float64) * 41) / 41
    np.testing.assert_array_equal(found.labels, decide(p, fdr=0.2))
    halves = np.concatenate([runtime(each).labels for each in (mixed[:30], mixed[30:])])
    assert (halves != found.labels).any(), "these images do not tell a batch from its shares"
