"""Collapse alarms: every planted collapse raises, healthy and untrained encoders stay silent."""

import math

import numpy as np
import pytest
import torch

from feint.core.errors import InputError
from feint.metrics.representations import collapse_alarms, std_of_l2
from feint.networks import architectures

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 64))
LINE = np.outer(RNG.normal(size=300), RNG.normal(size=64))
PLANE = RNG.normal(size=(300, 3)) @ RNG.normal(size=(3, 128))
SIMCLR_FLOOR = math.log(2 * 128 - 1)
FALLING = SIMCLR_FLOOR - 3 * (1 - np.exp(-np.arange(400) / 100))


def codes(*args, **kwargs):
    return [alarm.code for alarm in collapse_alarms(*args, **kwargs)]


@pytest.mark.parametrize("embeddings", [ROWS, 1e-4 * ROWS, np.maximum(ROWS, 0), ROWS[:20], ROWS[:, :2]])
def test_healthy_embeddings_are_silent(embeddings):
    assert codes(embeddings, loss=FALLING, floor=SIMCLR_FLOOR) == []


@pytest.mark.parametrize(
    ("embeddings", "code"),
    [
        (np.ones((50, 64)), "collapsed_embeddings"),
        (np.zeros((50, 64)), "collapsed_embeddings"),
        (10 + 0.001 * ROWS, "collapsed_embeddings"),
        (LINE, "collapsed_embeddings"),
        (PLANE, "low_rank_embeddings"),
        (np.where(ROWS > 3, np.nan, ROWS), "non_finite_embeddings"),
    ],
)
def test_collapsed_embeddings(embeddings, code):
    assert codes(embeddings) == [code]


@pytest.mark.parametrize("name", ["resnet8", "vit_micro"])
def test_an_untrained_encoder_has_not_collapsed(name):
    generator = torch.Generator().manual_seed(0)
    texture = torch.rand(1, 1, 16, 16, generator=generator)
    images = (texture + 0.05 * torch.randn(100, 1, 16, 16, generator=generator)).clamp(0, 1)
    encoder = architectures.build(name, channels=1, size=(16, 16), seed=0).eval()
    with torch.no_grad():
        z = encoder.embed(images).double().numpy()
    assert codes(z, untrained_spread=std_of_l2(z)) == []
    assert codes(z) == ["collapsed_embeddings"]  # which is why the number before training is asked for
    nearly_one_point = z.mean(axis=0) + 0.05 * (z - z.mean(axis=0))
    assert codes(nearly_one_point, untrained_spread=std_of_l2(z)) == ["collapsed_embeddings"]


@pytest.mark.parametrize(
    ("loss", "floor", "expected"),
    [
        (np.full(100, SIMCLR_FLOOR), SIMCLR_FLOOR, ["loss_at_floor"]),
        (np.full(99, SIMCLR_FLOOR), SIMCLR_FLOOR, []),
        (np.append(FALLING, np.full(100, 0.992 * SIMCLR_FLOOR)), SIMCLR_FLOOR, ["loss_at_floor"]),
        (np.append(np.full(200, SIMCLR_FLOOR), FALLING[5:]), SIMCLR_FLOOR, []),
        (np.append(np.full(199, SIMCLR_FLOOR), 0.98 * SIMCLR_FLOOR), SIMCLR_FLOOR, []),
        (np.full(300, math.log(4096)), math.log(4096), ["loss_at_floor"]),
        (np.full(300, -0.9999), -1.0, ["loss_at_floor"]),
        (np.full(300, math.log(4096)), None, []),
        (np.append(FALLING, [np.nan, np.inf]), SIMCLR_FLOOR, ["non_finite_loss"]),
        ([], SIMCLR_FLOOR, []),
    ],
)
def test_losses(loss, floor, expected):
    assert codes(ROWS, loss=loss, floor=floor) == expected


def test_the_number_of_steps_can_be_set():
    assert codes(ROWS, loss=[5.54] * 10, floor=SIMCLR_FLOOR, steps_at_floor=10) == ["loss_at_floor"]


def test_sentences_hold_the_numbers():
    found = collapse_alarms(np.full((4, 3), np.nan), loss=[1.0, math.nan])
    assert [alarm.code for alarm in found] == ["non_finite_embeddings", "non_finite_loss"]
    assert found[0].sentence.startswith("12 of 12 values")
    assert "1 of 2 steps" in found[1].sentence
    assert "uses 3.0 of its 128" in collapse_alarms(PLANE)[0].sentence


def test_embeddings_of_a_wrong_shape_are_named():
    with pytest.raises(InputError, match=r"got \(5,\)"):
        collapse_alarms(np.ones(5))
    with pytest.raises(InputError, match="at least two"):
        collapse_alarms(np.ones((1, 5)))
