"""Detectors that learn from unlabelled images: a training for each task, judged on images that they have not seen."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import test_engine as engine
from test_study_commands import feint

from feint.core.errors import InputError, SettingError
from feint.data.testbeds import TestbedSettings as Settings
from feint.data.testbeds import normal_sets
from feint.metrics.roc import auroc
from feint.studies.estimating import estimate
from feint.studies.plan import arms_of
from feint.studies.plan_file import read_plan
from feint.studies.store import Counts, Store
from feint.studies.tune_pool import shares

PLAN = """
[study]
name = "tuned"
seeds = [1]
[[data]]
name = "shapes"
path = "shapes.npz"
tasks = "one-vs-one"
normal = [0, 2]
size = 16
[[data]]
name = "bars"
path = "shapes.npz"
tasks = "one-vs-one"
normal = [1]
anomalies = [0]
size = 16
[[arms]]
detectors = ["ae"]
augmentations = ["none"]
[[arms]]
detectors = ["discriminator", "st-ssad"]
augmentations = ["rotation", "rs-rotation", "rd-rotation"]
[train]
width = 8
depth = 2
batch = 8
steps = 4
score = "gaussian"
[detectors.ae]
net = "linear"
hidden = 4
epochs = 1
[detectors.st-ssad]
starts = 1
warm_start = 2
updates = 2
between = 1
sample = 8
[[hypotheses]]
name = "tuned-beats-random"
detector = "st-ssad"
"""
NORMAL_SETS, TASKS = 3, 5
CELLS = NORMAL_SETS * (1 + 3) + TASKS


@pytest.fixture
def tuned(folder):
    (folder / "plan.toml").write_text(PLAN)
    return folder


def arrays(folder, key, store="store"):
    with Store(folder / store) as opened, np.load(opened.arrays_of(key), allow_pickle=False) as found:
        return dict(found)


def test_a_study_end_to_end_and_nothing_is_run_twice(tuned):
    feint(tuned, "run", "plan.toml", "--store", "store", "--backend", "serial")
    rows, cells = engine.read(tuned)
    assert len(cells[cells["status"] == "done"]) == CELLS
    mine = cells[cells["detector"] == "st-ssad"]
    assert sorted(mine["task"].unique()) == ["one-vs-one/0", "one-vs-one/1", "one-vs-one/2"]
    assert len(mine) == TASKS
    assert set(cells[cells["detector"] != "st-ssad"]["task"]) == {""}
    counts = rows[rows["metric"] == "auroc"].groupby(["detector", "augmentation"]).size()
    assert set(counts) == {TASKS}
    before = engine.finished(tuned)
    assert engine.run(tuned) == Counts(done=CELLS, failed=0, left=0)
    assert engine.finished(tuned) == before
    _every_arm_is_judged_on_the_same_unseen_images(tuned, rows, cells)

    feint(tuned, "export", "store", "paths.csv", "--trajectories")
    paths = pd.read_csv(tuned / "paths.csv")
    assert len(paths) == TASKS * 2
    assert set(paths["magnitude"]) == {"angle"}
    assert set(paths["task"]) == set(mine["task"])
    assert paths.notna().all(axis=None)
    feint(tuned, "report", "store", "--out", "page.html")
    page = (tuned / "page.html").read_text()
    assert "tuned magnitudes beat random ones" in page
    assert "too few to be trusted" in page


def _every_arm_is_judged_on_the_same_unseen_images(folder, rows, cells):
    (images,) = normal_sets(
        folder / "shapes.npz", name="shapes", settings=Settings(tasks=("one-vs-one",), normal=("2",), size=16), seed=0
    )
    for share in shares(images, "val", seed=1):
        anomalous = images.kinds[share.judged] != 0
        for cell in cells[(cells["data"] == "shapes") & (cells["normal"] == "2") & (cells["seed"] == 1)].itertuples():
            if cell.task not in {"", share.name}:
                continue
            name = "scores.score" if cell.detector == "ae" else "scores.gaussian"
            scores = arrays(folder, cell.key)[name]
            row = rows[
                (rows["detector"] == cell.detector) & (rows["augmentation"] == cell.augmentation)
                & (rows["task"] == f"shapes/one-vs-one/2/{share.task.anomaly}") & (rows["seed"] == 1)
                & (rows["metric"] == "auroc")
            ]  # fmt: skip
            judged = scores[share.judged]
            assert row["value"].tolist() == [pytest.approx(auroc(judged[~anomalous], judged[anomalous]))]
            pool = np.union1d(share.seen, share.judged)
            assert np.isfinite(scores[pool]).all()
            assert np.isnan(np.delete(scores, pool)).all() == (cell.task != "")
    (listed,) = [
        each
        for path in (folder / "store" / "images").glob("tested-*.json")
        if (each := json.loads(path.read_text()))["data"] == "shapes" and each["normal"] == "2"
    ]
    assert len(listed["ids"]) == len(images.kinds)


def test_halves_are_disjoint_whole_and_drawn_anew_for_each_seed(folder):
    settings = Settings(tasks=("one-vs-one",), size=16)
    images = normal_sets(folder / "shapes.npz", name="shapes", settings=settings, seed=0)[0]
    for one, again, other, pool in zip(
        *(shares(images, "val", seed=seed) for seed in (0, 0, 1)), images.pools, strict=True
    ):
        assert np.array_equal(np.sort(np.concatenate([one.seen, one.judged])), pool)
        assert len(one.seen) == len(pool) // 2
        assert np.array_equal(one.seen, again.seen)
        assert not np.array_equal(one.seen, other.seen)
    for mode in ("test", None):
        assert all(
            np.array_equal(each.seen, pool) and np.array_equal(each.judged, pool)
            for each, pool in zip(shares(images, mode, seed=0), images.pools, strict=True)
        )


def test_what_is_judged_holds_both_kinds_however_rare_one_is(folder):
    settings = Settings(tasks=("one-vs-one",), size=16)
    images = normal_sets(folder / "shapes.npz", name="shapes", settings=settings, seed=0)[0]
    normal, anomalous = np.flatnonzero(images.kinds == 0), np.flatnonzero(images.kinds == images.tasks[0].kinds[0])
    rare = replace(images, tasks=images.tasks[:1], pools=(np.append(normal, anomalous[:1]),))
    for seed in range(20):
        (share,) = shares(rare, "val", seed=seed)
        assert set(images.kinds[share.judged] != 0) == {True, False}
    with pytest.raises(InputError, match="too few to be halved"):
        shares(replace(rare, pools=(np.array([normal[0], anomalous[0]]),)), "val", seed=0)


def test_transductive_cells_see_and_are_judged_on_the_whole_pool(tuned):
    plan = tuned / "plan.toml"
    plan.write_text(PLAN.replace("seeds = [1]", 'seeds = [1]\ntune_pool = "test"').replace("[0, 2]", "[2]"))
    assert engine.run(tuned).failed == 0
    rows, cells = engine.read(tuned)
    cell = cells[(cells["detector"] == "st-ssad") & (cells["normal"] == "2") & (cells["task"] == "one-vs-one/1")]
    scores = arrays(tuned, cell["key"].item())["scores.gaussian"]
    (listed,) = [
        each
        for path in (tuned / "store" / "images").glob("tested-*.json")
        if (each := json.loads(path.read_text()))["data"] == "shapes" and each["normal"] == "2"
    ]
    kinds = np.array(listed["kinds"])
    row = rows[
        (rows["detector"] == "st-ssad") & (rows["task"] == "shapes/one-vs-one/2/1") & (rows["metric"] == "auroc")
    ]
    assert row["value"].item() == pytest.approx(auroc(scores[kinds == "2"], scores[kinds == "1"]))


def test_killed_among_tuned_cells_it_goes_on(tuned):
    plan = tuned / "plan.toml"
    text = PLAN.replace("normal = [0, 2]", "normal = [2]")
    plan.write_text(text.replace('["discriminator", "st-ssad"]', '["st-ssad"]').replace('["none"]', '["rotation"]', 1)
                    .replace('["ae"]', '["st-ssad"]'))  # fmt: skip
    code = (
        "import sys; from pathlib import Path; from feint.studies.run import run_study\n"
        "run_study(Path(sys.argv[1]), Path(sys.argv[2]), backend='serial', workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(plan), str(tuned / "killed")])
    before = engine._wait_for_more(tuned, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert before
    assert engine.run(tuned, "killed") == Counts(done=3, failed=0, left=0)
    assert engine.finished(tuned, "killed").items() >= before.items()
    assert engine.run(tuned, "whole").done == 3
    assert engine.read(tuned, "killed")[0].equals(engine.read(tuned, "whole")[0])


RIVALS = """
[study]
name = "rivals"
seeds = [0]
[data]
path = "shapes.npz"
tasks = "one-vs-one"
normal = [2]
size = 16
[arms]
detectors = ["pool-classifier", "pool-probe", "ae"]
augmentations = ["none", "rotation"]
[detectors.pool-classifier]
steps = 3
[detectors.ae]
net = "linear"
hidden = 4
epochs = 1
"""


def test_detectors_that_only_learn_from_unlabelled_images_have_a_cell_for_each_task_too(tuned):
    (tuned / "plan.toml").write_text(RIVALS)
    assert engine.run(tuned) == Counts(done=5, failed=0, left=0)
    _, cells = engine.read(tuned)
    for name in ("pool-classifier", "pool-probe"):
        assert cells[cells["detector"] == name]["task"].tolist() == ["one-vs-one/0", "one-vs-one/1"]
    assert arms_of(read_plan(tuned / "plan.toml"))[1] == [
        "pool-classifier with rotation: it learns from normal and unlabelled images alone",
        "pool-probe with rotation: it learns from normal and unlabelled images alone",
        "ae with rotation: it learns from normal images alone",
    ]


def test_the_dry_run_counts_a_cell_for_each_task_of_a_tuned_arm(tuned):
    found = estimate(tuned / "plan.toml", workers=1)
    assert sum(found.cells.values()) == CELLS
    assert found.tasks == TASKS
    assert all(each > 0 for each in found.seconds.values())


def test_a_plan_without_such_detectors_halves_nothing(folder):
    plan = read_plan(folder / "plan.toml")
    assert plan.pool() is None


def test_what_cannot_be_tuned_is_left_out_and_listed(tuned):
    arms, left_out = arms_of(read_plan(tuned / "plan.toml"))
    assert [arm.augmentation for arm in arms if arm.detector == "st-ssad"] == ["rotation"] * 2
    assert [each.split(":")[0] for each in left_out] == ["st-ssad with rs-rotation", "st-ssad with rd-rotation"]


def test_the_augmentation_to_be_tuned_is_that_of_the_arm(tuned):
    path = Path(tuned / "plan.toml")
    path.write_text(PLAN.replace("starts = 1", 'augmentation = "cutdiff"\nstarts = 1'))
    with pytest.raises(SettingError, match=r"detectors\.st-ssad\.augmentation: unknown key"):
        read_plan(path)
