"""Augmentations broken in one way each, and an honest one."""

import random

import torch
from torch import Tensor

from feint.core.augmentation import Augmentation, Magnitude
from feint.core.streams import stream
from feint.testing import augmentations as checks


class Shade(Augmentation):
    """Honest: darkens each image from top to bottom, by an amount drawn per image times the amplitude."""

    name = "shade"
    category = "color"
    magnitudes = (
        Magnitude(name="amplitude", unit="intensity subtracted", low=-1.0, high=1.0),
        Magnitude(name="power", unit="of the ramp", low=0.5, high=4.0, scale="log"),
    )
    noise_size = 1

    def _ramp(self, images: Tensor, noise: Tensor, magnitudes: Tensor) -> Tensor:
        height = images.shape[2]
        y = (torch.arange(height).to(images) + 1) / height
        depth = (0.5 + 0.5 * noise[:, :1]) * magnitudes[:, :1] * y ** magnitudes[:, 1:]
        return depth[:, None, :, None]

    def _transform(self, images, noise, magnitudes):
        return (images - self._ramp(images, noise, magnitudes)).clamp(0, 1)


class Unclipped(Shade):
    def _transform(self, images, noise, magnitudes):
        return images - self._ramp(images, noise, magnitudes)


class NotANumber(Shade):
    def _transform(self, images, noise, magnitudes):
        return super()._transform(images, noise, magnitudes) + torch.where(images == 1, torch.nan, 0.0)


class Cropped(Shade):
    def _transform(self, images, noise, magnitudes):
        turned = super()._transform(images, noise, magnitudes)
        return turned[..., :-1] if images.amax() == 1 else turned


class Idle(Shade):
    differentiable = False

    def _transform(self, images, noise, magnitudes):
        return images.clone()


class OwnChance(Shade):
    """Draws inside apply, from a generator of its own that goes on from call to call."""

    generator = stream(0, "own")

    def _transform(self, images, noise, magnitudes):
        jitter = 0.1 * torch.rand(1, generator=self.generator).to(images)
        return super()._transform(images - jitter, noise, magnitudes)


class DeafDraw(Shade):
    """Ignores the generator it is handed."""

    generator = stream(0, "deaf")

    def draw(self, images, *, generator):
        return torch.rand(len(images), 1, generator=self.generator)


class GlobalChance(Shade):
    """Harmless to the output, yet moves the global generators."""

    def _transform(self, images, noise, magnitudes):
        torch.rand(1)
        return super()._transform(images, noise, magnitudes)


class PythonChance(Shade):
    def draw(self, images, *, generator):
        random.random()
        return super().draw(images, generator=generator)


class BatchMean(Shade):
    """Measures the batch, so that each image feels the others."""

    def _ramp(self, images, noise, magnitudes):
        return super()._ramp(images, noise, magnitudes) * (0.5 + images.mean())


class Neighbour(Shade):
    """Looks at the next image of the batch."""

    def _ramp(self, images, noise, magnitudes):
        return super()._ramp(images, noise, magnitudes) * (0.5 + images.roll(1, 0))


class InPlace(Shade):
    """Writes the result into the images, where no gradient forbids it."""

    def _transform(self, images, noise, magnitudes):
        changed = super()._transform(images, noise, magnitudes)
        if not (images.requires_grad or magnitudes.requires_grad):
            images.clamp_(max=0.59)
        return changed


class SinglePrecision(Shade):
    """Computes in float32 whatever comes in."""

    def _transform(self, images, noise, magnitudes):
        changed = super()._transform(images, noise, magnitudes)
        return changed if images.requires_grad or magnitudes.requires_grad else changed.float()


class Unchecked(Shade):
    """Takes any shape that broadcasts."""

    def apply(self, images, noise, magnitudes):
        images = images if images.ndim == 4 else images[None]
        return self._transform(
            images, noise[: len(images), :1].to(images), magnitudes[..., :2].to(images).expand(len(images), 2)
        )


