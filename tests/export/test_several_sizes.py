"""A cross-fitted run whose members look at images of several sizes: one graph with one input for each size."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_runs import pictures
from torchless import feint_without_torch

import feint
from feint.core.errors import OutputError, SettingError
from feint.data import preprocess
from feint.detectors.committee import Committee, unit_of
from feint.export import graph as graphs
from feint.export.evidence import Evidence, evidence, generated
from feint.export.manifest import read_export
from feint.export.parity import compare
from feint.export.runtimes import open_runtime
from feint.export.writers import write_graph
from feint.records.run import PreprocessingRecord
from feint.runs.model import Member, Model, pixel_scores
from feint.runs.recipes import Recipe, Voters

LARGE, OBLONG, SMALL = (
    PreprocessingRecord(channels=1, height=height, width=width, white=255)
    for height, width in [(32, 32), (24, 16), (16, 16)]
)
MEMBERS = (LARGE, OBLONG, LARGE, SMALL, OBLONG)
NAMES = ["images", "images_24x16", "images_16x16"]
KINDS = ["onnx", "openvino", "torch-export"]


def at(shape: PreprocessingRecord, images: np.ndarray) -> np.ndarray:
    """Return native images (n, h, w) as inputs (n, 1, h, w)."""
    return np.stack([preprocess(image, shape) for image in images])


def member(k: int, shape: PreprocessingRecord) -> Member:
    """Return the k-th member of a model: fitted on normal images at its size, calibrated on others."""
    recipe = Recipe(detector="feature-gaussian", settings={"width": 8, "depth": 2, "encoder_size": 48})
    normals, calibration = (at(shape, pictures(range(i, i + n))) for i, n in [(30 * k, 30), (200 + 9 * k, 9)])
    voter = recipe.fit(torch.from_numpy(normals), nuisances=(), device="cpu", seed=k)
    images = torch.from_numpy(normals)
    scorer = Committee(
        [voter],
        units=[unit_of(torch.from_numpy(pixel_scores(voter, normals)))],
        map_units=[unit_of(voter.map(images / 255).flatten())],
    )
    scores = pixel_scores(scorer, calibration).astype(np.float64)
    return Member(scorer, scores, Voters(recipes=[recipe]), shape)


@pytest.fixture(scope="module")
def model() -> Model:
    members = tuple(member(k, shape) for k, shape in enumerate(MEMBERS))
    return Model(members=members, mode="false_alarm_rate", rate=0.1, map_scale=(0.0, 3.0))


@pytest.fixture(scope="module")
def run(model, cross_fitted, tmp_path_factory) -> feint.Run:
    """Return a run with that model."""
    folder = shutil.copytree(cross_fitted.path, tmp_path_factory.mktemp("several") / "run")
    model.save(folder, version=feint.__version__)
    return feint.Run(folder)


@pytest.fixture(scope="module", params=KINDS)
def exported(request, run, tmp_path_factory) -> Path:
    if request.param != "torch-export":
        pytest.importorskip("onnxscript")
        pytest.importorskip({"onnx": "onnxruntime"}.get(request.param, request.param))
    folder = tmp_path_factory.mktemp("graphs") / request.param
    feint.export_run(run, format=request.param, out=folder)
    return folder


@pytest.fixture(scope="module")
def images(cross_fitted, tmp_path_factory) -> Path:
    """Return a folder of the run's unlabelled images and two files that are no images."""
    folder = shutil.copytree(cross_fitted.unlabelled, tmp_path_factory.mktemp("new") / "images")
    for name in ("000a.png", "059a.png"):
        (folder / name).write_bytes(b"no image")
    return folder


@pytest.fixture
def inputs() -> list[np.ndarray]:
    """Return 30 images, ten of them with a defect, as the graph takes them."""
    return [at(shape, pictures(range(500, 530), defects=10)) for shape in dict.fromkeys(MEMBERS)]


def agrees(found: pd.DataFrame, run: feint.Run, images: Path) -> None:
    """Check a table of scores against the run's."""
    expected = feint.score(run, images).sort_values("path").reset_index(drop=True)
    found = found.sort_values("path").reset_index(drop=True)
    assert 0 < expected.flagged.sum() < len(expected) == 60
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.p_value, expected.p_value)
    assert found.path.tolist() == expected.path.tolist()
    assert found.flagged.tolist() == expected.flagged.tolist()


def test_the_manifest_names_the_inputs_in_order(exported):
    manifest = read_export(exported)
    assert list(manifest.inputs.items()) == list(zip(NAMES, [LARGE, OBLONG, SMALL], strict=True))
    assert (manifest.calibration, manifest.drift_reference, manifest.parity.images) == (45, [], 100)


@pytest.mark.parametrize("exported", ["onnx"], indirect=True)
def test_another_program_can_give_the_inputs_by_name(exported, model, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "model.onnx")
    taken = session.get_inputs()
    assert [each.name for each in taken] == NAMES
    assert [each.shape[1:] for each in taken] == [[1, 32, 32], [1, 24, 16], [1, 16, 16]]
    assert len({each.shape[0] for each in taken}) == 1
    assert isinstance(taken[0].shape[0], str)
    named = dict(reversed(list(zip(NAMES, inputs, strict=True))))
    score, maps = session.run(["pred_score", "anomaly_map"], named)
    of = dict(zip((LARGE, OBLONG, SMALL), inputs, strict=True))
    expected = model.judge([each.scores(of[each.preprocessing]) for each in model.members])[0]
    np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(maps, model.members[0].maps(inputs[0]), rtol=1e-4, atol=1e-4)


