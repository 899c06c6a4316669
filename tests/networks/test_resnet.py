from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from feint.networks.resnet import ResNet8, ResNet18

BATCH_NORM = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
BLOCK = ["conv1.weight", *(f"bn1.{x}" for x in BATCH_NORM), "conv2.weight", *(f"bn2.{x}" for x in BATCH_NORM)]
DOWNSAMPLE = ["downsample.0.weight", *(f"downsample.1.{x}" for x in BATCH_NORM)]
# torchvision 0.28, list(torchvision.models.resnet18().state_dict()), written out.
TORCHVISION = [
    "conv1.weight",
    *(f"bn1.{x}" for x in BATCH_NORM),
    *(f"layer1.0.{x}" for x in BLOCK),
    *(f"layer1.1.{x}" for x in BLOCK),
    *(f"layer2.0.{x}" for x in BLOCK + DOWNSAMPLE),
    *(f"layer2.1.{x}" for x in BLOCK),
    *(f"layer3.0.{x}" for x in BLOCK + DOWNSAMPLE),
    *(f"layer3.1.{x}" for x in BLOCK),
    *(f"layer4.0.{x}" for x in BLOCK + DOWNSAMPLE),
    *(f"layer4.1.{x}" for x in BLOCK),
    "fc.weight",
    "fc.bias",
]


def images(n: int = 3, channels: int = 3, side: int = 32) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("norm", ["batch", "global"])
def test_names_are_torchvisions_without_the_classifier(norm):
    assert len(TORCHVISION) == 122
    assert list(ResNet18(3, norm=norm, width=4).state_dict()) == [x for x in TORCHVISION if not x.startswith("fc.")]


def test_group_norm_has_the_same_names_and_no_statistics():
    kept = [x for x in TORCHVISION if not x.startswith("fc.") and not x.endswith(("mean", "var", "tracked"))]
    assert list(ResNet18(3, width=4).state_dict()) == kept


def test_trunk_has_the_parameters_of_resnet18():
    for norm in ("batch", "group", "global"):
        assert sum(p.numel() for p in ResNet18(3, norm=norm).parameters()) == 11_176_512


@pytest.mark.parametrize(("stem", "side", "sides"), [("imagenet", 64, [16, 8, 4, 2]), ("small", 28, [28, 14, 7, 4])])
def test_maps_have_four_stages_and_their_last_mean_embeds(stem, side, sides):
    network = ResNet18(1, stem=stem, width=8)
    x = images(channels=1, side=side)
    maps = network.maps(x)
    assert [tuple(m.shape) for m in maps] == [(3, 8 * 2**i, s, s) for i, s in enumerate(sides)]
    assert network.embedding_size == 64
    torch.testing.assert_close(network(x), F.adaptive_avg_pool2d(maps[-1], 1).flatten(1))


def independent(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """ResNet-18 with the ImageNet stem and frozen batch normalisation, in plain functions."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{k}"][:, None, None] for k in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x = F.max_pool2d(norm(F.conv2d(x, state["conv1.weight"], None, 2, 3), "bn1").relu(), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = norm(F.conv2d(x, state[f"{name}.conv1.weight"], None, stride, 1), f"{name}.bn1").relu()
            y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], None, 1, 1), f"{name}.bn2")
            if stride == 2:
                x = norm(F.conv2d(x, state[f"{name}.downsample.0.weight"], None, 2), f"{name}.downsample.1")
            x = (x + y).relu()
    return x.mean((2, 3))


@pytest.mark.parametrize("norm", ["batch", "global"])
def test_batch_norm_network_equals_an_independent_one(norm):
    network = ResNet18(3, norm=norm, width=8).train(norm == "batch")
    generator = torch.Generator().manual_seed(2)
    for name, value in network.state_dict().items():
        if name.endswith(("running_var", "bn1.weight", "bn2.weight", "downsample.1.weight")):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(generator=generator)
    torch.testing.assert_close(network(images()), independent(network.state_dict(), images()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_embedding_does_not_depend_on_the_batch_even_in_training_mode(norm):
    network = ResNet18(3, norm=norm, width=8).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    together = network(images())
    alone = torch.cat([network(image[None]) for image in images()])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_grey_images_are_scaled_by_the_average_statistics():
    network = ResNet18(1, width=4)
    assert network.mean.flatten().tolist() == pytest.approx([0.449], abs=1e-6)
    assert network.std.flatten().tolist() == pytest.approx([0.226], abs=1e-6)
    assert "mean" not in network.state_dict()


@pytest.mark.parametrize("stem", ["imagenet", "small"])
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_gradient_through_its_own_update_equals_finite_differences(stem, norm):
    """The hypergradient's computation: v changes the images, w takes a step on them, the loss is taken after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResNet18(1, stem=stem, norm=norm, width=2).double()
    weights = {name: value.detach().requires_grad_() for name, value in network.named_parameters()}
    x, target = images(2, 1, 20).double(), images(2, 1, 4).double().flatten(1)

    def after_step(v: Tensor) -> Tensor:
        shifted = (x + v[0] * x.flip(-1) + v[1] * x**2).clamp(-9, 9)
        lower = (functional_call(network, weights, (shifted,)) - target).square().mean()
        slopes = torch.autograd.grad(lower, list(weights.values()), create_graph=True)
        moved = {name: w - 0.05 * g for (name, w), g in zip(weights.items(), slopes, strict=True)}
        return (functional_call(network, moved, (x,)) - target).square().mean()

    v = torch.tensor([0.1, -0.2], dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(after_step(v), v)
    steps = torch.eye(2, dtype=torch.float64) * 1e-6
    differences = torch.stack([(after_step(v + s) - after_step(v - s)).detach() / 2e-6 for s in steps])
    assert exact.abs().min() > 1e-4
    torch.testing.assert_close(exact, differences, rtol=1e-5, atol=1e-7)


def test_widths_double_from_stage_to_stage():
    found = [m.shape[1] for m in ResNet18(3, width=16).maps(images(1))]
    assert all(after == 2 * before for before, after in pairwise(found))


def test_resnet8_has_three_stages_of_one_block_in_every_memory_format():
    network = ResNet8(1)
    x = images(channels=1)
    maps = network.eval().maps(x)
    assert [tuple(m.shape) for m in maps] == [(3, 16, 32, 32), (3, 32, 16, 16), (3, 64, 8, 8)]
    assert network.width == network.embedding_size == 64
    torch.testing.assert_close(network(x), F.adaptive_avg_pool2d(maps[-1], 1).flatten(1))
    assert torch.equal(network.embed(x), network(x))
    torch.testing.assert_close(network(x.contiguous(memory_format=torch.channels_last)), network(x))
    convolutions = 9 * (16 + 2 * 16**2 + 16 * 32 + 32**2 + 32 * 64 + 64**2) + 16 * 32 + 32 * 64
    norms = 2 * (16 + 2 * 16 + 3 * 32 + 3 * 64)
    assert sum(p.numel() for p in network.parameters()) == convolutions + norms


@pytest.mark.parametrize("network", [ResNet8, ResNet18])
def test_global_normalisation_is_trained_and_learns_its_statistics(network):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trained = network(1, stem="small", norm="global", width=4)
    x = images(16, channels=1, side=16)
    together = trained(x)
    assert not torch.allclose(trained(x[:2]), together[:2], atol=1e-2), "the batch does not matter"
    for _ in range(100):
        trained(x)
    torch.testing.assert_close(trained.eval()(x), together, rtol=0.05, atol=0.05)
    assert all(p.requires_grad for p in trained.parameters())
