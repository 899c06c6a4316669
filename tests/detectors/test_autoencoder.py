"""The autoencoders beyond the contracts: the loss and its schedule, the epoch before the first, what is refused."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from feint.augmentations import CutDiff
from feint.core.augmentation import Exposure, Policy, PseudoAnomalies
from feint.core.detector import as_unit
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import seed_of, stream
from feint.detectors.autoencoder import AE, DAE, training_epochs
from feint.testing.detectors import normal_images, planted_images

POLICY = Policy(augmentation=CutDiff(), low=(0.03, 0.4, 0.0, 0.15), high=(0.1, 1.0, 180.0, 0.5))
SMALL = DAE(features=4, hidden=8, epochs=3, batch=16)
NORMALS = normal_images(40, "normal")


class Unchanged(PseudoAnomalies):
    def __call__(self, images, *, generator):
        return images


@pytest.fixture(scope="module")
def scorer():
    return SMALL.fit(NORMALS, policy=POLICY, seed=0)


def fresh(recipe, seed):
    """A scorer as `fit` begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "weights"))
        return recipe.scorer(1, (20, 18))


def test_defaults_are_those_of_the_reference():
    assert DAE() == DAE(net="conv", features=64, hidden=256, epochs=256, batch=1024, rate=1e-3, device="cpu")
    assert sum(p.numel() for p in AE().scorer(3, (32, 32)).parameters()) == 4_159_235


def test_loss_is_the_mean_square_against_the_clean_image():
    scorer = fresh(SMALL, 5)
    network = copy.deepcopy(scorer.network)
    loss = next(training_epochs(replace(SMALL, batch=64), scorer, NORMALS, policy=POLICY, seed=5))
    clean = as_unit(NORMALS[torch.randperm(40, generator=stream(5, "order"))])
    augmented = POLICY(clean, generator=stream(5, "augment"))
    with torch.no_grad():
        found = network(augmented)[1].double().numpy()
    assert loss == pytest.approx(np.mean((found - clean.numpy()) ** 2), abs=1e-6)


def test_epoch_0_moves_batch_statistics_and_no_weight():
    scorer = fresh(SMALL, 0)
    start = copy.deepcopy(scorer.state_dict())
    epochs = training_epochs(SMALL, scorer, NORMALS, policy=POLICY, seed=0)
    next(epochs)
    moved = {name for name, value in scorer.state_dict().items() if not torch.equal(value, start[name])}
    assert moved == {name for name in start if "running" in name or "num_batches" in name}
    next(epochs)
    assert all(not torch.equal(p, start[name]) for name, p in scorer.named_parameters() if name.endswith("weight"))


def test_training_is_that_of_a_plain_loop():
    """Adam with rate (1 + cos(pi e / E)) / 2 in update epoch e = 0, 1, ..., a shuffle in every epoch."""
    recipe = AE(net="linear", hidden=8, epochs=4, batch=16, rate=1e-2)
    found = recipe.fit(NORMALS, policy=None, seed=2)
    network = fresh(recipe, 2).network
    adam, order = torch.optim.Adam(network.parameters()), stream(2, "order")
    torch.randperm(40, generator=order)
    for epoch in range(4):
        adam.param_groups[0]["lr"] = 1e-2 * (1 + math.cos(math.pi * epoch / 4)) / 2
        images = as_unit(NORMALS[torch.randperm(40, generator=order)])
        for batch in (images[:16], images[16:32], images[32:]):
            adam.zero_grad()
            (network(batch)[1] - batch).square().mean().backward()
            adam.step()
    for mine, its in zip(network.parameters(), found.parameters(), strict=True):
        torch.testing.assert_close(mine.detach(), its)


def test_an_augmentation_that_changes_nothing_gives_the_vanilla_detector():
    vanilla = AE(features=4, hidden=8, epochs=3, batch=16).fit(NORMALS, policy=None, seed=0).state_dict()
    found = SMALL.fit(NORMALS, policy=Unchanged(), seed=0).state_dict()
    assert all(torch.equal(found[name], vanilla[name]) for name in vanilla)


