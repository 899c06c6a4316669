"""Detectors on the architectures of `feint pretrain`: random weights, saved ones, frozen and fine-tuned."""

import hashlib
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import interpolate

from feint.augmentations import Brightness, CutDiff
from feint.core.augmentation import Mixture, Policy
from feint.core.detector import as_unit
from feint.core.errors import IntegrityError, SettingError
from feint.core.streams import stream
from feint.detectors import FeatureGaussian, FeatureKNN, PatchKNN
from feint.networks.architectures import build, save_encoder
from feint.testing.detectors import DETECTOR_CHECKS, normal_images

SIZE = (16, 12)
POLICY = Policy(augmentation=CutDiff(), low=(0.03, 0.4, 0.0, 0.15), high=(0.1, 1.0, 180.0, 0.5))
BRIGHTER = Policy(augmentation=Brightness(), low=(0.2,), high=(0.3,))


def settings(path, name, channels=1):
    return {"encoder": name, "encoder_size": SIZE, "encoder_channels": channels, "weights": str(path)}


def saved(folder, name, channels=1, seed=7):
    """Return a file of weights whose running statistics, where it has any, are not those of a new network."""
    path = folder / f"{name.replace('/', '-')}-{channels}.safetensors"
    module = build(name, channels=channels, size=SIZE, seed=seed)
    module(torch.rand(16, channels, *SIZE, generator=stream(seed, "statistics")))
    save_encoder(module, path, name=name, channels=channels, size=SIZE, readout="both")
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {name: saved(folder, name) for name in ("resnet8", "vit_micro/2")}


