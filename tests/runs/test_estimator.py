"""`feint.FeintDetector`: fitted on arrays, files and folders, in the hands of scikit-learn and joblib."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import small_runs
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_runs import picture, pictures

import feint
from feint.calibration.decision import too_many_flagged
from feint.core.errors import InputError, IntegrityError, SettingError, UnsupportedRateError
from feint.networks.architectures import build, save_encoder
from feint.runs.estimator_inputs import are_images
from feint.runs.settings import BUDGETS

NORMAL = pictures(range(110), defects=1)
NEW = pictures(range(1000, 1040), defects=16)
ANOMALOUS = np.arange(40) < 16


@pytest.fixture(autouse=True, scope="module")
def tiny():
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FEINT_CORES", "1")
        monkeypatch.setitem(BUDGETS, "quick", small_runs.BUDGET)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def fitted(tiny):
    """Return a detector that holds out 22 of 110 images, one of which has a defect; not to be changed."""
    return feint.FeintDetector(budget="quick").fit(NORMAL)


@pytest.fixture(scope="module")
def cross_fitted(tiny):
    """Return a detector of 40 images, of five models; not to be changed."""
    return feint.FeintDetector(budget="quick").fit(pictures(range(40)))


@pytest.fixture
def copy(fitted):
    """Return a fitted detector that may be changed."""
    return pickle.loads(pickle.dumps(fitted))


def test_the_constructor_does_nothing_and_fit_names_every_impossible_setting():
    detector = feint.FeintDetector(budget="large", seed=-1, augmentations=["scribble"])
    assert detector.get_params()["budget"] == "large"
    assert not [name for name in vars(detector) if name.endswith("_")]
    with pytest.raises(SettingError, match=r"(?s)seed.*budget.*scribble"):
        detector.fit(NORMAL)


def test_a_clone_has_the_settings_and_no_fit(fitted):
    again = clone(fitted).set_params(seed=3)
    assert again.get_params() == fitted.get_params() | {"seed": 3}
    with pytest.raises(NotFittedError):
        again.predict(NEW)
    with pytest.raises(NotFittedError):
        again.set_threshold(value=0.0)


def test_higher_is_more_anomalous_and_1_is_anomalous(fitted, cross_fitted):
    for detector in (fitted, cross_fitted):
        assert roc_auc_score(ANOMALOUS, detector.decision_function(NEW)) > 0.95
        labels = detector.predict(NEW)
        assert labels.dtype.kind == "i"
        assert set(labels) == {0, 1}
        assert labels[ANOMALOUS].mean() > 0.9 > 0.2 > labels[~ANOMALOUS].mean()
        p = detector.p_value(NEW)
        assert (labels == (p <= detector.false_alarm_rate_)).all()
        np.testing.assert_array_equal(detector.predict_proba(NEW), np.stack([p, 1 - p], axis=1))


def test_one_committee_flags_exactly_what_lies_above_the_threshold(copy):
    scores = copy.decision_function(NEW)
    for rate in (0.05, 0.2, 0.5):
        assert copy.set_threshold(false_alarm_rate=rate) is copy
        assert (copy.predict(NEW) == (scores > copy.threshold_)).all()
        assert 0 < copy.labels_.sum() < 110 * rate + 4
    assert (copy.decision_function(NEW) == scores).all()


def test_a_value_moves_the_threshold_and_the_labels(copy):
    middle = float(np.median(copy.decision_scores_))
    copy.set_threshold(value=middle)
    assert (copy.threshold_, copy.false_alarm_rate_) == (middle, None)
    assert (copy.labels_ == (copy.decision_scores_ > middle)).all()
    assert copy.labels_.sum() == 55
    assert (copy.predict(NEW) == (copy.decision_function(NEW) > middle)).all()


@pytest.mark.parametrize("how", [{}, {"value": 1.0, "false_alarm_rate": 0.1}, {"value": np.nan}])
def test_a_threshold_is_a_rate_or_a_value(copy, how):
    with pytest.raises(SettingError, match="either false_alarm_rate or a finite value"):
        copy.set_threshold(**how)


def test_a_rate_that_so_few_images_cannot_support_is_refused(copy):
    before = copy.threshold_
    with pytest.raises(UnsupportedRateError, match="at least 99"):
        copy.set_threshold(false_alarm_rate=0.01)
    assert copy.threshold_ == before


def test_p_values_are_valid_on_new_normal_images(fitted, cross_fitted):
    fresh = pictures(range(5000, 5300))
    for detector, images in ((fitted, 22), (cross_fitted, 40)):
        p = detector.p_value(fresh)
        np.testing.assert_allclose(p * (images + 1), np.round(p * (images + 1)), rtol=1e-9)
        for rate in (0.05, 0.2, 0.5):
            flagged = int((p <= rate).sum())
            assert too_many_flagged(flagged, unlabelled=300, calibration=images, rate=rate) > 0.01
        assert (p <= 0.5).mean() > 0.2


def test_an_anomaly_among_the_training_images_is_found_by_a_detector_that_was_not_trained_on_it(fitted):
    assert fitted.decision_scores_.shape == fitted.labels_.shape == (110,)
    assert fitted.decision_scores_.argmax() == 0
    assert fitted.labels_[0] == 1
    assert fitted.labels_.sum() <= 0.05 * 110


def test_labels_are_never_read_and_the_same_seed_gives_the_same_scores(fitted):
    again = feint.FeintDetector(budget="quick").fit(NORMAL, np.arange(110) % 2)
    assert (again.decision_function(NEW) == fitted.decision_function(NEW)).all()
    assert (again.decision_scores_ == fitted.decision_scores_).all()


def test_labels_are_no_images_where_folders_are_named_like_them(tmp_path, monkeypatch):
    (tmp_path / "good").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not are_images(["good", "bad"])


@pytest.mark.parametrize(
    "labels",
    [None, [], [0, 1], ["good", "bad"], np.zeros(9), np.zeros((9, 1)), [[0], [0, 1]], pd.Series(["good"])],
    ids=str,
)
def test_labels_are_not_taken_for_images(labels):
    assert not are_images(labels)


def test_images_in_the_place_of_labels_are_the_unlabelled_ones(tmp_path):
    there = tmp_path / "there.png"
    there.touch()
    for images in (str(tmp_path), tmp_path, [tmp_path / "absent.png"], [str(there)], NEW, NEW.tolist()):
        assert are_images(images)
        with pytest.raises(SettingError, match="given twice"):
            small().fit(NORMAL, images, unlabelled=NEW)


def test_every_kind_of_input_is_scored_alike(fitted, tmp_path):
    scores = fitted.decision_function(NEW[:5])
    folder = small_runs.write(tmp_path / "new", {f"{i}.png": NEW[i] for i in range(5)})
    paths = sorted(folder.iterdir())
    words = [str(each) for each in paths]
    colour = np.repeat(NEW[:5, ..., None], 3, axis=3)
    same = [
        NEW[:5, ..., None], NEW[:5, None], colour, colour.transpose(0, 3, 1, 2), torch.from_numpy(NEW[:5]),
        list(NEW[:5]), NEW[:5] / 255, folder, str(folder), paths, words, np.array(words),
    ]  # fmt: skip
    for each in same:
        np.testing.assert_allclose(fitted.decision_function(each), scores, rtol=1e-5, atol=1e-5)


def test_other_sizes_are_resized_and_batches_do_not_matter(fitted):
    large = np.stack([np.asarray(Image.fromarray(each).resize((96, 96), Image.Resampling.BICUBIC)) for each in NEW])
    assert roc_auc_score(ANOMALOUS, fitted.decision_function(large)) > 0.95
    one_by_one = np.concatenate([fitted.decision_function(each[None]) for each in NEW])
    np.testing.assert_allclose(one_by_one, fitted.decision_function(NEW), rtol=1e-4, atol=1e-5)


def test_channels_are_named_where_a_shape_is_ambiguous(fitted):
    first = feint.FeintDetector(channels="first")
    assert len(first._images(np.zeros((2, 3, 16, 16), np.uint8), "normal")) == 2
    for channels, shape in (("first", (2, 16, 16, 3)), ("last", (2, 3, 16, 16)), ("first", (2, 3, 4, 4))):
        with pytest.raises(InputError, match=f"channels='{channels}' makes an array of shape"):
            feint.FeintDetector(channels=channels).fit(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="may be"):
        fitted.predict(np.zeros((2, 3, 16, 3), np.uint8))
    with pytest.raises(SettingError, match="channels must be"):
        feint.FeintDetector(channels="middle").fit(NORMAL)


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (NEW[0], "Pass image"),
        (np.zeros(7), "Reshape your data"),
        (NEW.astype(np.int64), "uint8, uint16 or float"),
        (NEW * 2.0, "must lie in"),
        ([NEW[0], NEW[0, :16]], "do not make one array"),
        (["one.png", 2], "got int"),
        ([], "Reshape your data"),
        ("nowhere", "does not exist"),
        (np.full((3, 16, 16), np.nan), "NaN or infinity"),
        (np.array([[["a"]]], dtype=object), "must hold numbers"),
    ],
    ids=["one image", "numbers", "integers", "bright", "two sizes", "mixed list", "empty", "no folder", "NaN", "words"],
)
def test_what_is_no_set_of_images_is_refused(fitted, images, told):
    with pytest.raises(InputError, match=told):
        fitted.predict(images)


def test_an_unreadable_image_is_named_instead_of_left_out(fitted, tmp_path):
    folder = small_runs.write(tmp_path / "new", {f"{i}.png": NEW[i] for i in range(3)})
    (folder / "1.png").write_bytes(b"no image")
    for use in (fitted.predict, fitted.predict_map, feint.FeintDetector(budget="quick").fit):
        with pytest.raises(InputError, match=r"1 images cannot be used \(1.png: not a PNG"):
            use(folder)


def test_maps_have_the_size_of_the_images_and_point_at_the_defect(fitted, tmp_path):
    large = np.stack([np.asarray(Image.fromarray(each).resize((48, 40))) for each in NEW[:3]])
    maps = fitted.predict_map(large)
    assert maps.shape == (3, 40, 48)
    for image, each in zip(large, maps, strict=True):
        darkest = np.unravel_index(image.argmin(), image.shape)
        assert each[darkest] > np.quantile(each, 0.8)
    images = {"a.png": picture(1), "b.png": picture(2, side=48)}
    with pytest.raises(InputError, match="maps of 2 sizes"):
        fitted.predict_map([*small_runs.write(tmp_path, images).iterdir()])


def test_a_pickle_holds_safetensors_and_json_and_is_checked(fitted, cross_fitted, tmp_path):
    for detector in (fitted, cross_fitted):
        joblib.dump(detector, tmp_path / "detector")
        again = joblib.load(tmp_path / "detector")
        assert (again.decision_function(NEW) == detector.decision_function(NEW)).all()
        assert (again.p_value(NEW) == detector.p_value(NEW)).all()
        assert (again.labels_ == detector.labels_).all()
    state = fitted.__getstate__()
    assert b"torch" not in pickle.dumps(state)
    weights = bytearray(state["model_"]["model.safetensors"])
    weights[-1] ^= 1
    state["model_"]["model.safetensors"] = bytes(weights)
    with pytest.raises(IntegrityError, match="not the file"):
        feint.FeintDetector().__setstate__(state)


def small():
    return feint.FeintDetector(budget="quick", single=True, image_size=16)


def test_in_a_pipeline_and_in_cross_validation():
    images, labels = np.concatenate([NEW[8:], NORMAL[1:49]]), np.concatenate([ANOMALOUS[8:], np.zeros(48, bool)])
    order = np.random.default_rng(0).permutation(80)
    images, labels = images[order], labels[order].astype(int)
    model = make_pipeline(FunctionTransformer(np.invert), FunctionTransformer(np.invert), small())
    folds = list(StratifiedKFold(2).split(images, labels))
    scores = cross_val_score(model, images, labels, scoring="roc_auc", cv=folds)
    alone = small().fit(images[folds[0][0]]).decision_function(images[folds[0][1]])
    assert scores[0] == roc_auc_score(labels[folds[0][1]], alone)
    assert scores.min() > 0.7


def test_what_only_unlabelled_images_give_a_meaning_is_refused_without(tmp_path):
    encoder = tmp_path / "encoder.safetensors"
    module = build("resnet8", channels=1, size=(16, 16), seed=0)
    save_encoder(module, encoder, name="resnet8", channels=1, size=(16, 16), readout="both")
    for settings in ({"encoder": encoder}, {"out": tmp_path / "run"}):
        with pytest.raises(SettingError, match="give unlabelled"):
            feint.FeintDetector(budget="quick", **settings).fit(NORMAL)
    assert not (tmp_path / "run").exists()


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="20 are needed"):
        small().fit(NORMAL[:19])
    with pytest.raises(UnsupportedRateError, match="at least 199"):
        small().set_params(false_alarm_rate=0.005).fit(NORMAL)


def test_with_unlabelled_images_it_is_a_run_of_tune(tmp_path):
    detector = feint.FeintDetector(budget="quick", augmentations=["cutdiff"], out=tmp_path / "run", channels="first")
    detector.fit(NORMAL[:, None], NEW[:, None])
    run = feint.Run(tmp_path / "run")
    assert (run.path / "report.html").exists()
    table = feint.score(run, NEW).sort_values("path")
    np.testing.assert_array_equal(detector.decision_function(NEW), table.score)
    np.testing.assert_array_equal(detector.p_value(NEW), table.p_value)
    np.testing.assert_array_equal(detector.predict(NEW), table.flagged)
    normals = run.normals.sort_values("path")
    np.testing.assert_array_equal(detector.decision_scores_, normals.score)
    np.testing.assert_array_equal(detector.labels_, normals.flagged)
    assert detector.threshold_ == run.record.calibration.threshold
