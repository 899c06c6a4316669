"""Studies of representations, from the plan to the report: nothing is lost, nothing is run twice."""

import json
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from small_wild import PLAN, write_study

from feint.core.errors import InputError
from feint.records.study import ROW_COLUMNS
from feint.studies.estimating import estimate
from feint.studies.reading import export_rows, read_study
from feint.studies.run import run_study
from feint.studies.store import Counts, Store

ARMS = PLAN[PLAN.index("arms = ") : PLAN.index("levels")]
KILLED = PLAN.replace(ARMS, 'arms = ["supervised/resnet8", "simclr/resnet8"]\n').replace("[0.1, 0.3]", "[0.3]")
TWO = PLAN.replace(ARMS, 'arms = ["supervised/resnet8", "supervised-weighted/resnet8"]\n')
ONE = PLAN.replace(ARMS, 'arms = ["supervised/resnet8"]\n').replace(", 0.3]", "]")


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    monkeypatch.setenv("FEINT_CORES", "1")


@pytest.fixture
def folder(tmp_path):
    return write_study(tmp_path, plan=TWO)


def run(folder, store="store", *, backend="serial", workers=1, **options):
    return run_study(folder / "plan.toml", folder / store, backend=backend, workers=workers, **options)


def read(folder, store="store"):
    with Store(folder / store) as opened:
        return opened.rows(), opened.cells(), opened.notes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study of all kinds of arms that is finished."""
    folder = write_study(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEINT_CORES", "1")
        run(folder)
    return folder


def test_every_arm_at_every_level_is_in_the_rows(whole):
    rows, cells, notes = read(whole)
    assert tuple(rows.columns) == ROW_COLUMNS
    assert set(cells["status"]) == {"done"}
    assert {*zip(cells["detector"], cells["augmentation"], strict=True)} == {
        ("untrained/resnet8", "none"), ("supervised/resnet8", "none"),
        ("simclr/resnet8", "defect"), ("mae/vit_micro", "mae"),
    }  # fmt: skip
    assert {*zip(rows["data"], rows["testbed"], rows["normal"], rows["anomaly"], strict=True)} == {
        ("tiles", level, "normal", "defects") for level in ("10%", "30%")
    }
    metrics = rows.groupby("detector")["metric"].agg(set)
    assert {"auroc", "average_precision", "prevalence", "f1:corrected"} <= set.intersection(*metrics)
    assert {"auroc:knn", "auroc:lof", "free:rankme", "free:lidar"} <= metrics["untrained/resnet8"]
    assert {"auroc:reconstruction", "free:rankme@projector"} <= metrics["mae/vit_micro"]
    assert notes == [
        "mae/resnet8: not applicable, it hides patches and needs an encoder of patch tokens",
        "tiles: level 10% leaves 4 anomalous of 44 images, under 10: results at this level hang on single images.",
    ]


def test_the_report_and_the_table_hold_what_was_run(whole):
    record = read_study(whole / "store")
    assert record.levels == ["10%", "30%"]
    assert [each for each in record.left_out if "not applicable" in each or "leaves 4 anomalous" in each]
    assert {each.scorer for each in record.cells} & {"natural", "few-5", "probe-knn"} == set()
    assert export_rows(whole / "store", whole / "rows.csv") == len(read(whole)[0])


def test_running_again_runs_nothing_and_a_new_level_only_itself(folder):
    plan = folder / "plan.toml"
    plan.write_text(TWO.replace("steps = 3", "steps = 3\ntotal = 30"))
    assert run(folder).done == 4
    seen = []
    run(folder, tell=lambda progress: seen.append(progress.counts.left))
    assert seen == [0]
    plan.write_text(plan.read_text().replace("levels = [0.1, 0.3]", "levels = [0.1, 0.2, 0.3]"))
    run(folder, tell=lambda progress: seen.append(progress.counts.left))
    assert seen == [0, 2, 1, 0]


def test_killed_it_goes_on_and_gives_the_same_rows(folder):
    (folder / "plan.toml").write_text(KILLED)
    code = (
        "import sys; from pathlib import Path; from feint.studies.run import run_study\n"
        "run_study(Path(sys.argv[1]), Path(sys.argv[2]), backend='serial', workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder / "plan.toml"), str(folder / "killed")])
    while process.poll() is None and not finished(folder):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = finished(folder)
    assert kept, "it was killed before any cell was done: the test shows nothing"
    assert run(folder, "killed") == Counts(done=2, failed=0, left=0)
    assert finished(folder).items() >= kept.items()
    run(folder, "store", backend="processes", workers=2)
    assert read(folder, "killed")[0].equals(read(folder, "store")[0]), "two workers give the rows of one"


def finished(folder):
    try:
        base = sqlite3.connect(f"file:{folder / 'killed/study.sqlite'}?mode=ro", uri=True)
        found = dict(base.execute("SELECT key, finished FROM cells WHERE status = 'done'"))
        base.close()
    except sqlite3.OperationalError:
        return {}
    return found


def test_a_level_that_is_not_feasible_fails_alone(folder):
    plan = folder / "plan.toml"
    plan.write_text(TWO.replace("levels = [0.1, 0.3]", "levels = [0.1, 0.9]\ntotal = 40"))
    assert run(folder) == Counts(done=2, failed=2, left=0)
    _, cells, notes = read(folder)
    failed = cells[cells["status"] == "failed"]
    assert set(failed["task"]) == {"90%"}
    assert failed["reason"].str.contains("N = 40 is too many for a pool of 40 normal and 15 anomalous images").all()
    assert any("level 10% leaves 4 anomalous of 40" in each for each in notes)


def test_equal_images_fail_with_their_reason_and_lose_no_other_set(folder):
    for kind in ("good", "blot"):
        (folder / "blank" / kind).mkdir(parents=True)
        for number in range(20):
            Image.new("L", (16, 16), 90).save(folder / "blank" / kind / f"{number}.png")
    plan = folder / "plan.toml"
    another = '[[data]]\nname = "blank"\npath = "blank"\nsize = 16\n[pretraining]'
    plan.write_text(TWO.replace("[pretraining]", another))
    assert run(folder) == Counts(done=4, failed=4, left=0)
    _, cells, _ = read(folder)
    failed = cells[cells["status"] == "failed"]
    assert set(failed["data"]) == {"blank"}
    assert failed["reason"].str.contains("each part needs both").all()
    assert read_study(folder / "store").left_out


def test_images_that_cannot_be_read_are_left_out_and_told(folder):
    (folder / "tiles/test/blot/000.png").write_bytes(b"no picture")
    (folder / "plan.toml").write_text(ONE)
    assert run(folder).done == 1
    assert any("tiles: 1 images cannot be read and were left out, e.g. test/blot/000.png" in n for n in read(folder)[2])


def test_classes_are_normal_in_turn_and_limited(folder):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (90, 16, 16), dtype=np.uint8)
    np.savez(folder / "set.npz", x_train=x[:60], y_train=np.arange(60) % 3, x_test=x[60:], y_test=np.arange(30) % 3)
    table = 'name = "set"\npath = "set.npz"\nnormal = [0, 2]\nmost = 25'
    (folder / "plan.toml").write_text(ONE.replace('name = "tiles"\npath = "tiles"', table))
    assert run(folder).done == 2
    rows, cells, notes = read(folder)
    assert set(cells["normal"]) == {"0", "2"}
    assert set(rows["anomaly"]) == {"rest"}
    assert [each.partition(":")[0] for each in notes] == ["set (0)", "set (2)"]
    assert {each.shape for each in map(np.load, (folder / "store/images").glob("*.npy"))} == {(50, 1, 16, 16)}


def test_labels_other_than_two_are_refused_before_anything_runs(folder):
    names = sorted(str(each.relative_to(folder)) for each in (folder / "tiles").rglob("*.png"))
    (folder / "table.csv").write_text("path,label\n" + "".join(f"{n},{i % 3}\n" for i, n in enumerate(names)))
    (folder / "plan.toml").write_text(TWO.replace('path = "tiles"', 'path = "table.csv"'))
    with pytest.raises(InputError, match=r"a label must be 0 \(normal\) or 1 \(anomalous\): got '2'"):
        run(folder)
    with pytest.raises(InputError, match=r"(?s)the data of the plan cannot be used:.*data tiles: .* got '2'"):
        estimate(folder / "plan.toml")


def test_notes_are_kept_in_the_store_as_the_engine_tells_them(folder):
    (folder / "plan.toml").write_text(ONE)
    told = []
    run(folder, tell=lambda progress: told.extend(progress.notes))
    with Store(folder / "store") as opened:
        assert json.loads(opened.about()["notes"]) == opened.notes() == told
    assert len(told) == 1
