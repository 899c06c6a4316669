"""What an exported folder holds, and what happens to one that was changed or is not what it should be."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from small_runs import unlabelled_folder

import feint
from feint.core.errors import InputError, IntegrityError, OutputError, SettingError
from feint.core.files import sha256_of
from feint.export import parity
from feint.export.benchmark import timings
from feint.export.evidence import GENERATED, evidence, generated
from feint.export.exporting import export_run
from feint.export.manifest import MANIFEST, read_export
from feint.export.runtimes import open_runtime
from feint.export.scoring import score_exported


def test_the_manifest_says_what_is_inside_and_how_it_was_checked(exported, finished):
    folder, found = exported
    manifest, run = read_export(folder), feint.Run(finished.path)
    assert manifest.model_copy(update={"own_sha256": ""}) == found.manifest
    assert {each.name for each in folder.iterdir()} == {MANIFEST, "model.onnx"}
    assert manifest.files == {"model.onnx": sha256_of(folder / "model.onnx")}
    assert manifest.inputs == {"images": run.record.preprocessing}
    assert (manifest.mode, manifest.rate) == (run.record.calibration.mode, run.record.calibration.rate)
    assert {"feint", "torch", "onnx", "onnxruntime"} <= set(manifest.versions)
    assert manifest.parity.source == f"{finished.normal} and {finished.unlabelled}"
    assert manifest.parity.images == 64 + 60
    assert 0 < manifest.parity.score < 1e-4


def test_the_graph_has_the_names_of_anomalib_and_batches_of_any_size(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported[0] / "model.onnx")
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ("images", "tensor(uint8)", [1, 32, 32])
    assert isinstance(image.shape[0], str)
    assert [each.name for each in session.get_outputs()] == ["pred_score", "pred_label", "anomaly_map", "p_value"]


def test_it_is_timed_beside_torch(exported):
    rows = exported[1].timings
    assert [(each.runtime, each.batch) for each in rows] == [("torch", 1), ("onnx", 1), ("torch", 32), ("onnx", 32)]
    assert all(0 < each.p50 <= each.p95 for each in rows)


def test_timings_count_images_per_second():
    slow, fast = timings(
        {"slow": lambda images: sorted(images.ravel()), "fast": len}, np.zeros((3, 1, 16, 16), np.uint8)
    )[2:]
    assert (slow.runtime, slow.batch, fast.runtime) == ("slow", 32, "fast")
    assert slow.p50 > fast.p50
    assert slow.images_per_second == pytest.approx(32 / (slow.p50 / 1000))


@pytest.mark.parametrize(
    "damage", ["swapped", "cut", "missing", "edited", "not json", "other version", "no inputs", "elsewhere"]
)
def test_a_changed_folder_is_refused(damage, exported, tmp_path):
    folder = shutil.copytree(exported[0], tmp_path / "export")
    graph, manifest = folder / "model.onnx", folder / MANIFEST
    content = json.loads(manifest.read_text())
    match damage:
        case "swapped":
            graph.write_bytes(graph.read_bytes().replace(b"images", b"imaget"))
        case "cut":
            graph.write_bytes(graph.read_bytes()[:-100])
        case "missing":
            graph.unlink()
        case "edited":
            manifest.write_text(json.dumps(content | {"rate": 0.5}))
        case "not json":
            manifest.write_text(manifest.read_text()[:-30])
        case "other version":
            manifest.write_text(json.dumps(content | {"format": 99}))
        case "no inputs":
            read_export(folder).model_copy(update={"inputs": {}}).write(folder)
        case "elsewhere":
            sealed = read_export(folder).model_copy(update={"files": {"../secret": "0" * 64}})
            sealed.write(folder)
    with pytest.raises(IntegrityError, match=str(folder)):
        score_exported(folder, tmp_path)


def test_a_graph_that_the_runtime_cannot_read_is_told(exported, tmp_path):
    folder = shutil.copytree(exported[0], tmp_path / "export")
    (folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(IntegrityError, match=r"model\.onnx cannot be opened"):
        open_runtime(folder, "onnx", threads=1, joint=False)


def test_a_folder_that_is_none_and_a_format_that_is_none(tmp_path, finished):
    with pytest.raises(InputError, match=f"has no {MANIFEST}"):
        read_export(tmp_path)
    with pytest.raises(SettingError, match="onnx, openvino, torch-export: got 'tflite'"):
        export_run(feint.Run(finished.path), kind="tflite", out=tmp_path / "out")
    with pytest.raises(OutputError, match="never overwritten"):
        export_run(feint.Run(finished.path), kind="torch-export", out=tmp_path)


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [("onnx", "onnxscript", r"feint\[onnx\]"), ("openvino", "openvino", r"feint\[openvino\]")],
)
def test_a_missing_extra_is_told_before_anything_is_done(kind, module, extra, finished, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingError, match=f"{module} is not installed: pip install '{extra}'"):
        export_run(feint.Run(finished.path), kind=kind, out=tmp_path / "out")


def test_of_a_graph_that_differs_nothing_is_written_and_the_difference_is_shown(finished, tmp_path, monkeypatch):
    """A graph in float32 is never the run to the last bit: without tolerance it is refused."""
    monkeypatch.setattr(parity, "TOLERANCE", 0.0)
    with pytest.raises(OutputError, match=r"scores differ by up to .*e-.* \(.*\.png: .* by the run, .* exported\)"):
        export_run(feint.Run(finished.path), kind="torch-export", out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["scores", "maps", "calibration", "rate"])
def test_parity_sees_every_kind_of_difference(part, exported, finished):
    folder, _ = exported
    model = feint.Run(finished.path).model
    (member,) = model.members
    complaint = "scores differ|p-values differ"
    if part == "scores":
        member.scorer.units.mul_(1.001)
    elif part == "maps":
        member.scorer.map_units.mul_(1.001)
        complaint = "maps differ"
    elif part == "calibration":
        model = replace(model, members=(replace(member, calibration=member.calibration + 0.1),))
        complaint = "p-values differ"
    else:
        model = replace(model, rate=0.5)
        complaint = "are flagged by one alone"
    images = evidence(feint.Run(finished.path), [member.preprocessing], None)
    with pytest.raises(OutputError, match=complaint):
        parity.compare(model, open_runtime(folder, "onnx", threads=1, joint=False), images)


def test_images_of_the_run_are_taken_where_they_are_still_there(finished, run, tmp_path):
    shape = run.record.preprocessing
    ours = evidence(run, [shape], unlabelled_folder(tmp_path / "mine", 70))
    assert (len(ours.pixels[shape]), ours.source) == (64, str(tmp_path / "mine"))
    path = run.path / "run.json"
    path.write_text(path.read_text().replace(str(finished.normal.parent), "/gone"))
    none = evidence(feint.Run(run.path), [shape], None)
    assert none.source == GENERATED
    np.testing.assert_array_equal(none.pixels[shape], generated([shape]).pixels[shape])
    assert none.pixels[shape].std() > 10
    with pytest.raises(InputError):
        evidence(run, [shape], tmp_path / "nowhere")
