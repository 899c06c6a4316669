"""The detectors that learn from unlabelled images, beyond the contracts: their risks, their fits and their settings."""

import numpy as np
import pytest
import torch

from feint.augmentations import Brightness
from feint.core.augmentation import Policy
from feint.core.detector import as_unit
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import stream
from feint.detectors import PoolClassifier, PoolProbe
from feint.detectors.density import GaussianDensity, PositionDensity, upsample
from feint.detectors.probe import ProbeHead
from feint.detectors.unlabelled import non_negative_risk, shifted
from feint.metrics.roc import auroc
from feint.testing.detectors import normal_images, planted_images
from feint.testing.pool_detectors import pool_images

SMALL = PoolClassifier(width=8, depth=3, steps=5, batch=4)
PROBE = PoolProbe(width=8, depth=3)


def normals():
    return normal_images(40, "normal")


def logistic(t):
    return np.logaddexp(0, -t)


def test_the_risk_is_that_of_the_paper_where_its_estimate_is_not_negative():
    g = torch.randn(7, generator=stream(0, "normal")), torch.randn(9, generator=stream(0, "unlabelled"))
    normal, unlabelled = (each.double().numpy() for each in g)
    anomalous = logistic(unlabelled).mean() - 0.3 * logistic(normal).mean()
    assert anomalous > 0
    wanted = 0.3 * logistic(-normal).mean() + anomalous
    assert float(non_negative_risk(*g, prior=0.3)) == pytest.approx(wanted, rel=1e-5)


def test_where_the_anomalous_risk_is_overfitted_a_descent_undoes_that():
    normal, unlabelled = torch.tensor([-3.0, -2.0]), torch.tensor([4.0, 5.0], requires_grad=True)
    loss = non_negative_risk(normal, unlabelled, prior=0.9)
    (gradient,) = torch.autograd.grad(loss, unlabelled)
    before = softplus_gap(normal, unlabelled)
    assert before < 0
    assert softplus_gap(normal, unlabelled - 0.1 * gradient) > before
    assert float(loss.detach()) == pytest.approx(-before, rel=1e-5)


def softplus_gap(normal, unlabelled):
    return float(logistic(unlabelled.detach().numpy()).mean() - 0.9 * logistic(normal.numpy()).mean())


def test_shifted_images_are_moved_as_a_whole_and_their_border_is_repeated():
    images = torch.rand(30, 2, 8, 6, generator=stream(0, "images"))
    moved = shifted(images, 0.25, generator=stream(0, "shift"))
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="replicate")
    seen = set()
    for image, found in zip(padded, moved, strict=True):
        places = [(i, j) for i in range(5) for j in range(5) if torch.equal(image[:, i : i + 8, j : j + 6], found)]
        assert places
        seen.update(places)
    assert len(seen) > 10
    assert torch.equal(shifted(images, 0.0, generator=stream(0, "shift")), images)


@pytest.mark.parametrize(
    "change",
    [{"prior": None}, {"shift": 0.0}, {"nuisances": (Policy(augmentation=Brightness(), low=(0.8,), high=(1.25,)),)}],
)
def test_every_setting_of_the_training_changes_what_is_learned(change):
    plain, other = (
        PoolClassifier(width=8, depth=3, steps=5, batch=4, **each).fit(normals(), pool_images(), seed=0)
        for each in ({}, change)
    )
    images = planted_images()[0][:4]
    assert not torch.equal(plain(images), other(images))


def test_maps_are_densities_of_the_normal_images():
    scorer = SMALL.fit(normals(), pool_images(), seed=0)
    density = PositionDensity(16, (5, 5))
    with torch.no_grad():
        density.fit(scorer.classifier.encoder.maps(as_unit(normals()))[1])
        images = planted_images()[0][:3]
        wanted = upsample(density(scorer.classifier.encoder.maps(images)[1]), (20, 18))
        assert torch.allclose(scorer.map(images), wanted, rtol=1e-3)


@pytest.mark.parametrize("recipe", [SMALL, PROBE], ids=["classifier", "probe"])
def test_an_empty_scorer_takes_on_a_saved_state(recipe):
    fitted = recipe.fit(normals(), pool_images(), seed=3)
    empty = recipe.scorer(1, (20, 18))
    images = planted_images()[0][:6]
    with torch.no_grad():
        empty.load_state_dict(fitted.state_dict())
        assert torch.equal(empty(images), fitted(images))
        assert torch.equal(empty.map(images), fitted.map(images))


