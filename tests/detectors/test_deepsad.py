"""Deep SVDD and Deep SAD beyond the contracts: their loss, what the two share, and how they fail."""

from dataclasses import fields

import pytest
import torch
from torch import nn

from feint.augmentations import CutDiff
from feint.core.augmentation import Exposure, Policy
from feint.core.detector import as_unit
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import stream
from feint.detectors import deepsad
from feint.detectors.deepsad import DeepSAD, DeepSVDD, HypersphereScorer, centre_of, hypersphere_loss, refuse_collapse
from feint.metrics.roc import auroc
from feint.networks.lenet import lenet
from feint.testing.detectors import normal_images, planted_images

POLICY = Policy(augmentation=CutDiff(), low=(0.03, 0.4, 0.0, 0.15), high=(0.1, 1.0, 180.0, 0.5))
QUICK = {"width": 4, "epochs": 2, "pretrain_epochs": 2, "batch": 16}


def fit(recipe, normals=None, *, policy=None, seed=0, **rest):
    return recipe.fit(normal_images(40, "normal") if normals is None else normals, policy=policy, seed=seed, **rest)


def same_state(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- the loss -----------------------------------------------------------------------------------------------------


def test_the_loss_is_the_formula():
    d, pseudo = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64), torch.tensor([0.5, 4.0], dtype=torch.float64)
    wanted = ((1 + 2 + 6) + 0.3 * (1 / (0.5 + 1e-6) + 1 / (4 + 1e-6))) / 5
    assert hypersphere_loss(d, pseudo, eta=0.3).item() == pytest.approx(wanted, abs=1e-12)
    assert hypersphere_loss(d, pseudo[:0], eta=0.3).item() == 3.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pseudo_anomaly_at_the_centre_has_a_finite_loss_and_gradient(dtype):
    c = torch.linspace(-1, 1, 6, dtype=dtype)
    for distance in (0.0, 1e-20, 1e-4, 1e-3):
        z = (c + distance).repeat(2, 1).requires_grad_()
        loss = hypersphere_loss(torch.ones(2, dtype=dtype), (z - c).square().sum(1), eta=1.0)
        (gradient,) = torch.autograd.grad(loss, z)
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_the_gradient_is_the_derivative():
    chance = stream(0, "gradient")
    z, pseudo = (torch.randn(4, 3, generator=chance, dtype=torch.float64).requires_grad_() for _ in range(2))

    def loss(z, pseudo):
        return hypersphere_loss(z.square().sum(1), pseudo.square().sum(1), eta=0.7)

    assert torch.autograd.gradcheck(loss, (z, pseudo))


def test_the_gradient_through_the_network_is_the_derivative():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        scorer = HypersphereScorer(1, (16, 16), width=2).double()
    scorer.centre.fill_(0.5)
    images = torch.rand(6, 1, 16, 16, generator=stream(0, "images"), dtype=torch.float64)
    first = scorer.encoder.blocks[0][0]

    def loss(weight):
        embeddings = torch.func.functional_call(scorer.encoder, {"blocks.0.0.weight": weight}, (images,))
        d = (embeddings - scorer.centre).square().sum(1)
        return hypersphere_loss(d[:3], d[3:], eta=1.0)

    assert torch.autograd.gradcheck(loss, (first.weight,), eps=1e-7, atol=1e-5)


def test_no_component_of_the_centre_lies_near_zero():
    embeddings = torch.tensor([[0.0, 0.04, -0.04, 0.5, -2.0, 0.1], [0.0, 0.06, -0.06, 0.7, -1.0, 0.1]])
    assert torch.allclose(centre_of(embeddings), torch.tensor([0.1, 0.1, -0.1, 0.6, -1.5, 0.1]))
    assert fit(DeepSVDD(**QUICK)).centre.abs().min() >= 0.1


# --- one training, two losses -------------------------------------------------------------------------------------


