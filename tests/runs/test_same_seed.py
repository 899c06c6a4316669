"""Same seed, same machine: same scores to the last bit; and names of files and folders tell the tuner nothing."""

import inspect
import shutil

import numpy as np
import pytest
from small_runs import AUGMENTATION, defective, pictures, start, tune_arguments

import feint
from feint.calibration.discoveries import flag
from feint.core.errors import SettingError


@pytest.fixture
def tuned(small, folders, tmp_path):
    """Return a maker of small runs on the usual images."""

    def run(name: str, normal=folders[0], unlabelled=folders[1], **settings: object) -> feint.Run:
        return feint.tune(
            normal, unlabelled, out=tmp_path / name, budget="quick", augmentations=[AUGMENTATION], **settings
        )

    return run


def written(run: feint.Run) -> bytes:
    return (run.path / "scores.csv").read_bytes() + (run.path / "normals.csv").read_bytes()


def test_worker_processes_give_the_bits_of_one_process(finished, folders, tmp_path):
    process = start(*tune_arguments(*folders, tmp_path / "run"))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "on 2 cores" in err
    assert "\x1b" not in err
    for name in ("scores.csv", "normals.csv", "model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (finished.path / name).read_bytes()


def test_another_seed_differs(tuned, finished):
    assert written(tuned("other", seed=1)) != written(feint.Run(finished.path))


def test_names_of_defects_tell_nothing(tuned, folders, tmp_path):
    """Two MVTec test folders with the same images in the same order; what is called good is swapped."""
    found = []
    for one, other in (("crack", "good"), ("good", "scratch")):
        root = tmp_path / one
        for path in sorted(folders[1].iterdir()):
            folder = root / "test" / (one if path.name < "030.png" else other)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.name)
        shutil.copytree(folders[0], root / "train/good")
        run = tuned(f"run-{one}", root, root)
        found.append(run.scores.assign(path=run.scores.path.str.split("/").str[-1]))
    assert found[0].equals(found[1])
    assert len(found[0]) == 60


def test_no_argument_could_take_a_label():
    assert not any("label" in name and name != "unlabelled" for name in inspect.signature(feint.tune).parameters)


def test_arrays_give_the_scores_of_folders(tuned, finished, folders):
    unlabelled = np.stack([pictures(range(1000 + i, 1001 + i), defects=int(defective(i)))[0] for i in range(60)])
    run = tuned("arrays", pictures(range(110)), unlabelled)
    of_folders = feint.Run(finished.path).scores
    assert run.scores.score.equals(of_folders.score)
    assert (run.scores.path == "image-00" + of_folders.path.str[:3]).all()
    assert run.record.data.unlabelled.layout == "array"


def test_a_run_without_a_name_lies_in_a_temporary_folder(small):
    run = feint.tune(pictures(range(30)), pictures(range(90, 100)), budget="quick", augmentations=["cutout"])
    assert (run.path / "report.html").is_file()
    assert run.path.name in repr(run)
    shutil.rmtree(run.path.parent)


def test_false_discovery_rate(tuned):
    run = tuned("fdr", fdr=0.2)
    record = run.record.calibration
    assert (record.mode, record.asked, record.rate, record.threshold) == ("fdr", 0.2, 0.2, None)
    assert (flag(run.scores.p_value, 0.2) == run.scores.flagged.astype(bool)).all()
    assert run.scores.flagged.sum() > 10
    assert "may be false alarms" in run.record.found.sentence
    again = feint.score(run, run.record.data.unlabelled.source)
    assert (again.flagged == run.scores.flagged).all()


def test_nuisances_are_recorded_and_change_the_answer(tuned, finished):
    run = tuned("n", nuisances=["flips", "brightness"])
    assert run.record.settings["nuisances"] == ["flips", "brightness"]
    assert written(run) != written(feint.Run(finished.path))


def test_no_augmentation_to_search_is_refused(small, folders):
    with pytest.raises(SettingError, match="name at least one"):
        feint.tune(*folders, budget="quick", augmentations=[])
