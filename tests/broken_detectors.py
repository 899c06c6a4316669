"""Detectors broken in one way each, and an honest one that needs no training."""

from dataclasses import dataclass

import torch

from feint.core.detector import Detector, Scorer, as_unit
from feint.core.streams import stream
from feint.testing import detectors as checks


class PixelScorer(Scorer):
    """Honest: distance to the mean image in standard deviations, smoothed; no training."""

    def __init__(self, channels, size):
        super().__init__(channels, size)
        self.register_buffer("centre", torch.zeros(channels, *size))
        self.register_buffer("spread", torch.ones(channels, *size))

    def fit(self, images):
        self.centre.copy_(images.mean(0))
        self.spread.copy_(images.std(0) + 1e-3)
        return self

    def _maps(self, images):
        distance = ((images - self.centre) / self.spread).abs().mean(1, keepdim=True)
        return torch.nn.functional.avg_pool2d(distance, 3, 1, 1)[:, 0]

    def _scores(self, images):
        return self._maps(images).flatten(1).amax(1)


@dataclass(frozen=True, kw_only=True)
class PixelDetector(Detector):
    kind: type[PixelScorer] = PixelScorer

    def fit(self, normals, *, policy, seed):
        return self.kind(normals.shape[1], tuple(normals.shape[2:])).fit(as_unit(normals))


class OnlyOne(PixelScorer):
    """Returns a column."""

    def _scores(self, images):
        scores = super()._scores(images)
        return scores[:, None] if len(scores) == 1 else scores


class Infinite(PixelScorer):
    """Overflows on white images."""

    def _scores(self, images):
        return super()._scores(images) / (images.amin((1, 2, 3)) < 1)


class Inverted(PixelScorer):
    """Higher = more normal, as other tools have it."""

    def _scores(self, images):
        return 100 - super()._scores(images)


class Constant(PixelScorer):
    """The known case of a shipped detector whose scores never varied among what it called normal."""

    def _scores(self, images):
        return super()._scores(images).clamp(min=10)


class Restless(PixelDetector):
    """A stream of its own that goes on from fit to fit."""

    generator = stream(0, "restless")

    def fit(self, normals, *, policy, seed):
        scorer = super().fit(normals, policy=policy, seed=seed)
        scorer.centre += 0.01 * torch.rand((), generator=self.generator)
        return scorer


class GlobalSeed(PixelDetector):
    """Seeds the global generator: reproducible, at everyone else's cost."""

    def fit(self, normals, *, policy, seed):
        torch.manual_seed(seed)
        return super().fit(normals, policy=policy, seed=seed)


class NoisyScore(PixelScorer):
    """Uses up global chance when it scores."""

    def _scores(self, images):
        torch.rand(1)
        return super()._scores(images)


class Overwriting(PixelScorer):
    """Clips the images it is given, in place."""

    def _scores(self, images):
        return super()._scores(images.clamp_(0.01, 0.99) if len(images) == checks.IMAGES else images)


class OverwritingFit(PixelDetector):
    def fit(self, normals, *, policy, seed):
        scorer = super().fit(normals, policy=policy, seed=seed)
        normals[0] = 0
        return scorer


class BatchNormalised(PixelScorer):
    """Measures each image by the batch it comes in."""

    def _scores(self, images):
        scores = super()._scores(images)
        return scores - 0.01 * scores.mean()


class OrderBound(PixelScorer):
    """Adds the place in the batch: alone, each image is first."""

    def _scores(self, images):
        return super()._scores(images) + 0.01 * torch.arange(len(images))


class Hidden(PixelScorer):
    """Keeps a part of what it learned outside of the state_dict."""

    def fit(self, images):
        self.level = images.mean()
        return super().fit(images)

    def _scores(self, images):
        return super()._scores(images) + self.level


class HiddenMap(PixelScorer):
    """Keeps what only its maps use outside of the state_dict."""

    def fit(self, images):
        self.level = images.mean()
        return super().fit(images)

    def map(self, images):
        return super().map(images) + self.level


class Ignorant(PixelScorer):
    """Learns nothing, so that loading another's state changes nothing."""

    def fit(self, images):
        self.centre.copy_(checks.normal_images(1, "ignorant")[0] / 255)
        self.spread.fill_(0.1)
        return self


class Obliging(PixelScorer):
    """Resizes and greys whatever comes, and says nothing."""

    def _check(self, images):
        pass

    def _maps(self, images):
        images = (images if images.ndim == 4 else images[None]).mean(1, keepdim=True)
        return super()._maps(torch.nn.functional.interpolate(images, self.size))


class Mute(PixelScorer):
    """Refuses, and does not say what it got."""

    def _check(self, images):
        if tuple(images.shape[1:]) != (self.channels, *self.size):
            raise ValueError("wrong shape")


class Crashing(PixelScorer):
    """Lets torch's own error through."""

    def _check(self, images):
        if tuple(images.shape[1:]) != (self.channels, *self.size):
            raise RuntimeError(f"The size of tensor a must match: {tuple(images.shape)}")


class Dependent(PixelDetector):
    """Needs pseudo-anomalies, and divides by how many it got."""

    def fit(self, normals, *, policy, seed):
        scorer = super().fit(normals, policy=policy, seed=seed)
        scorer.spread *= 1.0 if policy is not None else torch.nan
        return scorer


class CoarseMap(PixelScorer):
    """Leaves its maps at the size of its features."""

    def map(self, images):
        return super().map(images)[:, ::2, ::2] if len(images) == checks.IMAGES else super().map(images)


class HoleInMap(PixelScorer):
    """Divides by zero in a corner."""

    def map(self, images):
        maps = super().map(images).clone()
        maps[:, 0, 0] = torch.inf
        return maps


class MirroredMap(PixelScorer):
    """Exchanges up and down."""

    def map(self, images):
        return super().map(images).flip(1, 2)


def make(twin):
    """Return the detector of a twin, which is a detector or a scorer."""
    return twin() if issubclass(twin, Detector) else PixelDetector(kind=twin)


HONEST = [PixelDetector]
TWINS = {
    checks.one_finite_number_per_image: [OnlyOne, Infinite],
    checks.higher_is_more_anomalous: [Inverted],
    checks.scores_are_not_constant: [Constant],
    checks.same_streams_give_the_same_scores: [Restless],
    checks.global_generators_stay_untouched: [GlobalSeed, NoisyScore],
    checks.inputs_stay_untouched: [OverwritingFit, Overwriting],
    checks.score_is_independent_of_the_batch: [BatchNormalised, OrderBound],
    checks.state_dict_is_the_whole_state: [Hidden, HiddenMap, Ignorant],
    checks.a_wrong_shape_is_named_in_the_error: [Obliging, Mute, Crashing],
    checks.fits_without_pseudo_anomalies: [Dependent],
    checks.maps_have_the_size_of_the_images: [CoarseMap, HoleInMap],
    checks.maps_light_up_at_the_defect: [MirroredMap],
}
ALSO = {
    OnlyOne: {checks.score_is_independent_of_the_batch},
    Constant: {checks.higher_is_more_anomalous},
    CoarseMap: {checks.maps_light_up_at_the_defect},
    HoleInMap: {checks.maps_light_up_at_the_defect},
}
