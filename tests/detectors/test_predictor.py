"""The augmentation predictor beyond the contracts: its views, both scores, what it learns and refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import gammaln, softmax
from scipy.stats import dirichlet

from feint.augmentations.policies import POLICIES
from feint.core.augmentation import Exposure, PseudoAnomalies
from feint.core.detector import as_unit
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.detectors.predictor import AP, fit_dirichlet
from feint.metrics.roc import auroc

SMALL = AP(net="small", width=8, epochs=10, batch=16, draws=3)


def ramps(n, name):
    """Square images, bright at the top and a little at the left: each of four sides looks different."""
    y, x = torch.linspace(0.8, 0.2, 16)[:, None], torch.linspace(0.1, 0, 16)[None, :]
    grain = 0.05 * torch.randn(n, 1, 16, 16, generator=stream(0, "ramps", name))
    return ((y + x + grain).clamp(0, 1) * 255).to(torch.uint8)


NORMALS = ramps(40, "normal")
OUTLIERS = Exposure(images=(torch.rand(4, 1, 16, 16, generator=stream(0, "outliers")) * 255).to(torch.uint8))


def fitted(policy, **settings):
    return replace(SMALL, **settings).fit(NORMALS, policy=policy, seed=0)


@pytest.fixture(scope="module")
def by_policy():
    return {"flip": fitted(POLICIES["flip"]), "noise": fitted(POLICIES["noise"]), "outliers": fitted(OUTLIERS)}


class Turned(PseudoAnomalies):
    """K outcomes, the k-th darker by k / K; counts how often it was asked."""

    def __init__(self, k):
        self.k = k
        self.asked = 0

    @property
    def outcomes(self):
        return self.k

    def __call__(self, images, *, generator):
        raise AssertionError("outcomes are asked for by number")

    def outcome(self, images, which):
        self.asked += 1
        return images * (1 - which / self.k)[:, None, None, None]


@pytest.mark.parametrize(
    ("policy", "k"),
    [
        (POLICIES["rotate"], 4),
        (POLICIES["flip"], 2),
        (POLICIES["invert"], 2),
        (POLICIES["geom"], 72),
        (POLICIES["cutout"], 2),
        (POLICIES["simclr"], 2),
        (OUTLIERS, 2),
    ],
    ids=["rotate", "flip", "invert", "geom", "cutout", "simclr", "outliers"],
)
def test_a_uniform_predictor_scores_ln_k(policy, k):
    scorer = SMALL.scorer(1, (16, 16), policy=policy)
    for parameter in scorer.head.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        torch.testing.assert_close(scorer(as_unit(NORMALS[:5])), torch.full((5,), math.log(k)))


def log_p(scorer, images):
    with torch.no_grad():
        logits = scorer.head(scorer.encoder(images)).double().numpy()
    return np.log(softmax(logits, axis=1))


def test_finite_outcomes_are_each_a_class(by_policy):
    scorer, images = by_policy["flip"], as_unit(ramps(6, "new"))
    expected = -(log_p(scorer, images)[:, 0] + log_p(scorer, images.flip(2))[:, 1]) / 2
    with torch.no_grad():
        np.testing.assert_allclose(scorer(images), expected, rtol=1e-4)


def test_noise_without_end_is_averaged_over_the_same_draws_for_every_image(by_policy):
    scorer, images = by_policy["noise"], as_unit(ramps(6, "new"))
    policy = POLICIES["noise"]
    noise, magnitudes = policy.draw(torch.zeros(3, 1, 16, 16), generator=stream(0, "evaluation"))
    augmented = [
        log_p(scorer, policy.augmentation.apply(images, noise[i].expand(6, -1), magnitudes[i]))[:, 1] for i in range(3)
    ]
    expected = -(log_p(scorer, images)[:, 0] + np.mean(augmented, axis=0)) / 2
    with torch.no_grad():
        np.testing.assert_allclose(scorer(images), expected, rtol=1e-4)


def test_outliers_leave_the_image_itself_to_score(by_policy):
    scorer, images = by_policy["outliers"], as_unit(ramps(6, "new"))
    with torch.no_grad():
        np.testing.assert_allclose(scorer(images), -log_p(scorer, images)[:, 0], rtol=1e-4)


def test_the_dirichlet_score_is_the_density_of_the_predictions(by_policy):
    scorer, images = by_policy["flip"], as_unit(ramps(6, "new"))
    alpha = scorer.alpha.double().numpy()
    density = [
        sum(
            dirichlet.logpdf(np.exp(log_p(scorer, view)[i]) / np.exp(log_p(scorer, view)[i]).sum(), alpha[k])
            for k, view in enumerate((images, images.flip(2)))
        )
        for i in range(6)
    ]
    with torch.no_grad():
        found = scorer.all_scores(images)["dirichlet"].double().numpy()
    np.testing.assert_allclose(found - found[0], -(density - density[0]) / 2, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("alpha", [(0.3, 2.0), (5.0, 1.0, 0.5), (40.0, 30.0, 20.0, 10.0)])
def test_dirichlet_is_fitted_by_maximum_likelihood(alpha):
    p = np.random.default_rng(0).dirichlet(alpha, 300)
    mean = np.log(p).mean(0)
    best = minimize(
        lambda a: -(gammaln(np.exp(a).sum()) - gammaln(np.exp(a)).sum() + ((np.exp(a) - 1) * mean).sum()),
        np.zeros(len(alpha)),
        tol=1e-12,
    )
    found = fit_dirichlet(torch.from_numpy(mean)[None])[0]
    np.testing.assert_allclose(found, np.exp(best.x), rtol=1e-2)


@pytest.mark.parametrize("p", [(0.5, 0.5), (1 - 1e-12, 1e-12), (1.0, 1e-30)])
def test_dirichlet_stays_finite_where_all_predictions_are_the_same(p):
    found = fit_dirichlet(torch.tensor([p], dtype=torch.float64).log())
    assert found.isfinite().all()
    assert (found > 0).all()


def test_steps_do_not_depend_on_the_number_of_outcomes():
    asked = {}
    for k in (2, 4, 9):
        policy = Turned(k)
        scorer = SMALL.fit(NORMALS, policy=policy, seed=0)
        assert scorer.head.out_features == k
        asked[k] = policy.asked - k  # the densities see each outcome once
    assert asked == {k: 10 * math.ceil(40 / 16) for k in (2, 4, 9)}


@pytest.mark.parametrize("score", AP.SCORES)
@pytest.mark.parametrize("name", ["rotate", "flip"])
def test_it_finds_what_was_turned_over(name, score):
    scorer = fitted(POLICIES[name], epochs=30, score=score)
    images = as_unit(ramps(20, "new"))
    with torch.no_grad():
        assert auroc(scorer(images).numpy(), scorer(images.flip(2)).numpy()) > 0.95


def test_it_finds_what_it_was_exposed_to(by_policy):
    others = torch.rand(20, 1, 16, 16, generator=stream(0, "more outliers"))
    with torch.no_grad():
        scores = by_policy["outliers"](as_unit(ramps(20, "new"))), by_policy["outliers"](others)
    assert auroc(scores[0].numpy(), scores[1].numpy()) > 0.95


def test_evaluation_is_the_same_whatever_the_seed():
    first, second = (SMALL.fit(NORMALS, policy=POLICIES["mask"], seed=seed) for seed in (0, 1))
    assert torch.equal(first.noise, second.noise)
    assert not torch.equal(first.head.weight, second.head.weight)
    assert {"noise", "magnitudes", "alpha"} <= set(first.state_dict())


def test_densities_of_many_images_are_fitted_on_a_thousand():
    many = ramps(1003, "many")
    scorer = replace(SMALL, epochs=0).fit(many, policy=POLICIES["flip"], seed=0)
    alpha = scorer.alpha.clone()
    scorer.fit_densities(many[torch.linspace(0, 1002, 1000).long()])
    assert torch.equal(scorer.alpha, alpha)


def test_a_wide_resnet_and_large_images_fit():
    images = (torch.rand(6, 3, 70, 66, generator=stream(0, "colour")) * 255).to(torch.uint8)
    scorer = AP(width=8, epochs=1, batch=6, draws=1).fit(images, policy=POLICIES["cutout"], seed=0)
    with torch.no_grad():
        assert scorer(as_unit(images)).isfinite().all()
        assert scorer.map(as_unit(images)).shape == (6, 70, 66)
    assert scorer.position.centre.shape == (32 * 32, 1, 64)


def test_the_log_says_how_the_loss_fell():
    lines = []
    SMALL.fit(NORMALS, policy=POLICIES["flip"], seed=0, log=lambda epoch, loss: lines.append((epoch, loss)))
    assert [epoch for epoch, _ in lines] == list(range(10))
    assert lines[-1][1] < lines[0][1] < 2 * math.log(2)


@pytest.mark.parametrize("name", POLICIES)
def test_every_augmentation_can_be_predicted(name):
    images = torch.nn.functional.interpolate(as_unit(NORMALS), (32, 32)).mul(255).to(torch.uint8)
    scorer = replace(SMALL, epochs=1).fit(images, policy=POLICIES[name], seed=0)
    with torch.no_grad():
        assert all(scores.isfinite().all() for scores in scorer.all_scores(as_unit(images)).values())


# --- what must be refused -----------------------------------------------------------------------------------------


def test_a_policy_of_a_single_outcome_is_refused():
    with pytest.raises(SettingError, match="does something"):
        SMALL.fit(NORMALS, policy=Turned(1), seed=0)


@pytest.mark.parametrize(
    "setting",
    [{"net": "deep"}, {"width": 12}, {"epochs": -1}, {"batch": 0}, {"rate": 0.0}, {"draws": 0}, {"score": "max"}],
)
def test_impossible_settings_are_refused(setting):
    name, value = next(iter(setting.items()))
    with pytest.raises(SettingError, match=f"AP: {name} = {value!r} is impossible"):
        AP(**setting)