def colour(n):
    grey = normal_images(n, "colour")
    return torch.cat([grey, 255 - grey, grey // 2], dim=1)


def test_the_encoder_is_the_pretrained_one_on_images_of_its_size(weights):
    images = normal_images(5, "normal")
    for name, path in weights.items():
        module = build(name, channels=1, size=SIZE, seed=7)
        scorer = FeatureKNN(**settings(path, name)).fit(images, policy=None, seed=0)
        assert not torch.equal(as_unit(images), scorer.encoder.maps(as_unit(images))[0])
        module.load_state_dict(scorer.encoder.network.state_dict())
        small = interpolate(as_unit(images), size=SIZE, mode="bilinear", align_corners=False, antialias=True)
        with torch.no_grad():
            wanted = module.eval().maps(small)
        for found, each in zip(scorer.encoder.maps(as_unit(images)), wanted, strict=True):
            assert torch.equal(found, each)
        fresh = build(name, channels=1, size=SIZE, seed=7).state_dict()
        for key, value in scorer.encoder.network.state_dict().items():
            assert "running" in key or "num_batches" in key or torch.equal(value, fresh[key])


def test_without_weights_they_are_random_under_the_seed():
    images = normal_images(6, "normal")
    scorer = FeatureGaussian(encoder="resnet8").fit(images, policy=None, seed=3)
    wanted = build("resnet8", channels=1, size=(20, 18), seed=3).state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in scorer.encoder.network.state_dict().items())


@pytest.mark.parametrize("kind", [FeatureGaussian, FeatureKNN, PatchKNN])
@pytest.mark.parametrize("fine_tuned", [False, True])
def test_an_empty_scorer_takes_on_a_saved_state_when_the_weights_are_gone(kind, fine_tuned, weights, tmp_path):
    normals, images = normal_images(8, "normal"), as_unit(normal_images(3, "new"))
    for name, path in weights.items():
        here = tmp_path / path.name
        here.write_bytes(path.read_bytes())
        recipe = kind(**settings(here, name), fine_tuned=fine_tuned, steps=2)
        fitted = recipe.fit(normals, policy=POLICY if fine_tuned else None, seed=0)
        here.unlink()
        empty = recipe.scorer(1, (20, 18))
        assert not torch.equal(empty(images), fitted(images))
        empty.load_state_dict(fitted.state_dict())
        assert torch.equal(empty(images), fitted(images))
        assert torch.equal(empty.map(images), fitted.map(images))


@pytest.mark.parametrize("name", ["resnet8", "vit_micro/2"])
@pytest.mark.parametrize("fine_tuned", [False, True], ids=["frozen", "fine_tuned"])
@pytest.mark.parametrize("check", DETECTOR_CHECKS, ids=lambda check: check.__name__)
def test_they_keep_the_promises_of_every_detector(check, name, fine_tuned, weights):
    check(FeatureGaussian(**settings(weights[name], name), fine_tuned=fine_tuned, steps=12))


def test_fine_tuning_changes_the_weights_and_leaves_the_running_statistics(weights):
    normals = normal_images(12, "normal")
    recipe = FeatureGaussian(**settings(weights["resnet8"], "resnet8"), fine_tuned=True, steps=3)
    before = replace(recipe, fine_tuned=False).fit(normals, policy=None, seed=0).encoder
    after = recipe.fit(normals, policy=POLICY, seed=0).encoder
    assert not after.training
    assert not any(each.requires_grad for each in after.parameters())
    for (name, old), (_, new) in zip(before.named_parameters(), after.named_parameters(), strict=True):
        assert not torch.equal(old, new), name
    statistics = dict(before.named_buffers())
    assert any("running_var" in name for name in statistics)
    for name, value in after.named_buffers():
        assert torch.equal(value, statistics[name]), name


def test_fine_tuning_of_no_steps_is_the_frozen_encoder(weights):
    normals, images = normal_images(8, "normal"), as_unit(normal_images(3, "new"))
    recipe = FeatureGaussian(**settings(weights["vit_micro/2"], "vit_micro/2"), steps=0)
    frozen = recipe.fit(normals, policy=None, seed=0)
    assert torch.equal(replace(recipe, fine_tuned=True).fit(normals, policy=POLICY, seed=0)(images), frozen(images))


def test_fine_tuning_follows_its_policy_and_its_nuisances(weights):
    normals, images = normal_images(8, "normal"), as_unit(normal_images(3, "new"))
    recipe = FeatureGaussian(**settings(weights["resnet8"], "resnet8"), fine_tuned=True, steps=2)
    mixture = Mixture(policies=(POLICY, BRIGHTER))
    found = [
        recipe.fit(normals, policy=POLICY, seed=0)(images),
        recipe.fit(normals, policy=mixture, seed=0)(images),
        replace(recipe, nuisances=(BRIGHTER,)).fit(normals, policy=POLICY, seed=0)(images),
    ]
    assert all(not torch.equal(found[i], found[j]) for i in range(3) for j in range(i))


def test_pseudo_anomalies_are_for_fine_tuning_alone():
    frozen, tuned = FeatureKNN(encoder="resnet8"), FeatureKNN(encoder="resnet8", fine_tuned=True)
    assert (frozen.pseudo_anomalies, tuned.pseudo_anomalies) == ("refused", "required")


def test_the_small_encoder_can_be_fine_tuned_too():
    normals = normal_images(8, "normal")
    recipe = FeatureGaussian(width=8, depth=2, steps=2, fine_tuned=True)
    scorer = recipe.fit(normals, policy=POLICY, seed=0)
    other = recipe.scorer(1, (20, 18))
    other.load_state_dict(scorer.state_dict())
    assert torch.equal(other(as_unit(normals)), scorer(as_unit(normals)))


def test_grey_images_are_repeated_for_an_encoder_of_colour_and_colour_refused_by_one_of_grey(weights, tmp_path):
    images = normal_images(6, "normal")
    of_colour = FeatureKNN(**settings(saved(tmp_path, "resnet8", channels=3), "resnet8", channels=3))
    grey = of_colour.fit(images, policy=None, seed=0)
    repeated = of_colour.fit(images.expand(-1, 3, -1, -1), policy=None, seed=0)
    assert torch.equal(grey(as_unit(images)), repeated(as_unit(images.expand(-1, 3, -1, -1))))
    assert of_colour.scorer(1, (20, 18)).channels == 1
    with pytest.raises(SettingError, match="the encoder resnet8 takes grey images: got 3 channels"):
        FeatureKNN(**settings(weights["resnet8"], "resnet8")).fit(colour(6), policy=None, seed=0)


def test_weights_of_another_encoder_are_refused_with_its_name(weights):
    wrong = FeatureKNN(**settings(weights["resnet8"], "vit_micro/2"))
    with pytest.raises(IntegrityError, match="holds the weights of resnet8 for 1 channel and 16 x 12 px, which do not"):
        wrong.fit(normal_images(4, "normal"), policy=None, seed=0)


def test_weights_that_were_changed_are_refused(weights):
    path = weights["resnet8"]
    recipe = FeatureKNN(**settings(path, "resnet8"), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    recipe.fit(normal_images(4, "normal"), policy=None, seed=0)
    with pytest.raises(IntegrityError, match="is not the file it should be"):
        replace(recipe, sha256="0" * 64).fit(normal_images(4, "normal"), policy=None, seed=0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"encoder": "vit_micro/x"}, "the patch of vit_micro must be 1 to 64 px: got 'x'"),
        ({"encoder": "resnet8/4"}, "there is no encoder 'resnet8/4'"),
        ({"encoder": "resnet8", "encoder_size": (16, 0)}, r"a number of pixels: got \(16, 0\)"),
        ({"encoder_channels": 1}, "encoder_channels belong to one of resnet18, .*: got 'untrained'"),
        ({"encoder": "trained", "fine_tuned": True}, "'trained' is trained anyway"),
    ],
)
def test_impossible_settings_of_an_architecture_are_refused_before_anything_runs(wrong, sentence):
    with pytest.raises(SettingError, match=sentence):
        FeatureKNN(**wrong)
