"""MAE: its loss, what it hides, and what it learns."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.pretraining.mae import MAE, mae_loss

SMALL = MAE(decoder_width=16)
PATCHES = 16


def images_of(n=5, size=16, name="images"):
    return torch.rand(n, 1, size, size, generator=stream(0, name))


def learner_on(encoder="vit_micro/4", *, recipe=SMALL, seed=0):
    return recipe.learner(build(encoder, channels=1, size=(16, 16), seed=seed), seed=seed)


def loss_of(learner, images, *, step=0):
    return learner.loss([images], generator=stream(0, "loss", step), progress=0.0)


# --- the loss -----------------------------------------------------------------------------------------------------


def test_the_loss_is_the_mean_square_over_masked_patches():
    prediction, targets = (torch.randn(3, 4, 5, generator=stream(0, name)) for name in ("y", "x"))
    masked = torch.tensor([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]], dtype=torch.bool)
    found = [
        (prediction[i, j, k] - targets[i, j, k]).item() ** 2
        for i, j in masked.nonzero().tolist()
        for k in range(prediction.shape[2])
    ]
    assert mae_loss(prediction, targets, masked).item() == pytest.approx(sum(found) / len(found), abs=1e-6)
    visible = (~masked)[:, :, None]
    assert torch.equal(mae_loss(prediction, targets + 100 * visible, masked), mae_loss(prediction, targets, masked))
    assert mae_loss(prediction, targets + 0.1, masked) != mae_loss(prediction, targets, masked)


def masked_by_hand(images, noise, *, share, patch):
    """Return normalised patches and which are hidden, in numpy, patch by patch."""
    targets, hidden = [], []
    for image, row in zip(images.double().numpy(), noise.numpy(), strict=True):
        patches = [
            image[:, y : y + patch, x : x + patch].transpose(1, 2, 0).ravel()
            for y in range(0, image.shape[1], patch)
            for x in range(0, image.shape[2], patch)
        ]
        targets.append([(p - p.mean()) / np.sqrt(p.var(ddof=1) + 1e-3) for p in patches])
        seen = sorted(range(len(row)), key=lambda i, row=row: row[i])[: int(len(row) * (1 - share))]
        hidden.append([i not in seen for i in range(len(row))])
    return np.array(targets), np.array(hidden)


@pytest.mark.parametrize("share", [0.75, 0.5])
def test_the_learner_hides_what_its_generator_says_and_is_judged_there_alone(share):
    learner, images = learner_on(recipe=MAE(decoder_width=16, share=share)), images_of()
    noise = torch.rand(5, PATCHES, generator=stream(0, "loss", 0))
    targets, hidden = masked_by_hand(images, noise, share=share, patch=4)
    with torch.no_grad():
        prediction = learner.autoencoder(images, noise)[0].double().numpy()
    wanted = ((prediction - targets) ** 2)[hidden].mean()
    assert hidden.sum(1).tolist() == [round(share * PATCHES)] * 5
    assert loss_of(learner, images).item() == pytest.approx(wanted, rel=1e-5)


def test_the_loss_follows_its_generator_and_no_other():
    learner, images = learner_on(), images_of()
    before = torch.get_rng_state()
    assert torch.equal(loss_of(learner, images), loss_of(learner, images))
    assert not torch.equal(loss_of(learner, images), loss_of(learner, images, step=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_black_borders_do_not_explode():
    images = images_of()
    images[:, :, :8] = 0.002 * torch.rand(5, 1, 8, 16, generator=stream(0, "sensor noise"))
    flat = learner_on().autoencoder.targets(images)[:, : PATCHES // 2]
    blown_up = learner_on(recipe=MAE(norm_eps=1e-8)).autoencoder.targets(images)[:, : PATCHES // 2]
    assert flat.std() < 0.03
    assert blown_up.std() > 0.9


# --- the learner --------------------------------------------------------------------------------------------------


def test_it_has_one_view_no_floor_and_no_projector():
    learner, images = learner_on(), images_of()
    assert learner.views == 1
    assert learner.floor(64) is None
    assert torch.equal(learner.project(images), learner.encoder.embed(images))


def test_every_weight_is_trained():
    learner = learner_on()
    torch.autograd.backward(loss_of(learner, images_of()))
    still = [name for name, weight in learner.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []
    assert len(list(learner.trained())) == len(list(learner.parameters()))


def test_the_state_is_whole_and_holds_no_weight_twice(tmp_path):
    learner, images = learner_on(), images_of()
    save_file(learner.state_dict(), tmp_path / "learner.safetensors")
    other = learner_on(seed=1)
    other.load_state_dict(load_file(tmp_path / "learner.safetensors"))
    assert torch.equal(loss_of(other, images), loss_of(learner, images))
    assert all(torch.equal(a, b) for a, b in zip(other.encoder.parameters(), learner.encoder.parameters(), strict=True))


def test_the_decoder_is_drawn_under_the_seed_and_nothing_else_is():
    encoder = build("vit_micro/4", channels=1, size=(16, 16), seed=0)
    start, before = [weight.clone() for weight in encoder.parameters()], torch.get_rng_state()
    first, same, other = (SMALL.learner(encoder, seed=seed).autoencoder.pixels.weight for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), start, strict=True))


@pytest.mark.parametrize(("encoder", "width", "depth"), [("vit_micro/4", 64, 1), ("vit_tiny/4", 192, 4)])
def test_small_encoders_get_small_decoders(encoder, width, depth):
    autoencoder = learner_on(encoder, recipe=MAE()).autoencoder
    assert autoencoder.embedded.out_features == width
    assert len(autoencoder.decoder) - 1 == depth


def test_it_learns_what_can_be_told_from_the_rest_of_an_image():
    brighter = torch.tensor([1.0, -1.0]).repeat(8)[:, None, None, None]
    ramps = (0.5 + 0.4 * brighter * torch.arange(16) / 15).expand(-1, 1, 16, 16)
    learner = learner_on()
    blind = learner.autoencoder.targets(ramps).square().mean().item()
    optimiser = torch.optim.AdamW(learner.trained(), lr=2e-3)
    for step in range(40):
        optimiser.zero_grad()
        torch.autograd.backward(loss_of(learner, ramps, step=step))
        optimiser.step()
    assert loss_of(learner, ramps, step=40).item() < 0.4 * blind


def test_it_is_not_applicable_to_an_encoder_without_patches():
    with pytest.raises(SettingError, match="mae is not applicable to ResNet8: .*Take vit_tiny or vit_micro"):
        learner_on("resnet8")


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 0.0},
        {"share": 1.0},
        {"norm_eps": 0.0},
        {"norm_eps": math.nan},
        {"decoder_width": 2},
        {"decoder_depth": 0},
    ],
)
def test_impossible_settings_are_named(wrong):
    with pytest.raises(SettingError, match=f"MAE: {next(iter(wrong))} = .* is impossible"):
        MAE(**wrong)
