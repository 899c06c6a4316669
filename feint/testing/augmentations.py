"""What every augmentation promises.

The checks choose their own images: grey between 0.4 and 0.6, so that nothing is clipped where gradients are compared,
and 9 x 12 pixels, so that height and width cannot be exchanged unnoticed (12 x 12 for what refuses these). Magnitudes
lie off the middle of their range, where a round patch would give its angle no gradient.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args
from unittest import SkipTest

import torch
from torch import Tensor

from feint.core.augmentation import Augmentation, Category
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.testing.promises import global_generators_untouched, promise

AugmentationCheck = Callable[[Augmentation], None]

SIZE, SQUARE = (9, 12), (12, 12)
LONE = (["angle"], ["std"], ["strength"], ["probability"])
SHARE = 0.37
VISIBLE = 1 / 255
TOLERANCE = 1e-6
TRIALS = 16


def output_is_an_image(augmentation: Augmentation) -> None:
    """Output has the shape of the input, is finite and, if bounded, in [0, 1], at both ends of every magnitude."""
    grey = _images(augmentation, 4)
    for images in (grey, torch.zeros_like(grey), torch.ones_like(grey), grey.round()):
        for share in (0.0, 0.5, 1.0):
            found = augmentation.apply(images, _noise(augmentation, images), _magnitudes(augmentation, share))
            promise(found.shape == images.shape, f"output has shape {tuple(found.shape)}: want {tuple(images.shape)}.")
            promise(
                bool(found.isfinite().all()), f"output holds {int((~found.isfinite()).sum())} NaN or infinite values."
            )
            low, high = float(found.min()), float(found.max())
            inside = not augmentation.bounded or (low >= 0 and high <= 1)
            promise(inside, f"output lies in [{low:.3g}, {high:.3g}]: want [0, 1].")


def changes_the_images(augmentation: Augmentation) -> None:
    """At magnitudes inside its range it changes images visibly: an identity learns nothing."""
    images = _images(augmentation, 8)
    found = augmentation.apply(images, _noise(augmentation, images), _magnitudes(augmentation))
    change = float((found - images).abs().max())
    promise(change > VISIBLE, f"no pixel of 8 images changed by more than {change:.2g}: the augmentation does nothing.")


def all_randomness_is_in_the_draw(augmentation: Augmentation) -> None:
    """The same noise and magnitudes give the same output, and equal generators draw equal noise, bit for bit."""
    images = _images(augmentation, 4)
    noise, magnitudes = _noise(augmentation, images), _magnitudes(augmentation)
    first, second = (augmentation.apply(images, noise, magnitudes) for _ in range(2))
    promise(torch.equal(first, second), "apply gave two outputs for the same noise: all chance belongs in draw.")
    again = _noise(augmentation, images)
    promise(torch.equal(noise, again), "draw gave two noises for equal generators: take all chance from `generator`.")


def global_generators_stay_untouched(augmentation: Augmentation) -> None:
    """Neither draw nor apply moves a global generator."""
    images = _images(augmentation, 4)
    with global_generators_untouched("draw or apply"):
        augmentation.apply(images, _noise(augmentation, images), _magnitudes(augmentation))


def images_do_not_mix(augmentation: Augmentation) -> None:
    """An image's output depends on that image, its noise and its magnitudes only."""
    images = _images(augmentation, 4)
    noise, magnitudes = _noise(augmentation, images), _magnitudes(augmentation)
    together = augmentation.apply(images, noise, magnitudes)
    alone = torch.cat([augmentation.apply(images[i : i + 1], noise[i : i + 1], magnitudes) for i in range(4)])
    apart = float((together - alone).abs().max())
    promise(apart < TOLERANCE, f"an image transformed alone differs by {apart:.2g} from itself in a batch.")
    changed = images.clone()
    changed[1] = 1 - changed[1] / 2
    moved = (augmentation.apply(changed, noise, magnitudes) - together).abs().amax((1, 2, 3)) > TOLERANCE
    promise(moved.tolist() == [False, True, False, False], f"changing image 1 changed outputs {_which(moved)}.")


