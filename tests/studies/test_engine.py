"""The engine: nothing finished is run twice, nothing is half-written, a failure loses no other cell."""

import json
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from feint.core.errors import InputError, IntegrityError, SettingError
from feint.records.study import ROW_COLUMNS
from feint.studies.run import run_study
from feint.studies.store import Counts, Store

CELLS = 12
DIVERGES = '["ae", "dae", "wild"]'
WILD = '[detectors.wild]\nkind = "deepsad"\nrate = 1e30\nwidth = 4\npretrain_epochs = 1\nepochs = 3\n'


def run(folder, store="store", **options):
    return run_study(folder / "plan.toml", folder / store, backend="serial", workers=1, **options)


def read(folder, store="store"):
    with Store(folder / store) as opened:
        return opened.rows(), opened.cells()


def finished(folder, store="store"):
    base = sqlite3.connect(folder / store / "study.sqlite")
    try:
        return dict(base.execute("SELECT key, finished FROM cells WHERE status = 'done'"))
    finally:
        base.close()


def test_a_study_runs_and_runs_nothing_twice(folder):
    assert run(folder) == Counts(done=CELLS, failed=0, left=0)
    before = finished(folder)
    rows, cells = read(folder)
    assert tuple(rows.columns) == ROW_COLUMNS
    assert (len(cells), set(cells["status"])) == (CELLS, {"done"})
    assert len(rows[rows["metric"] == "auroc"]) == CELLS * (2 + 3)
    assert rows["value"].between(0, 1).all()
    assert run(folder).done == CELLS
    assert finished(folder) == before


def test_one_training_serves_all_tasks_that_share_it(folder):
    run(folder)
    rows, _ = read(folder)
    auroc = rows[(rows["metric"] == "auroc") & (rows["detector"] == "dae") & (rows["augmentation"] == "flip")]
    tasks = set(auroc[(auroc["normal"] == "2") & (auroc["seed"] == 0)]["task"])
    assert tasks == {
        "shapes/one-vs-one/2/0", "shapes/one-vs-one/2/1",
        "shapes/controlled/2/flip", "shapes/controlled/2/cutout", "shapes/controlled/2/invert",
    }  # fmt: skip
    assert len(list((folder / "store" / "scores").rglob("*.npz"))) == CELLS


def test_scores_per_image_are_kept(folder):
    run(folder)
    _, cells = read(folder)
    with Store(folder / "store") as opened, np.load(opened.arrays_of(cells["key"][0]), allow_pickle=False) as arrays:
        assert arrays["scores.score"].shape == (8 * 3 + 8 * 3,)
        assert {"close.embeddings.train", "close.pictures.test:flip"} <= set(arrays.files)
    listed = [json.loads(each.read_text()) for each in (folder / "store" / "images").glob("tested-*.json")]
    assert {each["normal"] for each in listed} == {"0", "2"}
    assert all(len(each["ids"]) == len(set(each["ids"])) == len(each["kinds"]) == 48 for each in listed)


def test_killed_at_any_moment_it_goes_on(folder):
    run(folder, "whole")
    expected, _ = read(folder, "whole")
    code = (
        "import sys; from pathlib import Path; from feint.studies.run import run_study\n"
        "run_study(Path(sys.argv[1]), Path(sys.argv[2]), backend='serial', workers=1)"
    )
    for _ in range(4):
        command = [sys.executable, "-c", code, str(folder / "plan.toml"), str(folder / "killed")]
        process = subprocess.Popen(command)
        before = _wait_for_more(folder, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = finished(folder, "killed") if before else {}
        assert kept.items() >= before.items()
    assert finished(folder, "killed"), "it was killed before any cell was done: the test shows nothing"
    kept = finished(folder, "killed")
    assert run(folder, "killed").done == CELLS
    assert finished(folder, "killed").items() >= kept.items()
    assert read(folder, "killed")[0].equals(expected)


def _wait_for_more(folder, process):
    """Wait until a cell more is done than when the process began, or it has ended; return what is done."""
    first = None
    while process.poll() is None:
        try:
            found = finished(folder, "killed")
        except sqlite3.OperationalError:
            found = {}
        first = found if first is None else first
        if len(found) > len(first):
            return found
        time.sleep(0.01)
    return finished(folder, "killed")


def test_a_failing_cell_is_a_record_and_loses_no_other(folder):
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text().replace('["ae", "dae"]', DIVERGES) + WILD)
    assert run(folder) == Counts(done=CELLS, failed=8, left=0)
    rows, cells = read(folder)
    failed = cells[cells["status"] == "failed"]
    assert set(failed["detector"]) == {"wild"}
    assert failed["reason"].str.contains("diverged at step [0-9]+").all()
    assert rows[rows["detector"] == "wild"]["value"].isna().all()
    assert (rows[rows["detector"] == "wild"]["status"] == "failed").all()
    with Store(folder / "store") as opened:
        assert all("Traceback" in each for each in opened.tracebacks().values())