def test_deep_sad_has_the_hyperparameters_of_deep_svdd_and_eta():
    svdd, sad = ({f.name: f.default for f in fields(recipe)} for recipe in (DeepSVDD, DeepSAD))
    assert sad == svdd | {"eta": 1.0}
    assert svdd == {
        "epochs": 50, "pretrain_epochs": 100, "batch": 128, "rate": 1e-3, "weight_decay": 1e-6, "width": 32,
        "device": "cpu",
    }  # fmt: skip


def test_without_the_second_sum_deep_sad_is_deep_svdd_bit_for_bit():
    svdd, sad = fit(DeepSVDD(**QUICK)), fit(DeepSAD(**QUICK, eta=0.0), policy=POLICY)
    assert same_state(svdd.state_dict(), sad.state_dict())


def test_both_start_from_the_same_pretrained_weights_and_centre():
    start = QUICK | {"epochs": 0}
    svdd, sad = fit(DeepSVDD(**start)), fit(DeepSAD(**start), policy=POLICY)
    assert same_state(svdd.state_dict(), sad.state_dict())
    trained, pushed = fit(DeepSVDD(**QUICK)), fit(DeepSAD(**QUICK), policy=POLICY)
    assert torch.equal(trained.centre, svdd.centre)
    assert torch.equal(pushed.centre, svdd.centre)
    assert not same_state(trained.encoder.state_dict(), pushed.encoder.state_dict())


def test_the_centre_is_the_mean_embedding_at_the_start():
    start = fit(DeepSVDD(**QUICK | {"epochs": 0}))
    assert torch.allclose(start.centre, centre_of(start.embed(as_unit(normal_images(40, "normal")))), atol=1e-5)


def test_training_draws_normal_images_in_and_labelled_anomalies_push_theirs_out():
    normals, new = (as_unit(normal_images(40, name)) for name in ("normal", "new"))
    marked, others = planted_images()[0].split([5, 35])
    exposure = Exposure(images=(marked * 255).round().to(torch.uint8))
    settings = {"width": 4, "epochs": 12, "pretrain_epochs": 12, "batch": 8}
    losses = []
    svdd = fit(DeepSVDD(**settings), log=lambda step, loss: losses.append(loss))
    sad = fit(DeepSAD(**settings), policy=exposure)
    assert losses[-1] < 0.5 * losses[12]
    assert sad(marked).min() / sad(normals).mean() > 2 * svdd(marked).min() / svdd(normals).mean()
    assert auroc(sad(new).numpy(), sad(others).numpy()) > 0.95


# --- scores and maps ----------------------------------------------------------------------------------------------


def test_the_score_is_the_squared_distance_from_the_centre_in_eval_mode():
    scorer, images = fit(DeepSVDD(**QUICK)), planted_images()[0]
    assert not scorer.training
    wanted = torch.cdist(scorer.embed(images).double(), scorer.centre[None].double())[:, 0] ** 2
    assert torch.allclose(scorer(images).double(), wanted, rtol=1e-4)
    assert torch.equal(scorer.embed(images), scorer.encoder(images))


@pytest.mark.parametrize(("channels", "size"), [(3, (32, 32)), (1, (28, 28)), (3, (21, 17)), (1, (72, 80))])
def test_images_of_other_kinds_fit_and_maps_are_theirs(channels, size):
    images = (torch.rand(9, channels, *size, generator=stream(0, "kinds")) * 255).to(torch.uint8)
    scorer = fit(DeepSVDD(width=2, epochs=1, pretrain_epochs=1), images)
    assert scorer(as_unit(images)).shape == (9,)
    assert scorer.map(as_unit(images)).shape == (9, *size)
    assert max(scorer.positions) <= 16


# --- batches, log and seeds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 17, 33])
def test_no_batch_is_left_with_a_single_image(n):
    scorer = fit(DeepSVDD(**QUICK), normal_images(n, "few"))
    assert scorer(planted_images()[0]).isfinite().all()
    for small in (3, 4):
        fit(DeepSVDD(**QUICK | {"batch": small}), normal_images(n, "few"))