def inputs_stay_untouched(augmentation: Augmentation) -> None:
    """Apply writes into none of its arguments."""
    images = _images(augmentation, 4)
    given = {"images": images, "noise": _noise(augmentation, images), "magnitudes": _magnitudes(augmentation)}
    before = {name: value.clone() for name, value in given.items()}
    augmentation.apply(given["images"], given["noise"], given["magnitudes"])
    changed = [name for name, value in given.items() if not torch.equal(value, before[name])]
    promise(not changed, f"apply wrote into {', '.join(changed)}.")


def dtype_and_device_are_kept(augmentation: Augmentation) -> None:
    """Output has the images' type and device, whatever those of noise and magnitudes."""
    for dtype in (torch.float32, torch.float64):
        images = _images(augmentation, 2).to(dtype)
        found = augmentation.apply(images, _noise(augmentation, images), _magnitudes(augmentation))
        promise(found.dtype == dtype, f"images of {dtype} became {found.dtype}.")
        promise(found.device == images.device, f"images on {images.device} moved to {found.device}.")


def a_wrong_shape_is_named_in_the_error(augmentation: Augmentation) -> None:
    """A 3-D image, noise of other images and one magnitude too many are refused, and the error says what was got."""
    images = _images(augmentation, 2)
    noise, magnitudes = _noise(augmentation, images), _magnitudes(augmentation)
    _refused(augmentation, images[0], noise, magnitudes, got=images[0])
    _refused(augmentation, images, torch.rand(3, noise.shape[1] + 1), magnitudes, got=torch.rand(3, noise.shape[1] + 1))
    longer = torch.cat([magnitudes, torch.ones(1)])
    _refused(augmentation, images, noise, longer, got=longer)


def zero_magnitude_is_the_identity(augmentation: Augmentation) -> None:
    """Amplitude 0, factor 1, or 0 of what is the only magnitude of its kind, leaves the images as they are."""
    neutral = {"amplitude": 0.0, "factor": 1.0}
    names = [each.name for each in augmentation.magnitudes]
    if names in LONE:
        neutral[names[0]] = 0.0
    if not neutral.keys() & set(names):
        raise SkipTest(f"{augmentation.name} has no magnitude at which nothing happens")
    magnitudes = _magnitudes(augmentation)
    for i, name in enumerate(names):
        magnitudes[i] = neutral.get(name, float(magnitudes[i]))
    images = _images(augmentation, 4)
    change = float((augmentation.apply(images, _noise(augmentation, images), magnitudes) - images).abs().max())
    promise(change < 1e-5, f"at zero magnitude a pixel changed by {change:.2g}.")


def gradient_is_the_derivative(augmentation: Augmentation) -> None:
    """The gradient for images and, where differentiable, magnitudes equals finite differences in float64."""
    images = _images(augmentation, 2).double()[:, :1].requires_grad_()
    magnitudes = _magnitudes(augmentation).double().repeat(2, 1).requires_grad_(augmentation.differentiable)
    noise = _noise(augmentation, images).double()

    def transformed(images: Tensor, magnitudes: Tensor) -> Tensor:
        return augmentation.apply(images, noise, magnitudes)

    try:
        torch.autograd.gradcheck(transformed, (images, magnitudes), eps=1e-7, atol=1e-5, rtol=1e-4)
    except RuntimeError as error:
        raise AssertionError(f"the gradient is not the derivative of the output: {error}") from error


def every_magnitude_gets_a_gradient(augmentation: Augmentation) -> None:
    """No learnable magnitude is without influence: each has a gradient that is not zero."""
    if not augmentation.differentiable:
        raise SkipTest(f"{augmentation.name} is not differentiable in its magnitudes")
    magnitudes = _magnitudes(augmentation).double().requires_grad_()
    images = _images(augmentation, 8).double()
    found = augmentation.apply(images, _noise(augmentation, images), magnitudes)
    promise(found.requires_grad, "the output does not depend on the magnitudes, as far as the gradient knows.")
    (gradient,) = torch.autograd.grad(((found - images.flip(0)) ** 2).sum(), magnitudes)
    dead = [each.name for each, g in zip(augmentation.magnitudes, gradient.tolist(), strict=True) if abs(g) < 1e-9]
    promise(not dead, f"{', '.join(dead)} got no gradient.")


