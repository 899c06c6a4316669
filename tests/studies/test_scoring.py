"""Images go to where the scorer lies, and what comes back lies on the CPU."""

import numpy as np
import torch

from feint.augmentations.policies import policy_named
from feint.core.detector import Scorer, device_of
from feint.studies.scoring import close_up, map_images, score_images

IMAGES = np.arange(3 * 16 * 16, dtype=np.uint8).reshape(3, 1, 16, 16)


class Elsewhere(Scorer):
    """A scorer whose state lies on the device without memory: it refuses images that are not there."""

    def __init__(self, device):
        super().__init__(1, (16, 16))
        self.register_buffer("centre", torch.zeros(2, device=device))

    def _answer(self, images, *shape):
        assert images.device == self.centre.device
        return torch.arange(len(images), dtype=torch.float32).reshape(-1, *[1] * len(shape)).expand(-1, *shape)

    def _scores(self, images):
        return self._answer(images)

    def _maps(self, images):
        return self._answer(images, 16, 16)

    def _embeddings(self, images):
        return self._answer(images, 2)


class Stateless(Elsewhere):
    def __init__(self):
        Scorer.__init__(self, 1, (16, 16))

    def _answer(self, images, *shape):
        assert images.device.type == "cpu"
        return images.mean((1, 2, 3))


def test_a_scorer_lies_where_its_state_does():
    assert device_of(Elsewhere("meta")).type == "meta"
    assert device_of(Elsewhere("cpu")).type == "cpu"
    assert device_of(Stateless()).type == "cpu"
    assert score_images(Stateless(), IMAGES)["score"].shape == (3,)


def test_scores_maps_and_close_ups_follow_the_scorer():
    scorer = Elsewhere("meta")
    assert score_images(scorer, IMAGES)["score"].tolist() == [0, 1, 2]
    assert map_images(scorer, IMAGES).shape == (3, 16, 16)
    found = close_up({"train": IMAGES, "test:2": IMAGES[:2]}, scorer, policy_named("rotation"), seed=0)
    assert found["close.scores.test:2"].tolist() == [0, 1]
    assert found["close.embeddings.pseudo"].shape == (3, 2)
    assert found["close.maps.train"].shape == (3, 16, 16)
