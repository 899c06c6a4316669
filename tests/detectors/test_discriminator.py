"""The detector of self-tuning beyond the contracts: its four scores, its training and its ways to fail."""

import math

import pytest
import torch

from feint.augmentations import Brightness, CutDiff, Noise
from feint.core.augmentation import Mixture, Policy
from feint.core.detector import as_unit
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import stream
from feint.detectors import Discriminator
from feint.networks.conv import pooled
from feint.testing.detectors import normal_images, planted_images

POLICY = Policy(augmentation=CutDiff(), low=(0.03, 0.4, 0.0, 0.15), high=(0.1, 1.0, 180.0, 0.5))
SMALL = Discriminator(width=8, depth=3, steps=30)


@pytest.fixture(scope="module")
def scorer():
    return SMALL.fit(normal_images(40, "normal"), policy=POLICY, seed=0)


def test_all_scores_come_from_one_pass_and_equal_their_definitions(scorer):
    images = planted_images()[0][:6]
    with torch.no_grad():
        found = scorer.all_scores(images)
        maps = scorer.classifier.encoder.maps(images)
        embedding, logit = scorer.classifier(images)
    assert tuple(found) == Discriminator.SCORES
    assert torch.equal(found["logit"], logit)
    assert torch.equal(found["gaussian"], scorer.gaussian(embedding))
    assert torch.equal(found["pooled"], scorer.pooled(pooled(maps)))
    assert torch.equal(found["position"], scorer.position(maps[1]).flatten(1).max(1).values)


@pytest.mark.parametrize("score", Discriminator.SCORES)
def test_score_chooses_what_forward_returns(scorer, score):
    chosen = Discriminator(width=8, depth=3, score=score).scorer(1, (20, 18))
    chosen.load_state_dict(scorer.state_dict())
    images = planted_images()[0][:6]
    with torch.no_grad():
        assert torch.equal(chosen(images), scorer.all_scores(images)[score])


def test_training_separates_better_than_no_training(scorer):
    untrained = SMALL.fit(normal_images(40, "normal"), policy=None, seed=0)
    logits = {}
    for name, each in (("trained", scorer), ("untrained", untrained)):
        with torch.no_grad():
            normal = each.all_scores(as_unit(normal_images(40, "new")))["logit"]
            planted = each.all_scores(planted_images()[0])["logit"]
        logits[name] = float((planted.mean() - normal.mean()) / normal.std())
    assert logits["trained"] > 2 > abs(logits["untrained"]) / 2


