"""`feint assess`: every number is that of the metrics on the embeddings; damaged and unfinished runs are told apart."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from small_runs import picture, write

import feint
from feint.core.detector import as_unit
from feint.core.errors import InputError, IntegrityError
from feint.data import decode, open_images
from feint.metrics import representations
from feint.records.assessment import AssessmentRecord, CheckpointRecord, MetricValues
from feint.records.run import WarningRecord
from feint.runs import assess as assessing
from feint.runs import measuring
from feint.runs.finished_pretraining import Pretrained
from feint.runs.pretrain import run_pretrain
from feint.runs.pretrain_settings import PretrainSettings

SIDE = 16
IMAGES = 40
STEPS, KEPT = 3, [1, 2, 3]
TINY = {"image_size": SIDE, "steps": STEPS, "batch": 8, "seed": 3}
MEASURED = set(MetricValues.model_fields)


@pytest.fixture(scope="module", autouse=True)
def small_and_on_one_core():
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEINT_CORES", "1")
        patch.setattr(measuring, "VIEWS_EACH", 3)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return different images, and one file that is none."""
    root = tmp_path_factory.mktemp("assess")
    images = write(root / "images", {f"{i:02d}.png": picture(i, side=SIDE) for i in range(IMAGES)})
    (images / "broken.png").write_bytes(b"no image")
    return images


@pytest.fixture(scope="module")
def made(tmp_path_factory, folder) -> dict[str, Path]:
    """Return tiny pretrainings by method; not to be changed."""
    root, found = tmp_path_factory.mktemp("pretrained"), {}
    for method, encoder in (("simclr", "resnet8"), ("mae", "vit_micro")):
        found[method] = root / method
        run_pretrain(folder, PretrainSettings(method=method, encoder=encoder, **TINY), out=found[method])
    return found


@pytest.fixture(scope="module")
def record(made, folder) -> AssessmentRecord:
    return feint.assess(made["simclr"], folder, seed=5)


@pytest.fixture
def run(made, tmp_path) -> Path:
    """Return a copy that may be damaged."""
    return shutil.copytree(made["simclr"], tmp_path / "run", ignore=shutil.ignore_patterns(assessing.FILE))


def change_record(run: Path, **changes: object) -> None:
    path = run / "pretraining.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def spoil(run: Path, step: int) -> None:
    """Set the weights of a checkpoint to NaN."""
    path = Pretrained(run).checkpoint(step)
    save_file({k: v * math.nan if v.is_floating_point() else v for k, v in load_file(path).items()}, path)


def test_the_numbers_are_those_of_the_metrics_on_the_embeddings(made, folder, record):
    pretrained = Pretrained(made["simclr"])
    pixels = decode(open_images(folder, role="unlabelled"), [pretrained.record.preprocessing], workers=1).pixels[0]
    images = as_unit(torch.from_numpy(pixels))
    learner = pretrained.learner(STEPS)
    with torch.no_grad():
        ends = {"encoder": learner.encoder.embed(images), "projector": learner.project(images)}
        untrained = pretrained.untrained().encoder.embed(images)
        assert torch.equal(pretrained.encoder.embed(images), ends["encoder"])
    last = record.checkpoints[-1]
    for values, z in (
        (last.encoder, ends["encoder"]),
        (last.projector, ends["projector"]),
        (record.untrained, untrained),
    ):
        found, wanted = values.model_dump(), representations.assess(z.numpy(), seed=5)
        assert set(wanted) | {"lidar", "alignment", "clid", "pseudo_probe", "pseudo_probe_cutpaste"} == MEASURED
        assert 0.3 < found["pseudo_probe_cutpaste"] <= 1
        for key, each in wanted.items():
            assert found[key] == (pytest.approx(each.value, rel=1e-4) if math.isfinite(each.value) else None), key
    assert record.rankme == last.encoder.rankme


def test_every_metric_is_there_at_every_end(record):
    assert [each.step for each in record.checkpoints] == KEPT
    assert (record.images, record.given, [each.path for each in record.skipped]) == (IMAGES, IMAGES + 1, ["broken.png"])
    undefined = {"alpha_req"} if record.alpha_req is None else set()
    for values in (record, record.untrained, record.projector, *(each.encoder for each in record.checkpoints)):
        assert {key for key in MEASURED if getattr(values, key) is None} <= undefined
    assert set(record.details) == {f"{key}{at}" for key in MEASURED for at in ("", "@projector")}
    rank = record.details["rankme"]
    assert (rank.n, rank.d, rank.centring, rank.eps, rank.direction) == (IMAGES, 64, "none", 1e-7, "up")
    assert record.details["lidar"].numbers["views"] == measuring.VIEWS_EACH
    assert any("fewer than 10" in each for each in record.notes)
    assert record.keep.step in {*KEPT, None}