def test_the_log_has_one_line_an_epoch_of_both_phases():
    lines = []
    fit(DeepSAD(**QUICK), policy=POLICY, log=lambda step, loss: lines.append((step, loss)))
    assert [step for step, _ in lines] == [0, 1, 2, 3]
    assert lines[1][1] < lines[0][1]


def test_the_last_line_is_the_mean_loss_over_the_images():
    lines = []
    settings = QUICK | {"rate": 1e-30, "pretrain_epochs": 0, "epochs": 1, "batch": 40}
    scorer = fit(DeepSVDD(**settings), log=lambda step, loss: lines.append(loss))
    scorer.encoder.train()
    wanted = scorer.distances(as_unit(normal_images(40, "normal"))).mean()
    assert lines == [pytest.approx(float(wanted), rel=1e-5)]


def test_another_seed_gives_another_detector():
    assert not torch.equal(fit(DeepSVDD(**QUICK)).centre, fit(DeepSVDD(**QUICK), seed=1).centre)


# --- failures -----------------------------------------------------------------------------------------------------


def test_a_planted_collapse_is_named(monkeypatch):
    def dead(channels, size, *, width):
        network = lenet(channels, size, width=width)
        for weight in network.parameters():
            nn.init.zeros_(weight)
        return network

    monkeypatch.setattr(deepsad, "lenet", dead)
    with pytest.raises(CollapseError, match="all 40 normal images are 0.08"):
        fit(DeepSVDD(**QUICK))


@pytest.mark.parametrize("level", [0.0, 1e-13, 1e-4, 3.0])
def test_scores_that_differ_by_rounding_alone_are_a_collapse(level):
    scores, centre = level * (1 + 1e-7 * torch.arange(5)), torch.ones(8)
    with pytest.raises(CollapseError, match="all 5 normal images"):
        refuse_collapse(scores, centre)
    refuse_collapse(scores + torch.tensor([0.0, 0.0, 1e-4, 0.0, 0.0]), centre)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_a_collapse(score):
    with pytest.raises(CollapseError, match=f"all 3 normal images are {score}"):
        refuse_collapse(torch.tensor([1.0, score, 2.0]), torch.ones(8))


def test_identical_images_are_a_collapse():
    with pytest.raises(CollapseError, match="identical"):
        fit(DeepSVDD(**QUICK), normal_images(1, "normal").repeat(20, 1, 1, 1))


def test_a_diverging_training_names_the_step():
    with pytest.raises(CollapseError, match=r"diverged at step \d+: the loss is"):
        fit(DeepSVDD(**QUICK | {"rate": 1e30}))


def test_one_image_is_too_few():
    with pytest.raises(InputError, match="at least 2 normal images: got 1"):
        fit(DeepSVDD(**QUICK), normal_images(1, "normal"))


def test_pseudo_anomalies_are_required_by_one_and_refused_by_the_other():
    with pytest.raises(SettingError, match="DeepSAD learns from pseudo-anomalies"):
        fit(DeepSAD(**QUICK))
    with pytest.raises(SettingError, match="DeepSVDD is fitted on normal images alone"):
        fit(DeepSVDD(**QUICK), policy=POLICY)


@pytest.mark.parametrize("recipe", [DeepSVDD, DeepSAD])
@pytest.mark.parametrize(
    "setting",
    [{"epochs": -1}, {"pretrain_epochs": -1}, {"batch": 2}, {"rate": 0.0}, {"weight_decay": -1.0}, {"width": 7}],
)
def test_impossible_settings_are_refused(recipe, setting):
    with pytest.raises(SettingError, match=f"{recipe.__name__}: {next(iter(setting))} = "):
        recipe(**setting)


def test_a_negative_eta_is_refused():
    with pytest.raises(SettingError, match=r"eta must be at least 0: got -1"):
        DeepSAD(eta=-1.0)