def test_without_a_policy_the_encoder_is_the_untrained_one_of_that_seed():
    first, second = (SMALL.fit(normal_images(40, name), policy=None, seed=3) for name in ("normal", "other"))
    weights = zip(first.classifier.parameters(), second.classifier.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
    assert not torch.equal(first.pooled.centre, second.pooled.centre)


def test_another_seed_gives_another_detector(scorer):
    other = SMALL.fit(normal_images(40, "normal"), policy=POLICY, seed=1)
    images = planted_images()[0]
    with torch.no_grad():
        assert not torch.equal(other(images), scorer(images))


def test_densities_are_those_of_the_clean_training_images(scorer):
    normal = as_unit(normal_images(40, "normal"))
    with torch.no_grad():
        embeddings = scorer.classifier(normal)[0].double()
    assert torch.allclose(scorer.gaussian.centre, embeddings.mean(0), atol=1e-6)


def test_a_scorer_is_ready_to_use(scorer):
    assert not scorer.training
    assert not any(p.requires_grad for p in scorer.parameters())
    assert scorer(planted_images()[0][:2]).requires_grad is False


def test_nuisances_reach_the_training():
    brightness = Policy(augmentation=Brightness(), low=(0.8,), high=(1.25,))
    with_nuisance = Discriminator(width=8, depth=3, steps=30, nuisances=(brightness,))
    found = with_nuisance.fit(normal_images(40, "normal"), policy=POLICY, seed=0)
    plain = SMALL.fit(normal_images(40, "normal"), policy=POLICY, seed=0)
    images = planted_images()[0]
    with torch.no_grad():
        assert not torch.equal(found.all_scores(images)["logit"], plain.all_scores(images)["logit"])


def test_the_log_says_how_the_loss_fell():
    lines = []
    Discriminator(width=8, depth=3, steps=50).fit(
        normal_images(40, "normal"), policy=POLICY, seed=0, log=lambda step, loss: lines.append((step, loss))
    )
    assert [step for step, _ in lines] == [0, 20, 40, 49]
    assert lines[0][1] == pytest.approx(math.log(2), abs=0.1)
    assert lines[-1][1] < lines[0][1]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_hardly_any_steps_are_allowed(steps):
    found = Discriminator(width=8, depth=3, steps=steps).fit(normal_images(20, "normal"), policy=POLICY, seed=0)
    assert found(planted_images()[0]).isfinite().all()


def test_epochs_take_the_place_of_steps():
    images = planted_images()[0]
    by_epochs = Discriminator(width=8, depth=3, batch=16, epochs=2)
    by_steps = Discriminator(width=8, depth=3, batch=16, steps=2 * math.ceil(40 / 16))
    first, second = (each.fit(normal_images(40, "normal"), policy=POLICY, seed=0) for each in (by_epochs, by_steps))
    with torch.no_grad():
        assert torch.equal(first.all_scores(images)["logit"], second.all_scores(images)["logit"])


def test_identical_images_are_a_collapse():
    same = normal_images(1, "normal").repeat(30, 1, 1, 1)
    with pytest.raises(CollapseError, match="the same"):
        SMALL.fit(same, policy=POLICY, seed=0)


def test_a_diverging_training_is_named():
    with pytest.raises(CollapseError, match="Lower the learning rate"):
        Discriminator(width=8, depth=3, steps=30, rate=1e30).fit(normal_images(40, "normal"), policy=POLICY, seed=0)


def test_colour_and_odd_sizes_fit():
    images = (torch.rand(30, 3, 21, 13, generator=stream(0, "colour")) * 255).to(torch.uint8)
    found = SMALL.fit(images, policy=POLICY, seed=0)
    assert found(as_unit(images)).shape == (30,)
    assert found.map(as_unit(images)).shape == (30, 21, 13)


# --- several kinds of pseudo-anomalies ----------------------------------------------------------------------------

KINDS = Mixture(
    policies=(
        POLICY,
        Policy(augmentation=CutDiff(), low=(0.03, 0.4, 0.0, -0.5), high=(0.1, 1.0, 180.0, -0.15)),
        Policy(augmentation=Noise(), low=(0.1,), high=(0.1,)),
    )
)


@pytest.fixture(scope="module")
def of_three():
    return Discriminator(width=8, depth=3, steps=80).fit(normal_images(40, "normal"), policy=KINDS, seed=0)


def test_a_fit_takes_the_kinds_from_its_policy(of_three):
    assert of_three.classifier.head[-1].out_features == 3
    assert SMALL.kinds == 1


def test_the_logit_is_that_of_whichever_kind(of_three):
    images = planted_images()[0][:6]
    with torch.no_grad():
        logits = of_three.classifier.head(of_three.embed(images))
        found = of_three.all_scores(images)["logit"]
        probabilities = torch.cat([torch.zeros(6, 1), logits], dim=1).softmax(1)
    assert torch.allclose(found, torch.log(logits.exp().sum(1)), atol=1e-5)
    assert torch.allclose(found.sigmoid(), 1 - probabilities[:, 0], atol=1e-5)


def test_each_kind_is_told_from_the_others_and_from_normal(of_three):
    images = as_unit(normal_images(60, "new"))
    pseudo, kind = KINDS.made(images, generator=stream(0, "pseudo"))
    with torch.no_grad():
        logits = of_three.classifier.head(of_three.embed(pseudo))
        clean, made = (of_three.all_scores(each)["logit"] for each in (images, pseudo))
    assert (logits.argmax(1) == kind).float().mean() > 0.7
    assert (made[:, None] > clean).float().mean() > 0.9


@pytest.mark.parametrize("score", Discriminator.SCORES)
def test_a_saved_state_of_several_kinds_loads(of_three, score):
    empty = Discriminator(width=8, depth=3, kinds=3, score=score).scorer(1, (20, 18))
    empty.load_state_dict(of_three.state_dict())
    images = planted_images()[0][:6]
    with torch.no_grad():
        assert torch.equal(empty(images), of_three.all_scores(images)[score])


def test_a_state_of_another_number_of_kinds_does_not_load(of_three):
    with pytest.raises(RuntimeError, match="size mismatch"):
        Discriminator(width=8, depth=3).scorer(1, (20, 18)).load_state_dict(of_three.state_dict())


def test_a_mixture_of_one_is_a_training_with_one_kind():
    images = planted_images()[0]
    found = SMALL.fit(normal_images(40, "normal"), policy=Mixture(policies=(POLICY,)), seed=0)
    with torch.no_grad():
        logits = found.classifier.head(found.embed(images))
        assert torch.equal(found.all_scores(images)["logit"], logits[:, 0])


def test_with_one_kind_the_loss_is_the_binary_cross_entropy():
    """Independently: the same streams, the textbook loss, the same weights in the end."""
    recipe = Discriminator(width=8, depth=3, steps=5, batch=8)
    normals = normal_images(40, "normal")
    scorer = recipe.fit(normals, policy=POLICY, seed=0)
    classifier = recipe.fit(normals, policy=None, seed=0).classifier.requires_grad_(requires_grad=True)
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=5)
    order, chance = stream(0, "order"), stream(0, "augment")
    for _ in range(5):
        images = as_unit(normals[torch.randint(40, (8,), generator=order)])
        p = torch.cat([classifier(images)[1], classifier(POLICY(images, generator=chance))[1]]).sigmoid()
        loss = -(torch.log(1 - p[:8]).mean() + torch.log(p[8:]).mean()) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    for found, expected in zip(scorer.classifier.parameters(), classifier.parameters(), strict=True):
        assert torch.allclose(found, expected, atol=2e-5)


# --- input that must be refused -----------------------------------------------------------------------------------


def test_bytes_are_not_scored(scorer):
    with pytest.raises(InputError, match="uint8"):
        scorer(normal_images(3, "new"))


@pytest.mark.parametrize(
    "images",
    [normal_images(40, "normal")[:, 0], as_unit(normal_images(40, "normal")), normal_images(0, "none")],
    ids=["3-D", "float", "no_image"],
)
def test_fit_refuses_other_than_images_of_bytes(images):
    with pytest.raises(InputError, match="shape|uint8"):
        SMALL.fit(images, policy=None, seed=0)


@pytest.mark.parametrize(
    "setting",
    [{"kinds": 0}, {"depth": 1}, {"width": 10}, {"score": "pooling"}, {"batch": 0}, {"steps": -1}, {"epochs": -1}],
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        Discriminator(**setting)