def test_lidar_and_alignment_see_the_views_of_the_pretraining(run, folder, record):
    assert record.views == "defect"
    halves = np.stack([picture(i, side=SIDE) for i in range(12)])[:, :, : SIDE // 2]
    mirrored = np.concatenate([halves, halves[:, :, ::-1]], axis=2)
    assert feint.assess(run, mirrored).alignment > 1e-6
    change_record(run, views="mirror")  # which leaves these images as they are
    found = feint.assess(run, mirrored)
    assert found.alignment == pytest.approx(0, abs=1e-9)
    assert found.views == "mirror"
    assert feint.assess(run, folder).alignment > 1e-6


def test_same_seed_gives_the_same_record_and_leaves_the_generators_alone(made, folder, record):
    state = torch.get_rng_state()
    assert feint.assess(made["simclr"], folder, seed=5) == record
    assert torch.equal(torch.get_rng_state(), state)
    assert feint.assess(made["simclr"], folder, seed=6).lidar != record.lidar


def test_the_record_is_stored_and_nothing_else_is_left(made, folder, run):
    before = {each.name for each in run.iterdir()}
    (run / "assessment.json").write_text("an earlier one")
    found = feint.assess(Pretrained(run), folder)
    assert AssessmentRecord.model_validate_json((run / "assessment.json").read_text()) == found
    assert {each.name for each in run.iterdir()} == before | {"assessment.json"}


def test_clid_is_relative_to_the_checkpoints_and_the_untrained_encoder(record):
    pool = [record.untrained, *(each.encoder for each in record.checkpoints)]
    wanted = representations.clid(
        [each.cluster_learnability for each in pool], [each.intrinsic_dimension for each in pool]
    )
    assert [each.clid for each in pool] == pytest.approx(wanted.tolist())


def test_a_method_without_projector_has_none(made, folder):
    found = feint.assess(made["mae"], folder)
    assert found.projector is None
    assert all(each.projector is None for each in found.checkpoints)
    assert not any("@" in key for key in found.details)
    assert found.lidar is not None
    assert found.alignment is not None


def test_nan_weights_are_an_alarm_and_the_checkpoint_before_is_kept(folder, run, record):
    spoil(run, STEPS)
    found = feint.assess(run, folder, seed=5)
    assert {each.code for each in found.alarms} == {"non_finite_embeddings", "non_finite_embeddings@projector"}
    assert all(getattr(found, key) is None for key in MEASURED)
    kept = [each.step for each in record.checkpoints if not each.alarms and each.step < STEPS]
    assert found.keep.step == (kept[-1] if kept else None)
    assert "NaN" in found.keep.why
    assert found.checkpoints[0].encoder.rankme == record.checkpoints[0].encoder.rankme
    assert found.details["rankme"].d == 64
    assert "NaN" not in (run / "assessment.json").read_text().replace(found.keep.why, "").replace(
        found.alarms[0].message, ""
    )


def test_nothing_is_kept_where_every_checkpoint_is_nan(folder, run):
    for step in KEPT:
        spoil(run, step)
    found = feint.assess(run, folder)
    assert found.keep.step is None
    assert all(each.alarms for each in found.checkpoints)
    assert found.untrained.rankme > 1


def test_a_collapsed_encoder_raises_the_alarm(folder, run):
    path = Pretrained(run).checkpoint(STEPS)
    state = load_file(path)
    constant = {k: torch.zeros_like(v) if "bn" in k or "norm" in k else v for k, v in state.items()}
    constant |= {k: v + 1 for k, v in constant.items() if k.endswith(("running_var", "bias"))}
    assert any("bias" in k and k.startswith("encoder") for k in constant)
    save_file(constant, path)
    found = feint.assess(run, folder)
    assert "collapsed_embeddings" in {each.code for each in found.alarms}
    assert found.keep.step != STEPS


def test_a_loss_that_stays_at_its_floor_raises_the_alarm(folder, run):
    floor = math.log(2 * TINY["batch"] - 1)
    lines = [json.dumps({"step": step, "loss": floor}) for step in range(1, 121)]
    (run / "log.jsonl").write_text("\n".join([*lines[:50], '{"step": 51, "lo' + lines[49], *lines[50:]]) + "\n")
    pretrained = Pretrained(run)
    assert len(pretrained.losses(200)) == 120
    assert len(pretrained.losses(8)) == 8
    for step in KEPT[:-1]:
        pretrained.checkpoint(step).unlink()
    pretrained.checkpoint(STEPS).rename(pretrained.checkpoint(120))
    change_record(run, steps=120, steps_done=120, checkpoints=[120])
    assert "loss_at_floor" in {each.code for each in feint.assess(run, folder).alarms}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=5))
