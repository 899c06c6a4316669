"""What every self-supervised method promises, on toy images: soft stripes of all directions, with grain.

A method is tried on the smallest encoder of the catalogue that it takes, ResNet-8 or the micro transformer, and trained
for a few steps. Learners are kept between checks, so that a method must be hashable, as frozen dataclasses are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import lru_cache

import torch
from torch import Tensor, nn

from feint.core.pretraining import Learner, Method
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.testing.promises import global_generators_untouched, promise

MethodCheck = Callable[[Method], None]

SIDE = 8
IMAGES = 16
STEPS = 6
RATE = 5e-3
TOLERANCE = 1e-3
NEAR = 0.02


def loss_is_one_finite_number(method: Method) -> None:
    """The loss has shape () and is finite: on toy images, on black and on white ones."""
    learner = _learner(method)
    black = torch.zeros(4, 1, SIDE, SIDE)
    for views in (toy_views(learner.views), [black] * learner.views, [black + 1] * learner.views):
        loss = _loss(learner, views).detach()
        promise(loss.shape == (), f"the loss has shape {tuple(loss.shape)}: want ().")
        promise(bool(loss.isfinite()), f"the loss is {float(loss)}.")


def same_seed_gives_the_same_loss(method: Method) -> None:
    """Two learners of one seed have the same loss bit for bit, whatever the global generators hold."""
    first = _loss(_learner(method)).detach()
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)
        second = _loss(_learner(method)).detach()
    promise(torch.equal(first, second), f"two learners of one seed have losses {float(first)} and {float(second)}.")


def global_generators_stay_untouched(method: Method) -> None:
    """Neither making a learner nor a step of it nor its projections move a global generator."""
    encoder, views = _encoder(method), toy_views(2)
    with global_generators_untouched("making a learner, a step or a projection"):
        learner = method.learner(encoder, seed=0)
        _descend(learner, steps=1)
        learner.project(views[0])


def inputs_stay_untouched(method: Method) -> None:
    """Loss and projections write into none of the views."""
    learner = _learner(method)
    views = toy_views(learner.views)
    _loss(learner, views)
    learner.project(views[0])
    kept = all(torch.equal(a, b) for a, b in zip(views, toy_views(learner.views), strict=True))
    promise(kept, "the loss or the projections wrote into the views.")


def gradient_reaches_all_that_is_trained(method: Method) -> None:
    """Every parameter of `trained()` gets a finite gradient that is not 0 throughout; the encoder's are among them."""
    learner = _learner(method)
    torch.autograd.backward(_loss(learner))
    trained = {id(each) for each in learner.trained()}
    for name, weight in learner.named_parameters():
        if id(weight) in trained:
            promise(weight.grad is not None and bool(weight.grad.any()), f"no gradient reaches {name}.")
            promise(bool(weight.grad is None or weight.grad.isfinite().all()), f"the gradient of {name} is not finite.")
    missing = [name for name, weight in learner.encoder.named_parameters() if id(weight) not in trained]
    promise(not missing, f"of the encoder, {', '.join(missing)} would not be trained.")


def no_gradient_reaches_the_teacher(method: Method) -> None:
    """Parameters that `after_step` changes are not in `trained()`, and get no gradient."""
    learner = _learner(method)
    _descend(learner, steps=1, rate=1e-2, follow=False)
    before = [weight.detach().clone() for weight in learner.parameters()]
    learner.after_step(0.5)
    trained = {id(each) for each in learner.trained()}
    for (name, weight), old in zip(learner.named_parameters(), before, strict=True):
        if not torch.equal(weight, old):
            promise(id(weight) not in trained, f"after_step changes {name}, which gradient descent changes too.")
            promise(weight.grad is None, f"after_step changes {name}, and a gradient reaches it.")


def a_few_steps_lower_the_loss(method: Method) -> None:
    """After a few steps of AdamW on the same views the loss is lower."""
    before, after = _value(_learner(method)), _value(_trained(method))
    promise(after < before, f"{STEPS} steps of AdamW took the loss from {before:.5g} to {after:.5g}.")


def state_dict_is_the_whole_state(method: Method) -> None:
    """A learner of another encoder and seed becomes this one by `load_state_dict`: same loss, same projections."""
    learner, other = _trained(method), method.learner(_encoder(method, seed=1), seed=1).train()
    promise(_value(other) != _value(_learner(method)), "with other weights and another seed, the loss is the same.")
    other.load_state_dict(learner.state_dict())
    promise(_value(other) == _value(learner), "the loss depends on more than the state_dict.")
    images = toy_views(1)[0]
    same = torch.equal(other.eval().project(images), learner.eval().project(images))
    promise(same, "the projections depend on more than the state_dict.")