def outcome_zero_is_the_identity(augmentation: Augmentation) -> None:
    """Outcome 0, where there are finitely many, is the image itself, bit for bit."""
    images = _images(augmentation, 4)
    _outcomes_of(augmentation)
    found = augmentation.outcome(images, torch.zeros(4, dtype=torch.long))
    promise(torch.equal(found, images), "outcome 0 is not the image itself.")


def outcomes_are_all_there_is(augmentation: Augmentation) -> None:
    """All outcomes of an image differ, each of them comes up, and apply gives nothing else."""
    outcomes = _outcomes_of(augmentation)
    image = _images(augmentation, 1)
    every = augmentation.outcome(image.expand(outcomes, -1, -1, -1), torch.arange(outcomes)).flatten(1)
    nearest = torch.cdist(every, every).fill_diagonal_(torch.inf).min(1)
    alike = sorted({i, int(nearest.indices[i])} for i in range(outcomes) if nearest.values[i] < TOLERANCE)
    promise(not alike, f"outcomes {' and '.join(str(each) for each in alike[:1])} are the same image.")
    images = image.expand(TRIALS * outcomes, -1, -1, -1)
    found = augmentation.apply(images, _noise(augmentation, images), _magnitudes(augmentation)).flatten(1)
    distance = (found[:, None] - every).abs().amax(2).min(1)
    promise(bool((distance.values < TOLERANCE).all()), "apply gave an image that is none of the outcomes.")
    missing = sorted(set(range(outcomes)) - set(distance.indices.tolist()))
    promise(not missing, f"outcomes {missing[:5]} never came up in {len(images)} draws.")


def category_is_one_of_the_five(augmentation: Augmentation) -> None:
    """The category is one that studies know."""
    known = get_args(Category)
    promise(augmentation.category in known, f"category {augmentation.category!r} is none of {', '.join(known)}.")


AUGMENTATION_CHECKS: tuple[AugmentationCheck, ...] = (
    output_is_an_image,
    changes_the_images,
    all_randomness_is_in_the_draw,
    global_generators_stay_untouched,
    images_do_not_mix,
    inputs_stay_untouched,
    dtype_and_device_are_kept,
    a_wrong_shape_is_named_in_the_error,
    zero_magnitude_is_the_identity,
    gradient_is_the_derivative,
    every_magnitude_gets_a_gradient,
    outcome_zero_is_the_identity,
    outcomes_are_all_there_is,
    category_is_one_of_the_five,
)


def _images(augmentation: Augmentation, n: int) -> Tensor:
    probe = _greys(1, SIZE)
    try:
        augmentation.apply(probe, _noise(augmentation, probe), _magnitudes(augmentation))
    except SettingError:
        return _greys(n, SQUARE)
    return _greys(n, SIZE)


def _greys(n: int, size: tuple[int, int]) -> Tensor:
    return 0.4 + 0.2 * torch.rand(n, 3, *size, generator=stream(0, "testing", "images"))


def _noise(augmentation: Augmentation, images: Tensor) -> Tensor:
    return augmentation.draw(images, generator=stream(0, "testing", "noise"))


def _magnitudes(augmentation: Augmentation, share: float = SHARE) -> Tensor:
    """Return the magnitudes (m,) at a share of their ranges."""
    return torch.tensor([float(each.at(torch.tensor(share))) for each in augmentation.magnitudes])


def _outcomes_of(augmentation: Augmentation) -> int:
    if augmentation.outcomes is None:
        raise SkipTest(f"{augmentation.name} has no finite set of outcomes")
    return augmentation.outcomes


def _refused(augmentation: Augmentation, images: Tensor, noise: Tensor, magnitudes: Tensor, *, got: Tensor) -> None:
    shape = tuple(got.shape)
    try:
        augmentation.apply(images, noise, magnitudes)
    except ValueError as error:
        promise(
            bool(re.search(re.escape(str(shape)), str(error))), f"the error does not name the shape {shape}: {error}"
        )
    except Exception as error:
        raise AssertionError(
            f"a wrong shape {shape} was refused with {type(error).__name__}: want ValueError."
        ) from error
    else:
        raise AssertionError(f"the wrong shape {shape} was accepted.")


def _which(flags: Tensor) -> list[int]:
    return [i for i, flag in enumerate(flags.tolist()) if flag]