def test_the_last_checkpoint_without_alarm_is_kept(alarmed):
    alarm = [WarningRecord(code="collapsed_embeddings", message="all the same.")]
    checkpoints = [
        CheckpointRecord(step=i, encoder=MetricValues(), projector=None, alarms=alarm if each else [])
        for i, each in enumerate(alarmed)
    ]
    quiet = [i for i, each in enumerate(alarmed) if not each]
    assert assessing._keep(checkpoints).step == (max(quiet) if quiet else None)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 500), st.integers(1, 100))
def test_rows_are_evenly_spaced_from_the_first_to_the_last(n, most):
    rows = measuring.evenly(n, most)
    assert len(rows) == min(n, most) == len(set(rows.tolist()))
    assert rows[0] == 0
    assert len(rows) == 1 or (rows[-1] == n - 1 and np.ptp(np.diff(rows)) <= 1)


def test_of_many_images_evenly_spaced_ones_are_used_and_it_is_said(made, run, folder, monkeypatch):
    monkeypatch.setattr(assessing, "MOST", 20)
    monkeypatch.setattr(measuring, "MOST_NUMBERS", 64 * 15)
    pixels = np.stack([picture(i, side=SIDE) for i in range(IMAGES)])
    found = feint.assess(run, pixels)
    assert (found.images, found.given) == (20, IMAGES)
    assert found.details["rankme"].n == 15
    assert "20 of the 40 images, evenly spaced" in found.notes[0]
    assert "15 of the images, evenly spaced" in found.notes[1]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.stack([picture(i, side=SIDE) for i in range(9)]), "9 images, 9 of them different"),
        (np.stack([picture(0, side=SIDE)] * 30), "30 images, 1 of them different"),
    ],
)
def test_too_few_different_images_are_refused(run, images, words):
    with pytest.raises(InputError, match=words):
        feint.assess(run, images)
    assert not (run / "assessment.json").exists()
    assert not (run / "assessment.partial").exists()


def test_what_is_no_pretraining_is_refused(tmp_path, finished, folder):
    for path, words in (
        (tmp_path, "no pretraining"),
        (tmp_path / "no", "no pretraining"),
        (finished.path, "feint tune"),
    ):
        with pytest.raises(InputError, match=words):
            feint.assess(path, folder)


def test_an_unfinished_pretraining_is_named_so(made, tmp_path, folder):
    partial = tmp_path / "run.partial"
    partial.mkdir()
    (partial / "images.npy").write_bytes(b"")
    for path in (partial, tmp_path / "run"):
        with pytest.raises(InputError, match=r"run\.partial is an unfinished pretraining: .*--resume"):
            Pretrained(path)
    result = shutil.copytree(made["simclr"], partial / "result")
    change_record(result, steps_done=1)
    with pytest.raises(InputError, match="1 of 3 steps"):
        Pretrained(partial)
    with pytest.raises(InputError, match="1 of 3 steps"):
        Pretrained(result)


@pytest.mark.parametrize("name", ["encoder.safetensors", "checkpoints/step-000002.safetensors"])
def test_a_missing_file_is_named(run, name):
    (run / name).unlink()
    with pytest.raises(IntegrityError, match=name):
        Pretrained(run)


@pytest.mark.parametrize("name", ["encoder.safetensors", "checkpoints/step-000002.safetensors", "pretraining.json"])
def test_a_file_that_was_cut_short_is_named(run, folder, name):
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(IntegrityError, match=name):
        feint.assess(run, folder)


def test_an_unknown_method_and_a_record_without_checkpoints_are_refused(run):
    change_record(run, checkpoints=[])
    with pytest.raises(IntegrityError, match="no checkpoint"):
        Pretrained(run)
    change_record(run, method="moco")
    with pytest.raises(IntegrityError, match="'moco'"):
        Pretrained(run)


def test_weights_of_another_encoder_are_told_by_what_differs(made, run, folder):
    other = Pretrained(made["mae"])
    shutil.copy(other.path / "encoder.safetensors", run)
    with pytest.raises(IntegrityError, match=r"vit_micro/4 for 1 channel and 16 x 16 px.*speaks of resnet8"):
        Pretrained(run)
    shutil.copy(made["simclr"] / "encoder.safetensors", run)
    shutil.copy(other.checkpoint(2), run / "checkpoints")
    with pytest.raises(IntegrityError, match=r"step-000002\S+ is a checkpoint of another .* is absent instead of \("):
        feint.assess(run, folder)


def test_a_pretraining_says_what_it_is(made):
    assert "simclr on resnet8 for 1 channel and 16 x 16 px, 3 steps" in repr(Pretrained(made["simclr"]))