def test_a_failed_cell_is_run_again_on_request_only(folder):
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text().replace('["ae", "dae"]', DIVERGES) + WILD)
    run(folder)
    seen = []
    run(folder, tell=lambda progress: seen.append(progress.counts))
    assert [each.left for each in seen] == [0]
    seen.clear()
    run(folder, retry_failed=True, tell=lambda progress: seen.append(progress.per_minute))
    assert len(seen) == 1 + 8


def test_detectors_with_other_metrics_live_in_one_store(folder):
    plan = folder / "plan.toml"
    text = plan.read_text().replace('["ae", "dae"]', '["ae", "discriminator", "pixel-knn"]')
    plan.write_text(text + "[detectors.discriminator]\nwidth = 8\ndepth = 2\n")
    assert run(folder).failed == 0
    rows, _ = read(folder)
    metrics = rows.groupby("detector")["metric"].agg(set)
    assert "auroc:logit" in metrics["discriminator"]
    assert "auroc:logit" not in metrics["ae"]
    assert metrics["pixel-knn"] == metrics["ae"]


def test_a_larger_plan_runs_what_is_new(folder):
    run(folder)
    before = finished(folder)
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text().replace("seeds = [0, 1]", "seeds = [0, 1, 2]"))
    assert run(folder).done == CELLS // 2 * 3
    assert finished(folder).items() >= before.items()


def test_two_names_for_the_same_detector_are_two_arms(folder):
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text().replace('["ae", "dae"]', '["dae", "twin"]') + '[detectors.twin]\nkind = "dae"\n')
    assert run(folder).done == 2 * 8
    rows, _ = read(folder)
    one, other = (rows[rows["detector"] == name]["value"].tolist() for name in ("dae", "twin"))
    assert one == other


def test_outlier_exposure_to_the_normal_class_is_no_augmentation(folder):
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text().replace('"flip", "cutout"', '"oe-1", "oe-2"'))
    run(folder)
    rows, _ = read(folder)
    values = rows[rows["normal"] == "2"].set_index(["augmentation", "task", "seed", "metric"])["value"]
    assert values["oe-2"].equals(values["none"])
    assert not values["oe-1"].equals(values["none"])


def test_two_engines_on_one_store_never_work_at_once(folder):
    with Store(folder / "store", write=True), pytest.raises(InputError, match="another engine"):
        run(folder)
    assert run(folder).done == CELLS


def test_an_absent_data_set_or_class_is_named_before_anything_runs(folder):
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text().replace("normal = [0, 2]", "normal = [0, 7]"))
    with pytest.raises(SettingError, match="'7' is unknown"):
        run(folder)
    (folder / "shapes.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"shapes\.npz"):
        run(folder)


def test_a_store_of_another_version_is_refused(folder):
    run(folder)
    base = sqlite3.connect(folder / "store" / "study.sqlite")
    base.execute("PRAGMA user_version = 99")
    base.close()
    for write in (False, True):
        with pytest.raises(IntegrityError, match="format 99"), Store(folder / "store", write=write):
            pass


def test_a_store_of_the_first_version_is_read_and_taken_up(folder):
    """Its cells had no column for a task of their own."""
    run(folder)
    before = read(folder)[0]
    base = sqlite3.connect(folder / "store" / "study.sqlite")
    base.execute("ALTER TABLE cells DROP COLUMN task")
    base.execute("PRAGMA user_version = 1")
    base.commit()
    base.close()
    rows, cells = read(folder)
    assert rows.equals(before)
    assert set(cells["task"]) == {""}
    assert run(folder) == Counts(done=CELLS, failed=0, left=0)


def test_what_is_no_store_is_refused(folder):
    with pytest.raises(InputError, match="holds no study"), Store(folder / "nowhere"):
        pass
    (folder / "odd").mkdir()
    (folder / "odd" / "study.sqlite").write_bytes(b"not a database, but long enough to be one" * 50)
    with pytest.raises(IntegrityError, match="no store"), Store(folder / "odd"):
        pass