def projections_tell_images_apart(method: Method) -> None:
    """Projections have shape (n, p), are finite and differ from image to image."""
    images = toy_views(1)[0]
    found = _learner(method).project(images).detach()
    promise(found.ndim == 2 and len(found) == len(images), f"{len(images)} projections have {tuple(found.shape)}.")
    promise(bool(found.isfinite().all()), "projections hold NaN or infinite values.")
    promise(_spread(found) > TOLERANCE * float(found.abs().max()), "different images are projected alike, or nearly.")


def collapse_is_penalised_or_alarmed(method: Method) -> None:
    """An encoder that says the same of every image gives itself away.

    Where there is a `floor`, the loss lies within 2 % of it, once the heads have settled. Where there is none, the loss
    is higher than that of an encoder which was trained, or the projections have no spread.
    """
    learner, sound = _collapsed(method), _trained(method)
    loss, floor, views = _value(learner), learner.floor(IMAGES), toy_views(1)[0]
    if floor is not None:
        near = math.isclose(loss, floor, rel_tol=NEAR)
        promise(near, f"the loss of a collapsed encoder is {loss:.5g}, and floor says {floor:.5g}.")
        return
    wanted, spread, usual = _value(sound), _spread(learner.project(views)), _spread(sound.project(views))
    promise(
        loss > wanted or spread < TOLERANCE * usual,
        f"a collapsed encoder has a loss of {loss:.5g}, a trained one {wanted:.5g}; the spread of their "
        f"projections is {spread:.3g} and {usual:.3g}. Nothing tells the collapse.",
    )


METHOD_CHECKS: tuple[MethodCheck, ...] = (
    loss_is_one_finite_number,
    same_seed_gives_the_same_loss,
    global_generators_stay_untouched,
    inputs_stay_untouched,
    gradient_reaches_all_that_is_trained,
    no_gradient_reaches_the_teacher,
    a_few_steps_lower_the_loss,
    state_dict_is_the_whole_state,
    projections_tell_images_apart,
    collapse_is_penalised_or_alarmed,
)


def toy_views(views: int) -> list[Tensor]:
    """Return so many views (n, 1, 8, 8) in [0, 1] of the same toy images: flipped, lit and grained differently."""
    chance = stream(0, "testing", "stripes")
    angle, turns, phase = torch.rand(3, IMAGES, 1, 1, generator=chance) * torch.tensor([3.1, 2, 6]).reshape(3, 1, 1, 1)
    y, x = torch.linspace(-1, 1, SIDE)[:, None], torch.linspace(-1, 1, SIDE)[None, :]
    stripes = torch.sin((2 + 2 * turns) * (x * angle.cos() + y * angle.sin()) + phase)[:, None]
    return [_seen(stripes, stream(0, "testing", "view", i)) for i in range(views)]


def _seen(stripes: Tensor, chance: torch.Generator) -> Tensor:
    flipped = torch.rand(len(stripes), 1, 1, 1, generator=chance) < 0.5
    light = 0.1 * torch.randn(len(stripes), 1, 1, 1, generator=chance)
    grain = 0.03 * torch.randn(stripes.shape, generator=chance)
    return (0.5 + 0.3 * torch.where(flipped, stripes.flip(3), stripes) + light + grain).clamp(0, 1)


def _encoder(method: Method, seed: int = 0) -> nn.Module:
    return build("vit_micro" if method.transformers_only else "resnet8", channels=1, size=(SIDE, SIDE), seed=seed)


def _learner(method: Method) -> Learner:
    return method.learner(_encoder(method), seed=0).train()


def _loss(learner: Learner, views: list[Tensor] | None = None, progress: float = 0.5) -> Tensor:
    views = toy_views(learner.views) if views is None else views
    return learner.loss(views, generator=stream(0, "testing", "loss"), progress=progress)


def _value(learner: Learner) -> float:
    return float(_loss(learner).detach())


def _descend(learner: Learner, *, steps: int, rate: float = RATE, follow: bool = True) -> Learner:
    optimiser = torch.optim.AdamW(learner.trained(), lr=rate)
    for step in range(steps):
        optimiser.zero_grad()
        torch.autograd.backward(_loss(learner, progress=step / steps))
        optimiser.step()
        if follow:
            learner.after_step((step + 1) / steps)
    return learner


@lru_cache(maxsize=8)
def _trained_once(method: Method) -> Learner:
    return _descend(_learner(method), steps=STEPS)


def _trained(method: Method) -> Learner:
    learner = deepcopy(_trained_once(method))
    learner.zero_grad()
    return learner


def _collapsed(method: Method) -> Learner:
    """Return a learner around an encoder whose weights are all 0, after its heads were trained as long as others."""
    encoder = _encoder(method)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.zero_()
    learner = method.learner(encoder.requires_grad_(requires_grad=False), seed=0).train()
    return _descend(learner, steps=STEPS)


def _spread(projections: Tensor) -> float:
    return float(projections.detach().std(dim=0).max())
