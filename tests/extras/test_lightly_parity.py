"""Losses, heads, teachers and targets are those of lightly, up to the constants that are written here.

lightly is an oracle alone: nothing of Feint imports it.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from feint.core.streams import stream
from feint.networks.masked_autoencoder import MaskedAutoencoder
from feint.networks.vit import ViT
from feint.pretraining.barlow_twins import barlow_twins_loss
from feint.pretraining.byol import byol_loss
from feint.pretraining.dino import DINOHead, dino_loss
from feint.pretraining.momentum import follow, momentum
from feint.pretraining.simclr import nt_xent
from feint.pretraining.vicreg import vicreg_loss

pytest.importorskip("lightly")

SHAPES = [(2, 3), (16, 8), (33, 64)]
Loss = Callable[..., Tensor]


def rows(n: int, d: int, *names: str) -> list[Tensor]:
    """Return tensors (n, d) of which row and column differ in mean and spread."""
    return [
        (torch.randn(n, d, generator=stream(0, name, n)) * torch.linspace(0.2, 3, d) + torch.linspace(-1, 1, d))
        for name in names
    ]


def assert_same(ours: Loss, theirs: Loss, inputs: Sequence[Tensor]) -> None:
    """Compare the losses, and their gradients by every input that either has one for."""
    found = []
    for loss in (ours, theirs):
        wanting = [each.clone().requires_grad_() for each in inputs]
        value = loss(*wanting)
        gradients = torch.autograd.grad(value, wanting, materialize_grads=True, allow_unused=True)
        found.append((value, *gradients))
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_nt_xent(shape, temperature):
    from lightly.loss import NTXentLoss

    theirs = NTXentLoss(temperature=temperature)
    assert_same(lambda za, zb: nt_xent(za, zb, temperature), theirs, rows(*shape, "za", "zb"))


@pytest.mark.parametrize("shape", SHAPES)
def test_byol_is_twice_theirs_and_two(shape):
    from lightly.loss import NegativeCosineSimilarity

    distance = NegativeCosineSimilarity()

    def theirs(pa, zb, pb, za):
        return 2 + 2 * 0.5 * (distance(pa, zb.detach()) + distance(pb, za.detach()))

    assert_same(byol_loss, theirs, rows(*shape, "pa", "zb", "pb", "za"))


@pytest.mark.parametrize(("redundancy", "scale"), [(5e-3, 1.0), (0.3, 0.1)])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_barlow_twins_is_theirs_times_the_scale(shape, redundancy, scale):
    from lightly.loss import BarlowTwinsLoss

    loss = BarlowTwinsLoss(lambda_param=redundancy)
    assert_same(
        lambda za, zb: barlow_twins_loss(za, zb, redundancy=redundancy, scale=scale),
        lambda za, zb: scale * loss(za, zb),
        rows(*shape, "za", "zb"),
    )


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("shape", SHAPES)
def test_vicreg(shape, weights):
    from lightly.loss import VICRegLoss

    similarity, variance, covariance = weights
    theirs = VICRegLoss(lambda_param=similarity, mu_param=variance, nu_param=covariance, eps=1e-4)

    def ours(za, zb):
        return vicreg_loss(za, zb, similarity=similarity, variance=variance, covariance=covariance, eps=1e-4)

    assert_same(ours, theirs, rows(*shape, "za", "zb"))


@pytest.mark.parametrize("views", [2, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_dino(shape, views):
    from lightly.loss import DINOLoss

    theirs = DINOLoss(shape[1], teacher_temp=0.07, student_temp=0.1)
    (centre,) = rows(1, shape[1], "centre")
    theirs.center.copy_(centre[None])

    def ours(ta, tb, *students):
        return dino_loss(students, [ta, tb], centre[0], student_temperature=0.1, teacher_temperature=0.07)

    inputs = [0.1 * each for each in rows(*shape, "ta", "tb", *(f"s{i}" for i in range(views)))]
    assert_same(ours, lambda ta, tb, *students: theirs([ta.detach(), tb.detach()], list(students)), inputs)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
@pytest.mark.parametrize("norm", [False, True])
def test_the_head_of_dino(norm):
    from lightly.models.modules import DINOProjectionHead

    sizes = {"hidden": 12, "bottleneck": 6, "prototypes": 10}
    ours = DINOHead(8, norm=norm, **sizes)
    theirs = DINOProjectionHead(8, 12, 6, 10, batch_norm=norm)
    linear = [each for each in theirs.layers if isinstance(each, nn.Linear)]
    with torch.no_grad():
        for layer, other in zip((*ours.layers, ours.bottleneck), linear, strict=True):
            layer.weight.normal_(generator=stream(0, "weights", layer.in_features))
            other.weight.copy_(layer.weight)
        theirs.last_layer.weight_v.copy_(ours.prototypes.weight)
    (h,) = rows(16, 8, "h")
    assert [each.bias is None for each in (*ours.layers, ours.bottleneck)] == [each.bias is None for each in linear]
    for head in (ours, theirs):
        torch.autograd.backward(head(h).square().sum())
    torch.testing.assert_close(ours(h), theirs(h), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.prototypes.weight.grad, theirs.last_layer.weight_v.grad, rtol=1e-4, atol=1e-5)
    for layer, other in zip((*ours.layers, ours.bottleneck), linear, strict=True):
        torch.testing.assert_close(layer.weight.grad, other.weight.grad, rtol=1e-4, atol=1e-5)


def test_the_teacher_follows_along_the_same_cosine():
    from lightly.models.utils import update_momentum
    from lightly.utils.scheduler import cosine_schedule

    student, ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    steps = 8
    for step in range(steps):
        tau = cosine_schedule(step, steps, 0.9, 1.0)
        assert momentum(0.9, step / (steps - 1)) == pytest.approx(tau, abs=1e-12)
        update_momentum(student, theirs, tau)
        follow(ours, student, tau)
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_the_targets_of_mae():
    from lightly.models.utils import normalize_mean_var, patchify

    images = torch.rand(3, 2, 8, 8, generator=stream(0, "images"))
    encoder = ViT(2, patch=4, width=16, depth=1, heads=2)
    autoencoder = MaskedAutoencoder(encoder, decoder_width=16, decoder_depth=1, share=0.5, norm_eps=1e-3)
    torch.testing.assert_close(autoencoder.targets(images), normalize_mean_var(patchify(images, 4), eps=1e-3))