class Mumbling(Shade):
    """Refuses, and does not say what it got."""

    def apply(self, images, noise, magnitudes):
        if images.ndim != 4 or noise.shape[1] != 1 or magnitudes.shape[-1] != 2:
            raise ValueError("wrong shape")
        return super().apply(images, noise, magnitudes)


class RawError(Shade):
    """Lets torch's own error through."""

    def apply(self, images, noise, magnitudes):
        n, _, _, _ = images.shape
        return self._transform(images, noise.to(images).view(n, 1), magnitudes.to(images).expand(n, 2))


class Offset(Shade):
    """Darkens a little even at amplitude 0."""

    def _transform(self, images, noise, magnitudes):
        return super()._transform(images - 0.02, noise, magnitudes)


class Doubled(torch.autograd.Function):
    """The identity, with twice its gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class WrongGradient(Shade):
    def _transform(self, images, noise, magnitudes):
        return super()._transform(images, noise, Doubled.apply(magnitudes))


class Detached(Shade):
    """Learns nothing about its magnitudes."""

    def _transform(self, images, noise, magnitudes):
        return super()._transform(images, noise, magnitudes.detach())


class DeadMagnitude(Shade):
    """Has a magnitude without influence."""

    def _ramp(self, images, noise, magnitudes):
        return super()._ramp(images, noise, torch.cat([magnitudes[:, :1], 1 + 0 * magnitudes[:, 1:]], dim=1))


class Mirror(Augmentation):
    """Honest: mirrors an image left-right, or leaves it; outcome 1 is the mirror image."""

    name = "mirror"
    category = "geometric"
    magnitudes = ()
    noise_size = 1
    differentiable = False
    outcomes = 2

    def _transform(self, images, noise, magnitudes):
        return self._outcome(images, (2 * noise[:, 0]).long())

    def _outcome(self, images, which):
        return images.flip(3).where(which.bool()[:, None, None, None], images)


class Exchanged(Mirror):
    """Counts its outcomes the other way round."""

    def _outcome(self, images, which):
        return super()._outcome(images, 1 - which)


class Miscounted(Mirror):
    """Has fewer outcomes than it says."""

    outcomes = 3


class Elsewhere(Mirror):
    """Applies what is none of its outcomes."""

    def _transform(self, images, noise, magnitudes):
        return super()._transform(images, noise, magnitudes).flip(2)


class Restless(Mirror):
    """Never applies the identity."""

    def _transform(self, images, noise, magnitudes):
        return images.flip(3)


class Unclassified(Shade):
    category = "shading"


def make(twin):
    """Return the augmentation of a twin."""
    return twin()


HONEST = [Shade, Mirror]
TWINS = {
    checks.output_is_an_image: [Unclipped, NotANumber, Cropped],
    checks.changes_the_images: [Idle],
    checks.all_randomness_is_in_the_draw: [OwnChance, DeafDraw],
    checks.global_generators_stay_untouched: [GlobalChance, PythonChance],
    checks.images_do_not_mix: [BatchMean, Neighbour],
    checks.inputs_stay_untouched: [InPlace],
    checks.dtype_and_device_are_kept: [SinglePrecision],
    checks.a_wrong_shape_is_named_in_the_error: [Unchecked, Mumbling, RawError],
    checks.zero_magnitude_is_the_identity: [Offset],
    checks.gradient_is_the_derivative: [WrongGradient],
    checks.every_magnitude_gets_a_gradient: [Detached, DeadMagnitude],
    checks.outcome_zero_is_the_identity: [Exchanged],
    checks.outcomes_are_all_there_is: [Miscounted, Elsewhere, Restless],
    checks.category_is_one_of_the_five: [Unclassified],
}
ALSO = {
    OwnChance: {checks.images_do_not_mix, checks.zero_magnitude_is_the_identity, checks.gradient_is_the_derivative},
    InPlace: {
        checks.all_randomness_is_in_the_draw, checks.images_do_not_mix, checks.zero_magnitude_is_the_identity,
    },
    Detached: {checks.gradient_is_the_derivative},
}  # fmt: skip
