"""Pools that hold something else than a few anomalies among normal images: what is said of them is still true."""

import shutil

import numpy as np
import pytest
from small_runs import normal_folder, picture, tune_arguments, unlabelled_folder, write

import feint


@pytest.fixture
def tuned(command, folders, tmp_path):
    """Return a maker of `feint tune`s of other unlabelled images; returns the run."""

    def run(unlabelled, *more: object, normal=folders[0]) -> feint.Run:
        out = tmp_path / f"run-{unlabelled.name}"
        outcome = command(*tune_arguments(normal, unlabelled, out, *more))
        assert outcome.code == 0, outcome.err
        found = feint.Run(out)
        for said in (found.record.found.sentence, found.record.choice.sentence):
            assert said in outcome.err
            assert said in (found.path / "report.html").read_text()
        assert all(warning.message in outcome.err for warning in found.record.warnings)
        return found

    return run


def warnings(run: feint.Run) -> dict[str, str]:
    return {each.code: each.message for each in run.record.warnings}


def test_pools_without_anomalies(tuned, tmp_path):
    runs = []
    for seed in range(4):
        pool = {f"{i:03d}.png": picture(5000 + 1000 * seed + i) for i in range(120)}
        folder = write(tmp_path / f"u{seed}", pool)
        runs.append(tuned(folder, "--false-alarm-rate", "0.2", "--seed", seed))
    claimed = ["look anomalous" in run.record.found.sentence for run in runs]
    assert claimed == [run.record.found.any_anomaly_p_value <= 0.05 for run in runs]
    assert sum(claimed) <= 1  # two of four would be a chance of 1.4 %
    assert all(run.record.found.expected_false_alarms == pytest.approx(24) for run in runs)
    flagged = np.mean([run.scores.flagged.mean() for run in runs])
    assert 0.17 - 0.12 < flagged < 0.17 + 0.12  # 22 calibration normals each: Beta(4, 19), 0.17 +- 0.08; four of them
    assert sum("shift" in warnings(run) for run in runs) <= 1
    assert all(run.record.choice.anomalous_share.low < 0.1 for run in runs)


def test_a_pool_of_anomalies_alone(tuned, tmp_path):
    run = tuned(unlabelled_folder(tmp_path / "u", 40, defects=40))
    assert run.scores.flagged.mean() > 0.7
    assert run.record.found.any_anomaly_p_value < 0.001
    assert run.record.choice.anomalous_share.high > 0.9
    assert "shift" in warnings(run)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_pool_of_few_images(tuned, tmp_path, n):
    run = tuned(unlabelled_folder(tmp_path / "u", n, defects=1))
    assert len(run.scores) == n
    assert run.scores.p_value.between(0, 1, inclusive="right").all()
    names = {each.name for each in run.record.candidates}
    assert ("pool-probe" in names) == (n >= 3)  # what learns from the pool needs a third of it for each fold
    assert {"none", "mixture", "cutdiff"} <= names
    assert "failed-candidates" not in warnings(run)
    assert feint.score(run, tmp_path / "u").path.tolist() == run.scores.path.tolist()


@pytest.mark.parametrize("others", [0, 5])
def test_a_pool_of_copies_of_one_image(tuned, tmp_path, others):
    run = tuned(write(tmp_path / "u", {f"{i:02d}.png": picture(max(9, i), defect=True) for i in range(10 + others)}))
    assert run.scores.score.round(3).nunique() == 1 + others
    assert "duplicates" in warnings(run)
    assert ("pool-probe" in {each.name for each in run.record.candidates}) == bool(others)


@pytest.mark.parametrize("brighter", [18, 60])
def test_a_pool_from_another_camera(tuned, tmp_path, brighter):
    images = {f"{i:03d}.png": picture(1000 + i).astype(int) + brighter for i in range(60)}
    run = tuned(write(tmp_path / "u", {name: image.clip(0, 255).astype(np.uint8) for name, image in images.items()}))
    message = warnings(run)["shift"]
    assert "another camera" in message
    assert message in (run.path / "report.html").read_text()


def test_duplicates_between_normals_and_pool(tuned, folders, tmp_path):
    """With most of the pool known to be normal, the rest alone decides."""
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in sorted(folders[0].iterdir())[:90]:
        shutil.copy(path, mixed / f"known-{path.name}")
    for path in sorted(folders[1].iterdir())[:20]:
        shutil.copy(path, mixed)
    run = tuned(mixed)
    table = run.scores.set_index("path")
    known = table.index.str.startswith("known")
    assert (table.p_value[known] == 1).all()
    assert table.flagged[known].sum() == 0
    assert table.flagged[~known].sum() > 3
    assert len(run.record.data.shared) == 90
    assert warnings(run)["shared"].startswith("90 unlabelled images also stand among the normal ones")
    assert len((run.path / "candidates.csv").read_text().splitlines()) == 1 + 20


def test_hardly_any_normal_image_and_a_pool_of_five(tuned, tmp_path):
    run = tuned(unlabelled_folder(tmp_path / "u", 5, defects=2), normal=normal_folder(tmp_path / "n", 20))
    assert len(run.scores) == 5
    assert run.record.data.rotations == 5