def test_it_scores_and_maps_as_the_run_does(exported, run, images, tmp_path):
    found = feint.score(exported, images, maps=tmp_path / "graph")
    agrees(found, run, images)
    feint.score(run, images, maps=tmp_path / "run")
    names = sorted(each.name for each in (tmp_path / "run").iterdir())
    assert sorted(each.name for each in (tmp_path / "graph").iterdir()) == names
    for name in names:
        with Image.open(tmp_path / "run" / name) as expected, Image.open(tmp_path / "graph" / name) as graph:
            assert np.abs(np.asarray(expected, np.int16) - np.asarray(graph, np.int16)).max() <= 1
            assert np.ptp(np.asarray(graph)) > 0


def test_it_scores_in_bulk_as_the_run_does(exported, run, images, tmp_path):
    done = feint.score_in_bulk(exported, images, out=tmp_path / "out.parquet", backend="serial")
    assert (done.images, done.unreadable) == (62, 2)
    table = pd.read_parquet(tmp_path / "out.parquet")
    agrees(table[table.reason.isna()], run, images)


@pytest.mark.parametrize("exported", KINDS[:2], indirect=True)
@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_it_needs_no_torch(exported, run, images, tmp_path, out):
    words = ["score", exported, images, "--out", tmp_path / out]
    words += ["--maps", tmp_path / "maps"] if out == "out.csv" else ["--backend", "serial"]
    done = feint_without_torch(*words)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / out) if out == "out.csv" else pd.read_parquet(tmp_path / out)
    agrees(table[table.p_value.notna()], run, images)


@pytest.mark.parametrize("threads", [1, 3])
def test_one_image_alone_and_any_batch_agree(exported, inputs, threads):
    runtime = open_runtime(exported, read_export(exported).kind, threads=threads, joint=False)
    whole = runtime(*inputs, maps=True)
    assert whole.maps is not None
    for n in (1, 2, 7):
        part = runtime(*(each[-n:] for each in inputs), maps=True)
        np.testing.assert_allclose(part.scores, whole.scores[-n:], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(part.p_values, whole.p_values[-n:])
        np.testing.assert_array_equal(part.labels, whole.labels[-n:])
        assert part.maps is not None
        np.testing.assert_allclose(part.maps, whole.maps[-n:], rtol=1e-4, atol=1e-4)


def test_there_is_evidence_of_every_size(run):
    shapes = [LARGE, OBLONG]
    for found, n in ((evidence(run, shapes, None), 100), (generated(shapes), 64)):
        assert len(found.names) == n
        assert [(shape, each.shape) for shape, each in found.pixels.items()] == [
            (LARGE, (n, 1, 32, 32)),
            (OBLONG, (n, 1, 24, 16)),
        ]


@pytest.fixture
def hand_out_wrongly(monkeypatch):
    """Return what makes new graphs hand their members each other's inputs."""
    right = graphs.preprocessings
    return lambda: monkeypatch.setattr(graphs, "preprocessings", lambda model: right(model)[::-1])


def test_of_inputs_of_the_wrong_size_no_graph_is_made(run, hand_out_wrongly, tmp_path):
    hand_out_wrongly()
    with pytest.raises(SettingError, match="this run has no torch-export graph, though each of its voters has one: "):
        feint.export_run(run, format="torch-export", out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_inputs_of_one_size_for_the_wrong_members_are_noticed(model, hand_out_wrongly, tmp_path):
    deep = LARGE.model_copy(update={"white": 4095})
    first, second = model.members[0], replace(model.members[2], preprocessing=deep)
    alike = replace(model, members=(first, second))
    pixels = at(LARGE, pictures(range(500, 530), defects=10))
    seen = Evidence("pictures", tuple(map(str, range(30))), {LARGE: pixels, deep: pixels // 16})

    def compared(folder: Path) -> None:
        folder.mkdir()
        write_graph(alike, "torch-export", folder)
        compare(alike, open_runtime(folder, "torch-export", threads=1, joint=False), seen)

    compared(tmp_path / "right")
    hand_out_wrongly()
    with pytest.raises(OutputError, match="scores differ"):
        compared(tmp_path / "wrong")


def test_calibrations_of_the_wrong_members_are_noticed(model, inputs, tmp_path):
    calibrations = [each.calibration for each in model.members]
    turned = [
        replace(each, calibration=other)
        for each, other in zip(model.members, calibrations[1:] + calibrations[:1], strict=True)
    ]
    write_graph(replace(model, members=tuple(turned)), "torch-export", tmp_path)
    seen = Evidence("pictures", tuple(map(str, range(30))), dict(zip((LARGE, OBLONG, SMALL), inputs, strict=True)))
    with pytest.raises(OutputError, match="scores differ"):
        compare(model, open_runtime(tmp_path, "torch-export", threads=1, joint=False), seen)