def test_outliers_are_taught_to_become_normal_images():
    outliers = 255 - NORMALS[:5]
    found = replace(SMALL, epochs=20, rate=1e-2).fit(NORMALS, policy=Exposure(images=outliers), seed=0)
    with torch.no_grad():
        given, back = as_unit(outliers), found.reconstruct(as_unit(outliers))
        assert (back - as_unit(NORMALS).mean(0)).abs().mean() < 0.5 * (back - given).abs().mean()


def test_the_last_epoch_is_what_fit_returns(scorer):
    last, state = fresh(SMALL, 0), scorer.state_dict()
    *_, loss = training_epochs(SMALL, last, NORMALS, policy=POLICY, seed=0)
    assert all(torch.equal(value, state[name]) for name, value in last.state_dict().items())
    lines = []
    SMALL.fit(NORMALS, policy=POLICY, seed=0, log=lambda epoch, loss: lines.append((epoch, loss)))
    assert [epoch for epoch, _ in lines] == [0, 1, 2, 3]
    assert lines[-1][1] == loss < lines[0][1]


def test_score_map_and_embedding_are_their_definitions(scorer):
    images = planted_images()[0][:6]
    with torch.no_grad():
        embeddings, _ = scorer.network(images)
        residual = (images - scorer.reconstruct(images)).square()
        assert torch.equal(scorer.embed(images), embeddings)
        torch.testing.assert_close(scorer(images), residual.flatten(1).mean(1))
        torch.testing.assert_close(scorer.map(images), residual.mean(1))
    assert embeddings.shape == (6, 8)


def test_a_scorer_is_ready_to_use(scorer):
    assert not scorer.training
    assert not any(p.requires_grad for p in scorer.parameters())


@pytest.mark.parametrize("n", [2, 3, 5, 17])
def test_a_lone_last_image_is_trained_on_with_the_batch_before_it(n):
    found = replace(SMALL, batch=2).fit(NORMALS[:n], policy=POLICY, seed=0)
    with torch.no_grad():
        assert found(as_unit(NORMALS)).isfinite().all()


@pytest.mark.parametrize("net", ["conv", "dense", "linear"])
def test_colour_and_odd_sizes_fit(net):
    images = (torch.rand(20, 3, 21, 17, generator=stream(0, "colour")) * 255).to(torch.uint8)
    found = replace(SMALL, net=net).fit(images, policy=POLICY, seed=0)
    with torch.no_grad():
        assert found(as_unit(images)).shape == (20,)
        assert found.map(as_unit(images)).shape == (20, 21, 17)


# --- what must be refused -----------------------------------------------------------------------------------------


def test_a_single_image_is_refused():
    with pytest.raises(InputError, match="at least 2 normal images: got 1"):
        SMALL.fit(NORMALS[:1], policy=POLICY, seed=0)


def test_a_diverging_training_is_named():
    with pytest.raises(CollapseError, match=r"diverged at step \d+.*Lower the learning rate"):
        replace(SMALL, rate=1e30).fit(NORMALS, policy=POLICY, seed=0)


def test_reconstruct_refuses_images_of_another_shape(scorer):
    with pytest.raises(InputError, match=r"\(1, 18, 20\)"):
        scorer.reconstruct(torch.zeros(2, 1, 18, 20))


@pytest.mark.parametrize("recipe", [AE, DAE])
@pytest.mark.parametrize(
    "setting", [{"net": "deep"}, {"features": 0}, {"hidden": 0}, {"epochs": 0}, {"batch": 1}, {"rate": 0.0}]
)
def test_impossible_settings_are_refused(recipe, setting):
    name, value = next(iter(setting.items()))
    with pytest.raises(SettingError, match=f"{recipe.__name__}: {name} = {value!r} is impossible"):
        recipe(**setting)
