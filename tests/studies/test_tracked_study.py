"""Trackers hear of every cell of a study once, however often it is run."""

import pytest
from tracked_runs import in_mlflow, in_tensorboard, mlflow_runs

from feint.core.errors import SettingError
from feint.studies.run import run_study
from feint.studies.store import Store


def run(folder, **options):
    return run_study(folder / "plan.toml", folder / "store", backend="serial", workers=1, **options)


def test_one_summary_a_cell(folder):
    run(folder)
    for _ in range(2):
        run(folder, trackers=["tensorboard", "mlflow"])
    with Store(folder / "store") as store:
        rows, cells = store.rows(), store.cells()
    names = rows.metric + "/" + rows[["detector", "augmentation", "data", "normal"]].agg(".".join, axis=1)
    means = rows.assign(name=names).groupby(["name", "seed"]).value.mean().to_dict()
    (kept,) = mlflow_runs(folder / "mlruns", "study")
    found = in_mlflow(folder / "mlruns", kept)
    assert found == pytest.approx(means)
    assert len([name for name, _ in found if name.startswith("auroc/")]) == len(cells) == 12
    assert in_tensorboard(folder / "tensorboard" / "store") == pytest.approx(means, rel=1e-6)
    assert (kept.info.status, kept.data.params["name"]) == ("FINISHED", "tiny")


def test_a_study_that_is_stopped_and_gone_on_with(folder):
    heard = []

    def stop(progress):
        heard.append(progress)
        if progress.counts.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, trackers=["mlflow"], tell=stop)
    (kept,) = mlflow_runs(folder / "mlruns", "study")
    assert kept.info.status == "KILLED"
    run(folder, trackers=["mlflow"])
    (kept,) = mlflow_runs(folder / "mlruns", "study")
    assert kept.info.status == "FINISHED"
    assert len([name for name, _ in in_mlflow(folder / "mlruns", kept) if name.startswith("auroc/")]) == 12


def test_an_unknown_tracker_is_refused_before_anything_is_made(folder):
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(SettingError, match="is not a tracker"):
        run(folder, trackers=["wandb"])
    assert sorted(path.name for path in folder.iterdir()) == before
