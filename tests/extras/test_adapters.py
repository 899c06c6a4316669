"""Detectors of PyOD and anomalib keep the promises of every detector here, and score as they do over there."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from feint.core.detector import as_unit
from feint.core.errors import IntegrityError, SettingError
from feint.core.streams import stream
from feint.detectors import Anomalib, PyOD
from feint.networks.conv import pooled
from feint.networks.pretrained import untrained
from feint.testing.detectors import DETECTOR_CHECKS, state_dict_is_the_whole_state

SMALL = {"width": 8, "depth": 3}
PYOD = {
    "ECOD": PyOD(**SMALL),
    "KNN on pixels": PyOD(detector="KNN", encoder="pixels"),
    "IForest": PyOD(detector="IForest", settings='{"n_estimators": 20}', **SMALL),
}


def named(check):
    return check.__name__


def pictures(n, name="normal", channels=1):
    return torch.randint(256, (n, channels, 32, 32), generator=stream(0, name), dtype=torch.uint8)


@pytest.mark.parametrize(
    "check", [each for each in DETECTOR_CHECKS if each != state_dict_is_the_whole_state], ids=named
)
@pytest.mark.parametrize("name", PYOD)
def test_pyod_keeps_the_promises(name, check):
    pytest.importorskip("pyod")
    check(PYOD[name])


@pytest.mark.parametrize("check", DETECTOR_CHECKS, ids=named)
def test_padim_keeps_the_promises(check):
    pytest.importorskip("anomalib")
    check(Anomalib(image_size=32))


def test_a_pyod_score_is_that_of_the_library_on_the_same_features():
    pytest.importorskip("pyod")
    from pyod.models.knn import KNN

    encoder = untrained(1, **SMALL, seed=0)
    normals, images = pictures(20), as_unit(pictures(4, "new"))
    with torch.no_grad():
        known, seen = (pooled(encoder.maps(each)).double().numpy() for each in (as_unit(normals), images))
    wanted = KNN(n_neighbors=2).fit(known).decision_function(seen)
    scorer = PyOD(detector="KNN", settings='{"n_neighbors": 2}', **SMALL).fit(normals, policy=None, seed=0)
    assert np.allclose(scorer(images).numpy(), wanted, rtol=1e-4)


def test_what_counts_the_scored_images_among_the_known_is_scored_one_by_one():
    pytest.importorskip("pyod")
    together = {
        name: PyOD(detector=name, **SMALL).fit(pictures(20), policy=None, seed=0).distance.together
        for name in ("ECOD", "COPOD", "KNN")
    }
    assert together == {"ECOD": False, "COPOD": False, "KNN": True}


def test_a_pyod_scorer_says_that_it_cannot_be_saved():
    pytest.importorskip("pyod")
    scorer = PyOD(**SMALL).fit(pictures(10), policy=None, seed=0)
    with pytest.raises(SettingError, match="PyOD's ECOD is no set of tensors and cannot be saved"):
        scorer.state_dict()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"detector": "ECODE"}, "PyOD has no detector 'ECODE'"),
        ({"settings": '{"neighbours": 3}'}, "PyOD's ECOD has no setting neighbours: it has contamination, n_jobs"),
        ({"detector": "KNN", "settings": '{"n_neighbors": 99}'}, "KNN cannot be fitted on 10 images"),
    ],
)
def test_what_pyod_does_not_know_is_refused(wrong, sentence):
    pytest.importorskip("pyod")
    with pytest.raises(SettingError, match=sentence):
        PyOD(**SMALL, **wrong).fit(pictures(10), policy=None, seed=0)


@pytest.mark.parametrize("recipe", [PyOD, Anomalib])
@pytest.mark.parametrize("text", ["n_neighbors=3", "[3]"])
def test_settings_must_be_a_json_object(recipe, text):
    with pytest.raises(SettingError, match=rf"{recipe.__name__}.settings must be .*JSON"):
        recipe(settings=text)


def test_patchcore_of_anomalib_runs_with_weights_from_a_file(tmp_path):
    pytest.importorskip("anomalib")
    import timm

    path = tmp_path / "resnet18.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = timm.create_model("resnet18", pretrained=False)
    save_file(network.state_dict(), path)
    settings = '{"backbone": "resnet18", "coreset_sampling_ratio": 0.05}'
    recipe = Anomalib(model="Patchcore", settings=settings, weights=str(path), image_size=32)
    scorer = recipe.fit(pictures(6), policy=None, seed=0)
    backbone = scorer.model.feature_extractor.feature_extractor
    assert torch.equal(backbone.state_dict()["conv1.weight"], network.conv1.weight)
    images = as_unit(pictures(3, "new"))
    assert scorer(images).shape == (3,)
    assert scorer.map(images).shape == (3, 32, 32)


def test_an_anomalib_model_that_trains_by_gradient_moves_its_weights():
    pytest.importorskip("anomalib")
    first, second = (
        Anomalib(model="Fastflow", image_size=64, epochs=epochs, batch=4).fit(pictures(8), policy=None, seed=0)
        for epochs in (1, 2)
    )
    images = as_unit(pictures(3, "new"))
    assert first(images).isfinite().all()
    assert not torch.equal(first(images), second(images))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"model": "Padin"}, "anomalib has no model 'Padin'"),
        ({"model": "EfficientAd"}, "EfficientAd fetches pretrained weights of its own"),
        ({"settings": '{"layer": 3}'}, "anomalib's Padim has no setting layer: it has backbone, layers"),
    ],
)
def test_what_anomalib_does_not_know_or_would_fetch_is_refused(wrong, sentence):
    pytest.importorskip("anomalib")
    with pytest.raises(SettingError, match=sentence):
        Anomalib(**wrong).fit(pictures(4), policy=None, seed=0)


def test_weights_that_do_not_fit_the_backbone_are_refused(tmp_path):
    pytest.importorskip("anomalib")
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(IntegrityError, match="does not fit the backbone: it lacks bn1.weight"):
        Anomalib(weights=str(path)).fit(pictures(4), policy=None, seed=0)
