"""`feint score`: new images by a saved run."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_runs import picture, unlabelled_folder, write

import feint
from feint.core.errors import InputError


@pytest.fixture
def score(command, finished, tmp_path):
    """Return `feint score` of the finished run, into out.csv."""
    return lambda images, *more: command("score", finished.path, images, "--out", tmp_path / "out.csv", *more)


def test_the_unlabelled_images_again_get_the_scores_of_the_run(score, finished, tmp_path):
    outcome = score(finished.unlabelled)
    assert (outcome.code, outcome.out) == (0, "")
    again, first = pd.read_csv(tmp_path / "out.csv"), feint.Run(finished.path).scores
    assert (again.path == first.path).all()
    np.testing.assert_allclose(again.score, first.score, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(again.p_value, first.p_value)
    assert (again.flagged == first.flagged).all()
    assert f"{first.flagged.sum()} of 60 images flagged" in outcome.err
    pd.testing.assert_frame_equal(feint.score(finished.path, finished.unlabelled), again, check_dtype=False)


def test_maps_are_grey_png_of_the_images_own_size(score, tmp_path):
    images = {"defect.png": picture(2007, defect=True), "sub/plain.png": picture(2001)}
    shapes = {"big.png": (90, 70), "small.png": (12, 20)}
    images |= {name: picture(2002, side=90)[:h, :w] for name, (h, w) in shapes.items()}
    assert score(write(tmp_path / "new", images), "--maps", tmp_path / "maps").code == 0
    maps = {}
    for path in (tmp_path / "maps").rglob("*.png"):
        with Image.open(path) as each:
            assert (each.format, each.mode) == ("PNG", "L")
            maps[path.relative_to(tmp_path / "maps").as_posix().removesuffix(".png")] = np.asarray(each)
    assert set(maps) == set(images)
    assert all(maps[name].shape == image.shape for name, image in images.items())
    assert maps["defect.png"].max() > maps["sub/plain.png"].max()
    darkest = np.unravel_index(images["defect.png"].argmin(), (32, 32))
    assert maps["defect.png"][darkest] > np.median(maps["defect.png"])


def test_nothing_is_overwritten(score, finished, tmp_path):
    (tmp_path / "maps").mkdir()
    outcome = score(finished.unlabelled, "--maps", tmp_path / "maps")
    assert (outcome.code, "never overwritten" in outcome.sentence) == (4, True)
    assert list(tmp_path.iterdir()) == [tmp_path / "maps"]
    (tmp_path / "out.csv").write_text("precious")
    outcome = score(finished.unlabelled)
    assert (outcome.code, "never overwritten" in outcome.sentence) == (4, True)
    assert (tmp_path / "out.csv").read_text() == "precious"


def test_a_table_that_came_into_being_meanwhile_is_kept(score, finished, tmp_path, monkeypatch):
    from feint.export import api

    def beside_another(*arguments, **named):
        (tmp_path / "out.csv").write_text("precious")
        return scored(*arguments, **named)

    scored = api.scored
    monkeypatch.setattr(api, "scored", beside_another)
    outcome = score(finished.unlabelled)
    assert (outcome.code, "never overwritten" in outcome.sentence) == (4, True)
    assert (tmp_path / "out.csv").read_text() == "precious"


def test_where_nothing_can_be_written_no_image_is_scored(command, finished, tmp_path):
    (tmp_path / "file").write_text("precious")
    outcome = command("score", finished.path, finished.unlabelled, "--out", tmp_path / "file/out.csv")
    assert (outcome.code, outcome.err.count("\n")) == (4, 1)
    assert "out.csv cannot be written: " in outcome.sentence


def test_brightened_images_are_told_as_drift_and_new_normal_ones_are_not(score, tmp_path):
    fresh = {f"{i}.png": picture(3000 + i) for i in range(60)}
    assert "Warning" not in score(write(tmp_path / "fresh", fresh)).err
    (tmp_path / "out.csv").unlink()
    bright = {name: (60 + image * 0.75).astype(np.uint8) for name, image in fresh.items()}
    outcome = score(write(tmp_path / "bright", bright))
    assert outcome.code == 0
    assert "Warning: " in outcome.err and "calibrat" in outcome.err


def test_unreadable_images_are_listed(score, tmp_path):
    images = unlabelled_folder(tmp_path / "new", 70)
    (images / "000.png").write_bytes(b"")
    (images / "069.png").write_bytes(b"no image")
    outcome = score(images)
    assert outcome.code == 0
    assert "Left out: 000.png: empty file (0 bytes)" in outcome.err
    assert "Left out: 069.png: not a PNG, JPEG, BMP, TIFF or WebP image" in outcome.err
    assert len(pd.read_csv(tmp_path / "out.csv")) == 68


def test_nothing_readable_fails_and_leaves_nothing(score, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/0.png").write_bytes(b"")
    outcome = score(tmp_path / "new", "--maps", tmp_path / "maps")
    assert (outcome.code, "none of the 1 images" in outcome.sentence) == (3, True)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_that_is_no_run(command, finished, tmp_path):
    outcome = command("score", tmp_path, finished.unlabelled, "--out", tmp_path / "out.csv")
    assert (outcome.code, "is not a run" in outcome.sentence) == (3, True)


class TestCrossFitted:
    @pytest.fixture
    def run(self, cross_fitted):
        return feint.Run(cross_fitted.path)

    def test_every_normal_image_calibrates_once(self, run):
        data = run.record.data
        assert (data.rotations, data.training, data.selection, data.calibration) == (5, 24, 8, 40)
        assert [len(each.calibration) for each in run.model.members] == [8] * 5
        assert len(run.normals) == 40
        assert run.record.calibration.threshold is None
        assert "proven bound is twice" in run.record.calibration.guarantee
        assert "cross-fitted" in [warning.code for warning in run.record.warnings]
        assert "cross-fitted" in (run.path / "report.html").read_text()

    def test_p_values_are_cross_conformal_and_decide(self, run):
        ranks = run.scores.p_value * 41
        np.testing.assert_allclose(ranks, ranks.round(), rtol=1e-9)
        assert (run.scores.flagged == (run.scores.p_value <= 0.05)).all()
        assert run.record.found.flagged == run.scores.flagged.sum() > 10

    def test_score(self, run, cross_fitted, command, tmp_path):
        more = ["--out", tmp_path / "s.csv", "--maps", tmp_path / "maps"]
        assert command("score", run.path, cross_fitted.unlabelled, *more).code == 0
        again = pd.read_csv(tmp_path / "s.csv").set_index("path").loc[run.scores.path]
        np.testing.assert_allclose(again.score, run.scores.score, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(again.p_value, run.scores.p_value)
        assert len(list((tmp_path / "maps").iterdir())) == 60


def test_one_image_instead_of_several_is_told(finished):
    with pytest.raises(InputError, match=r"image\[None\]"):
        feint.score(finished.path, picture(0))
