"""Every guard raises on its planted fault and stays silent on a healthy run."""

import math

import numpy as np
import pytest

from feint.core.errors import InputError
from feint.metrics.guards import guard_augmentation, guard_auroc, guard_losses, guard_scores

GENERATOR = np.random.default_rng(0)
NORMAL = GENERATOR.normal(size=500)
FALLING = 0.69 * np.exp(-np.arange(300) / 80) + 0.02 * GENERATOR.random(300)


@pytest.mark.parametrize(
    "scores",
    [NORMAL, NORMAL * 1e-6, NORMAL * 1e9, [1.0, 2.0], [3.0], [], np.append(np.zeros(300), NORMAL), 1000 + NORMAL],
)
def test_healthy_scores_are_silent(scores):
    assert guard_scores(scores) == []


@pytest.mark.parametrize(
    ("scores", "code"),
    [
        (np.zeros(100), "constant_scores"),
        (np.repeat([0.0, 1.0], 50), "constant_scores"),
        (np.tile(np.arange(9.0), 112), "constant_scores"),
        (1 + 1e-13 * NORMAL, "constant_scores"),
        (np.append(np.full(400, 2.5), NORMAL[:100]), "constant_scores"),
        (np.append(NORMAL, math.nan), "non_finite_scores"),
        (np.append(NORMAL, -math.inf), "non_finite_scores"),
    ],
)
def test_faulty_scores(scores, code):
    assert [finding.code for finding in guard_scores(scores)] == [code]


@pytest.mark.parametrize("losses", [FALLING, [], [0.7], np.full(30, 0.69), 0.5 * FALLING])
def test_healthy_losses_are_silent(losses):
    assert guard_losses(losses) == []


@pytest.mark.parametrize(
    ("losses", "code"),
    [
        (np.full(200, math.log(2)), "flat_loss"),
        (math.log(2) + 0.01 * GENERATOR.normal(size=200), "flat_loss"),
        (np.linspace(0.5, 0.9, 100), "flat_loss"),
        (0.02 * np.exp(-np.arange(200) / 10), "easy_loss"),
        (np.append(FALLING, math.nan), "non_finite_loss"),
    ],
)
def test_faulty_losses(losses, code):
    assert [finding.code for finding in guard_losses(losses)] == [code]


def test_an_augmentation_that_changes_nothing_is_found():
    images = GENERATOR.random((4, 1, 8, 8))
    assert [finding.code for finding in guard_augmentation(images, images + 1e-8)] == ["identity_augmentation"]
    patch = images.copy()
    patch[:, :, :2, :2] *= 0.9
    assert guard_augmentation(images, patch) == []
    with pytest.raises(InputError, match="one shape"):
        guard_augmentation(images, images[0])


def test_an_auroc_below_one_half_is_reported():
    assert [finding.code for finding in guard_auroc(0.49)] == ["inverted_scores"]
    assert guard_auroc(0.5) == []
