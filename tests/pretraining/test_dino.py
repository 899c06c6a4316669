"""DINO: its loss, its teacher and centre, and the same training in one process and in two."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import distributed

from feint.core.distributed import average_gradients, mine
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.pretraining.dino import DINO, DINOHead, dino_loss

SMALL = DINO(prototypes=12, hidden=10, bottleneck=6)
TEMPERATURES = {"student_temperature": 0.1, "teacher_temperature": 0.04}


def random(*shape, name="x", dtype=torch.float64):
    return torch.randn(*shape, generator=stream(0, name), dtype=dtype)


def two_views(n=6, size=8):
    return [torch.rand(n, 1, size, size, generator=stream(0, "view", i)) for i in range(2)]


def learner_on(encoder="resnet8", *, recipe=SMALL, seed=0):
    return recipe.learner(build(encoder, channels=1, size=(8, 8), seed=seed), seed=seed)


def step(learner, views, *, progress=0.0, rate=0.1):
    """Take one step of plain gradient descent; return its loss."""
    learner.zero_grad()
    loss = learner.loss(views, generator=stream(0, "loss"), progress=progress)
    torch.autograd.backward(loss)
    average_gradients(learner.trained())
    with torch.no_grad():
        for weight in learner.trained():
            if weight.grad is not None:
                weight.sub_(rate * weight.grad)
    learner.after_step(progress)
    return loss.detach()


def weights_of(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


# --- the loss -----------------------------------------------------------------------------------------------------


def by_hand(students, teachers, centre, Ts, Tt):
    """Follow the formula number by number."""
    pairs = []
    for i, t in enumerate(teachers):
        for j, s in enumerate(students):
            if i == j:
                continue
            total = 0.0
            for t_n, s_n in zip(t.tolist(), s.tolist(), strict=True):
                a = [math.exp((value - c) / Tt) for value, c in zip(t_n, centre.tolist(), strict=True)]
                b = [math.exp(value / Ts) for value in s_n]
                total -= sum(x / sum(a) * math.log(y / sum(b)) for x, y in zip(a, b, strict=True))
            pairs.append(total / len(t))
    return sum(pairs) / len(pairs)


@pytest.mark.parametrize("views", [2, 4])
def test_the_loss_is_the_mean_over_pairs_of_different_views(views):
    students = [random(5, 7, name=f"s{i}") for i in range(views)]
    teachers = [random(5, 7, name=f"t{i}") for i in range(2)]
    centre = random(7, name="c")
    found = dino_loss(students, teachers, centre, student_temperature=0.5, teacher_temperature=0.3)
    assert found.item() == pytest.approx(by_hand(students, teachers, centre, 0.5, 0.3), abs=1e-12)


def test_the_loss_is_that_of_lightly():
    def wave(n, phase):
        return torch.sin(1.7 * torch.arange(7 * n, dtype=torch.float64) + phase).reshape(n, 7)

    students, teachers, centre = [wave(5, 3), wave(5, 4)], [wave(5, 1), wave(5, 2)], wave(1, 5)[0] / 10
    lightly_1_6 = 11.82463531
    assert dino_loss(students, teachers, centre, **TEMPERATURES).item() == pytest.approx(lightly_1_6, rel=1e-6)


def test_a_student_that_tells_nothing_apart_has_a_loss_of_ln_k():
    same, teachers = torch.full((5, 7), 3.0), [random(5, 7, name=f"t{i}") for i in range(2)]
    assert dino_loss([same, same], teachers, random(7), **TEMPERATURES).item() == pytest.approx(math.log(7), abs=1e-6)
    learner = learner_on()
    torch.nn.init.zeros_(learner.head.bottleneck.weight)
    assert learner.floor(99) == math.log(12)
    assert step(learner, two_views(), rate=0).item() == pytest.approx(learner.floor(6), abs=1e-6)


def test_a_student_that_agrees_with_a_sharp_teacher_has_no_loss():
    sure = 10 * torch.eye(4)
    assert dino_loss([sure, sure], [sure, sure], torch.zeros(4), **TEMPERATURES).item() < 1e-6


def test_the_gradient_is_the_derivative_by_the_student_alone():
    students = [random(3, 4, name=f"s{i}").requires_grad_() for i in range(2)]
    teachers = [random(3, 4, name=f"t{i}").requires_grad_() for i in range(2)]
    centre = random(4, name="c")

    def loss(*students):
        return dino_loss(students, teachers, centre, student_temperature=0.5, teacher_temperature=0.3)

    assert torch.autograd.gradcheck(loss, students)
    torch.autograd.backward(loss(*students))
    assert all(each.grad is None for each in teachers)


# --- the head -----------------------------------------------------------------------------------------------------


def test_logits_are_cosines_to_the_prototypes_whatever_their_length():
    head = DINOHead(5, hidden=8, bottleneck=4, prototypes=6, norm=False)
    h = random(9, 5, dtype=torch.float32)
    logits = head(h)
    z = head.bottleneck(torch.nn.functional.gelu(head.layers[1](torch.nn.functional.gelu(head.layers[0](h)))))
    wanted = torch.cosine_similarity(z[:, None], head.prototypes.weight[None], dim=2)
    assert torch.allclose(logits, wanted, atol=1e-6)
    with torch.no_grad():
        head.prototypes.weight *= torch.linspace(0.5, 2, 6)[:, None]
    assert torch.allclose(head(h), logits, atol=1e-6)


@pytest.mark.parametrize(("encoder", "norms"), [("resnet8", 2), ("vit_micro", 0)])
def test_heads_have_batch_normalisation_where_the_encoder_has(encoder, norms):
    learner = learner_on(encoder)
    assert sum("running_mean" in name for name in learner.head.state_dict()) == norms
    assert math.isfinite(step(learner, two_views()).item())


@pytest.mark.parametrize(("encoder", "sizes"), [("resnet8", (128, 64, 256)), ("resnet18", (2048, 256, 4096))])
def test_narrow_encoders_get_narrow_heads(encoder, sizes):
    head = learner_on(encoder, recipe=DINO()).head
    found = (head.bottleneck.in_features, head.bottleneck.out_features, head.prototypes.out_features)
    assert found == sizes


def test_heads_are_drawn_under_the_seed_and_nothing_else_is():
    before = torch.get_rng_state()
    first, same, other = (learner_on(seed=seed).head.state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["prototypes.weight"], other["prototypes.weight"])


# --- teacher and centre -------------------------------------------------------------------------------------------


def test_no_gradient_reaches_the_teacher():
    learner = learner_on()
    step(learner, two_views())
    assert all(weight.grad is None and not weight.requires_grad for weight in learner.teacher.parameters())
    assert len(list(learner.trained())) == len(list(learner.teacher.parameters()))
    assert all(weight.grad is not None for weight in learner.trained())


def test_the_teacher_starts_as_the_student_and_follows_its_weights_but_not_its_statistics():
    learner = learner_on()
    start = weights_of(learner.teacher)
    own = dict(learner.encoder.named_parameters(prefix="0")) | dict(learner.head.named_parameters(prefix="1"))
    assert own.keys() == start.keys()
    assert all(torch.equal(own[name], start[name]) for name in own)
    with torch.no_grad():
        for name, buffer in learner.encoder.named_buffers():
            if "running" in name:
                buffer.fill_(7.0)
    step(learner, two_views(), progress=0.5)
    tau = 1 - (1 - 0.996) * 0.5
    for name, weight in learner.teacher.named_parameters():
        assert torch.allclose(weight, tau * start[name] + (1 - tau) * own[name], atol=1e-6)
    moved = [name for name, buffer in learner.teacher.named_buffers() if "running" in name and bool((buffer > 6).any())]
    assert moved == []


def test_the_teacher_stands_still_at_the_end():
    learner = learner_on()
    step(learner, two_views())
    before = weights_of(learner.teacher)
    step(learner, two_views(), progress=1.0)
    assert all(torch.equal(before[name], weight) for name, weight in learner.teacher.named_parameters())


def test_the_centre_follows_the_mean_of_what_the_teacher_says():
    learner, views = learner_on(), two_views()
    wanted = torch.zeros(12)
    for _ in range(3):
        with torch.no_grad():
            said = learner.teacher(torch.cat(views))
        step(learner, views)
        wanted = 0.9 * wanted + 0.1 * said.mean(0)
    assert torch.allclose(learner.centre, wanted, atol=1e-6)
    assert learner.centre.abs().max() > 1e-3


def test_a_loaded_learner_goes_on_as_the_saved_one_does(tmp_path):
    learner, views = learner_on(), two_views()
    for _ in range(2):
        step(learner, views)
    save_file(learner.state_dict(), tmp_path / "learner.safetensors")
    other = learner_on(seed=1)
    other.load_state_dict(load_file(tmp_path / "learner.safetensors"))
    assert torch.equal(other.centre, learner.centre)
    assert torch.equal(step(other, views), step(learner, views))
    assert all(torch.equal(value, learner.state_dict()[name]) for name, value in other.state_dict().items())


def test_prototypes_can_be_frozen_for_a_share_of_the_training():
    learner = learner_on(recipe=DINO(prototypes=12, hidden=10, bottleneck=6, frozen=0.5))
    start = learner.head.prototypes.weight.detach().clone()
    step(learner, two_views(), progress=0.4)
    assert learner.head.prototypes.weight.grad is None
    assert torch.equal(learner.head.prototypes.weight, start)
    step(learner, two_views(), progress=0.5)
    assert not torch.equal(learner.head.prototypes.weight, start)


def test_the_temperature_of_the_teacher_reaches_the_loss():
    cold, warm = (learner_on(recipe=DINO(prototypes=12, teacher_temperature=T)) for T in (0.04, 1.0))
    views = two_views()
    losses = [step(each, views, progress=0.0, rate=0).item() for each in (cold, warm)]
    at_the_end = [step(each, views, progress=0.3, rate=0).item() for each in (cold, warm)]
    assert losses[0] != losses[1]
    assert at_the_end[0] != losses[1]


def test_training_on_separable_images_lowers_the_loss_below_its_floor():
    chance = stream(0, "images")
    images = torch.rand(16, 1, 1, 1, generator=chance).expand(-1, 1, 8, 8)
    learner = learner_on(recipe=DINO(prototypes=12, hidden=16, bottleneck=8))
    losses = []
    for i in range(60):
        views = [(images + 0.05 * torch.randn(images.shape, generator=chance)).clamp(0, 1) for _ in range(2)]
        losses.append(step(learner, views, progress=i / 60).item())
    assert sum(losses[-5:]) / 5 < min(losses[0], 0.9 * learner.floor(16))
    assert learner.project(images).std(0).max() > 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        {"prototypes": 1},
        {"hidden": 0},
        {"bottleneck": 0},
        {"momentum": 1.1},
        {"centre_momentum": -0.1},
        {"student_temperature": 0.0},
        {"teacher_temperature": 0.0},
        {"last_teacher_temperature": math.nan},
        {"warm_up": 2.0},
        {"frozen": -1.0},
    ],
)
def test_impossible_settings_are_named(wrong):
    with pytest.raises(SettingError, match=f"DINO: {next(iter(wrong))} = .* is impossible"):
        DINO(**wrong)


# --- several processes --------------------------------------------------------------------------------------------


def two_steps():
    """Return loss and gradients of the first of two steps on this process's share, and the state after both."""
    learner, views = learner_on(), [mine(view) for view in two_views()]
    found = {"loss": step(learner, views)}
    found |= {
        f"gradient.{name}": weight.grad.clone() for name, weight in learner.named_parameters() if weight.requires_grad
    }
    step(learner, views)
    return found | learner.state_dict()


def one_of_two(number, folder):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=number, world_size=2)
    save_file(two_steps(), folder / f"{number}.safetensors")
    distributed.destroy_process_group()


def test_two_processes_take_the_steps_of_one(tmp_path):
    command = [sys.executable, __file__]
    started = [
        subprocess.Popen([*command, str(i), str(tmp_path)], env=os.environ | {"OMP_NUM_THREADS": "1"}) for i in range(2)
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    first, second = (load_file(tmp_path / f"{i}.safetensors") for i in range(2))
    alone = two_steps()
    assert torch.allclose((first.pop("loss") + second.pop("loss")) / 2, alone.pop("loss"), atol=1e-5)
    assert alone["centre"].abs().max() > 1e-3
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        assert (first[name] - value).abs().max() <= 1e-3 * value.abs().max() + 1e-5, name


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