def test_the_head_is_ridge_regression_on_features_and_distance():
    from sklearn.linear_model import Ridge

    chance = stream(0, "features")
    normal = torch.randn(60, 5, generator=chance)
    unlabelled = torch.randn(45, 5, generator=chance) * 1.1 + 0.2
    head = ProbeHead(5)
    head.fit(normal, unlabelled, penalty=0.3, distance=2.0)
    density = GaussianDensity(5)
    density.fit(normal)
    both = torch.cat([normal, unlabelled]).double()
    columns = (both - both.mean(0)) / both.std(0)
    d = density(unlabelled).double()
    scaled = 2 * (density(both).double() - d.median()) / (d.quantile(0.75) - d.quantile(0.25))
    x = torch.cat([columns, scaled[:, None]], 1).numpy()
    assert np.abs(x[:, :5]).max() < 5
    ridge = Ridge(alpha=0.3 * len(x)).fit(x, np.repeat([0.0, 1.0], [60, 45]))
    wanted = ridge.predict(x) - ridge.intercept_
    assert np.allclose(head(both.float()).numpy(), wanted, atol=1e-5)


def test_the_probe_finds_what_the_distance_alone_cannot():
    normal = torch.randn(200, 8, generator=stream(0, "normal"))
    shift = torch.zeros(8)
    shift[0] = 1.5
    anomalous = torch.randn(200, 8, generator=stream(0, "anomalous")) + shift
    unlabelled = torch.cat([torch.randn(100, 8, generator=stream(0, "pool")), anomalous[:100]])
    new = torch.randn(100, 8, generator=stream(0, "new"))
    found = {}
    for penalty in (1.0, 1e9):
        head = ProbeHead(8)
        head.fit(normal, unlabelled, penalty=penalty, distance=1.0)
        found[penalty] = auroc(head(new).numpy(), head(anomalous[100:]).numpy())
    head.density.fit(normal)
    alone = auroc(head.density(new).numpy(), head.density(anomalous[100:]).numpy())
    assert found[1.0] > alone + 0.05


def test_another_seed_gives_another_detector():
    images = planted_images()[0]
    for recipe in (SMALL, PROBE):
        first, second = (recipe.fit(normals(), pool_images(), seed=seed) for seed in (0, 1))
        assert not torch.equal(first(images), second(images))


def test_losses_are_logged():
    steps = []
    SMALL.fit(normals(), pool_images(), seed=0, log=lambda step, loss: steps.append((step, loss)))
    assert [step for step, _ in steps] == [0, 4]


def test_a_diverged_training_is_named():
    with pytest.raises(CollapseError, match="diverged at step"):
        PoolClassifier(width=8, depth=3, steps=20, batch=4, rate=1e30).fit(normals(), pool_images(), seed=0)


def test_identical_images_are_named():
    with pytest.raises(CollapseError, match="the same"):
        PROBE.fit(normals()[:1].repeat(10, 1, 1, 1), pool_images(), seed=0)


@pytest.mark.parametrize("recipe", [SMALL, PROBE], ids=["classifier", "probe"])
def test_pools_of_another_shape_are_refused(recipe):
    with pytest.raises(InputError, match=r"\(1, 20, 18\).*\(1, 18, 20\)"):
        recipe.fit(normals(), pool_images().transpose(2, 3), seed=0)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (PoolClassifier, {"width": 12, "depth": 0, "steps": -1, "batch": 0, "prior": 1.0, "shift": 2.0}),
        (PoolProbe, {"encoder": "resnet", "encoder_size": 0, "width": 3, "depth": 0, "penalty": 0.0, "distance": 0.0}),
    ],
)
def test_every_impossible_setting_is_named_at_once(kind, wrong):
    with pytest.raises(SettingError) as error:
        kind(**wrong)
    assert all(f"{name} = {value!r}" in str(error.value) for name, value in wrong.items())


def test_a_pool_of_one_image_is_enough_to_fit():
    images = as_unit(normal_images(5, "new"))
    for recipe in (SMALL, PROBE):
        scorer = recipe.fit(normals(), pool_images()[-1:], seed=0)
        with torch.no_grad():
            assert scorer(images).isfinite().all()
