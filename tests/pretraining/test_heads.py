import os
from datetime import timedelta

import pytest
import torch
from torch import distributed, nn

from feint.core.distributed import average_gradients, mine
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.networks.batch_norm import GlobalBatchNorm
from feint.pretraining.barlow_twins import BarlowTwins
from feint.pretraining.byol import BYOL
from feint.pretraining.heads import drawn, mlp, over_the_batch, widths
from feint.pretraining.simclr import SimCLR
from feint.pretraining.vicreg import VICReg

METHODS = (SimCLR, BYOL, BarlowTwins, VICReg)
PROCESSES = 2


class OfWidth(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width


@pytest.mark.parametrize(
    ("width", "chosen", "wanted"),
    [
        (64, (None, None), (64, 256, 32)),
        (127, (None, None), (127, 256, 32)),
        (128, (None, None), (128, 2048, 512)),
        (512, (None, None), (512, 2048, 512)),
        (512, (10, None), (512, 10, 512)),
        (64, (None, 20), (64, 256, 20)),
        (64, (10, 20), (64, 10, 20)),
    ],
)
def test_widths_follow_from_the_encoder_unless_chosen(width, chosen, wanted):
    assert widths(OfWidth(width), small=(256, 32), large=(2048, 512), chosen=chosen) == wanted


def test_the_layers_of_a_head():
    normed = [type(layer) for layer in mlp((3, 4, 5, 6))]
    plain = mlp((3, 4, 5), norm=False, bias=False)
    block = [nn.Linear, GlobalBatchNorm, nn.ReLU]
    assert normed == [*block, *block, nn.Linear]
    assert [type(layer) for layer in plain] == [nn.Linear, nn.ReLU, nn.Linear]
    assert plain[0].bias is not None
    assert plain[-1].bias is None


def test_heads_are_drawn_under_the_seed_and_leave_the_global_generator():
    before = torch.get_rng_state()
    made = []
    for seed in (0, 0, 1):
        with drawn(seed):
            made.append(mlp((3, 4, 5))[0].weight)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_losses_are_computed_in_single_precision_under_autocast():
    z = torch.randn(4, 3, generator=stream(0, "half")).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        product = over_the_batch(lambda a, b: a @ b.T, z, z)
    assert torch.equal(product, z.float() @ z.float().T)


@pytest.mark.parametrize("recipe", METHODS)
def test_the_optional_widths_are_taken(recipe):
    learner = recipe(hidden=10, out=6).learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)
    assert learner.project(torch.zeros(4, 1, 8, 8)).shape == (4, 6)
    assert learner.projector[0].out_features == 10


@pytest.mark.parametrize("recipe", METHODS)
@pytest.mark.parametrize("half", [False, True])
def test_transformers_are_taken_in_either_precision(recipe, half):
    learner = recipe().learner(build("vit_micro", channels=1, size=(8, 8), seed=0), seed=0)
    views = [torch.rand(4, 1, 8, 8, generator=stream(0, "view", i)) for i in range(2)]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = learner.loss(views, generator=stream(0), progress=0.0)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in learner.trained())


def step(recipe, share):
    """Return loss, gradients and buffers of one step on this process's share of the batch."""
    learner = recipe(hidden=12, out=8).learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)
    views = [share(torch.rand(8, 1, 8, 8, generator=stream(0, "view", i))) for i in range(2)]
    loss = learner.loss(views, generator=stream(0), progress=0.0)
    loss.backward()
    average_gradients(learner.trained())
    return float(loss.detach()), [weight.grad for weight in learner.trained()], dict(learner.named_buffers())


def in_one_of_two(rank, folder):
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", timedelta(seconds=60), world_size=PROCESSES, rank=rank
    )
    torch.save([step(recipe, mine) for recipe in METHODS], folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    torch.multiprocessing.spawn(in_one_of_two, (folder,), nprocs=PROCESSES)
    return [dict(zip(METHODS, torch.load(folder / f"{rank}.pt"), strict=True)) for rank in range(PROCESSES)]


@pytest.mark.parametrize("recipe", METHODS)
def test_two_processes_take_the_step_of_one(of_two, recipe):
    loss, gradients, buffers = step(recipe, lambda views: views)
    for each in of_two:
        found, shared, seen = each[recipe]
        assert found == pytest.approx(loss, rel=1e-5)
        largest = max(float(gradient.abs().max()) for gradient in gradients)
        for gradient, wanted in zip(shared, gradients, strict=True):
            assert torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-5 * largest)
        for name, buffer in buffers.items():
            assert torch.allclose(seen[name].float(), buffer.float(), rtol=1e-4, atol=1e-6), name
