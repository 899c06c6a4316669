"""Detectors broken in one way each, and an honest one that needs no training."""

from dataclasses import dataclass

import torch

from feint.core.detector import Detector, Scorer, as_unit, no_log
from feint.core.errors import SettingError
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
    pseudo_anomalies = "optional"
    kind: type[PixelScorer] = PixelScorer

    def _fit(self, normals, policy, seed, log):
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

    def _fit(self, normals, policy, seed, log):
        scorer = super()._fit(normals, policy, seed, log)
        scorer.centre += 0.01 * torch.rand((), generator=self.generator)
        return scorer


class GlobalSeed(PixelDetector):
    """Seeds the global generator: reproducible, at everyone else's cost."""

    def _fit(self, normals, policy, seed, log):
        torch.manual_seed(seed)
        return super()._fit(normals, policy, seed, log)


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
    def _fit(self, normals, policy, seed, log):
        scorer = super()._fit(normals, policy, seed, log)
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

    def _fit(self, normals, policy, seed, log):
        scorer = super()._fit(normals, policy, seed, log)
        scorer.spread *= 1.0 if policy is not None else torch.nan
        return scorer


class Vanilla(PixelDetector):
    """Honest: normal images alone."""

    pseudo_anomalies = "refused"


class Needy(PixelDetector):
    """Honest: nothing without pseudo-anomalies."""

    pseudo_anomalies = "required"


class Proud(PixelDetector):
    """Says it can do without, and cannot."""

    def _fit(self, normals, policy, seed, log):
        if policy is None:
            raise SettingError("a policy, please.")
        return super()._fit(normals, policy, seed, log)


class Frugal(Needy):
    """Says it needs pseudo-anomalies, and does without."""

    def fit(self, normals, *, policy, seed):
        return self._fit(normals, policy, seed, no_log)


class Swallowing(Vanilla):
    """Says it refuses pseudo-anomalies, and overlooks them."""

    def fit(self, normals, *, policy, seed):
        return self._fit(normals, policy, seed, no_log)


class FeatureMaps(PixelScorer):
    """Embeds without pooling."""

    def _embeddings(self, images):
        return images


class Collapsed(PixelScorer):
    """Every image comes to lie on one point."""

    def _embeddings(self, images):
        return self.centre.flatten().expand(len(images), -1)


class Overflowing(PixelScorer):
    """Embeds with a logarithm of zero."""

    def _embeddings(self, images):
        return super()._embeddings(images).sub(1).relu().log()


class Misnamed(PixelScorer):
    """`all_scores` knows another name than the scorer."""

    def all_scores(self, images):
        return {"distance": self(images)}


class Lagging(PixelScorer):
    """`all_scores` forgets the smoothing that `forward` does."""

    def all_scores(self, images):
        return {self.score: ((images - self.centre) / self.spread).abs().flatten(1).amax(1)}


class Rough(PixelScorer):
    """A second score, that nobody looked at, is not finite."""

    def all_scores(self, images):
        return super().all_scores(images) | {"log": images.amin((1, 2, 3)).sub(1).log()}


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


HONEST = [PixelDetector, Vanilla, Needy]
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
    checks.pseudo_anomalies_are_as_declared: [Dependent, Proud, Frugal, Swallowing],
    checks.embeddings_tell_images_apart: [FeatureMaps, Collapsed, Overflowing],
    checks.all_scores_hold_the_chosen_one: [Misnamed, Lagging, Rough],
    checks.maps_have_the_size_of_the_images: [CoarseMap, HoleInMap],
    checks.maps_light_up_at_the_defect: [MirroredMap],
}
ALSO = {
    OnlyOne: {checks.score_is_independent_of_the_batch},
    Constant: {checks.higher_is_more_anomalous},
    CoarseMap: {checks.maps_light_up_at_the_defect},
    HoleInMap: {checks.maps_light_up_at_the_defect},
}
