import math

import numpy as np
import pytest
from scipy.stats import norm

from feint.core.errors import SettingError
from feint.stats.delong import delong
from feint.stats.telling_apart import detectable_gap, images_needed, paired_sd


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_the_planned_sd_is_the_one_that_delong_finds_between_equal_candidates(correlation):
    generator = np.random.default_rng(0)
    mixing = np.linalg.cholesky([[1, correlation], [correlation, 1]])
    covariance = np.mean(
        [delong(mixing @ generator.normal(size=(2, 300)), mixing @ generator.normal(size=(2, 500))).covariance
         for _ in range(50)], axis=0
    )  # fmt: skip
    found = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    spearman = 6 / math.pi * math.asin(correlation / 2)
    assert paired_sd(300, 500, correlation=spearman) == pytest.approx(found, rel=0.05)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("power", [0.5, 0.9])
def test_the_images_needed_make_the_gap_just_detectable(ratio, power):
    m, n = images_needed(0.05, share=0.2, correlation=0.6, held_out_per_unlabelled=ratio, power=power)
    assert m / n == pytest.approx(ratio, rel=0.01)
    enough = detectable_gap(paired_sd(m, n, correlation=0.6), share=0.2, power=power)
    short = detectable_gap(paired_sd(m - 2, n - 2, correlation=0.6), share=0.2, power=power)
    assert enough <= 0.05 < short


def test_values_by_hand():
    steps = norm.ppf(0.975) + norm.ppf(0.8)
    assert detectable_gap(0.01, share=0.1) == pytest.approx(steps / 10)
    assert images_needed(0.1, share=0.5, correlation=0.5).unlabelled == math.ceil(steps**2 / 12 * 2 / 0.05**2)
    tail = images_needed(0.1, share=0.5, correlation=0.5, kernel_variance=0.05 * 0.95).unlabelled
    assert tail == math.ceil(steps**2 * 0.05 * 0.95 * 2 / 0.05**2)
    assert images_needed(0.1, share=0.5, correlation=1.0) == (1, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: images_needed(0.0, share=0.5, correlation=0.5), "gap must lie"),
        (lambda: images_needed(0.1, share=0.0, correlation=0.5), "share must lie"),
        (lambda: images_needed(0.1, share=0.5, correlation=1.5), "correlation must lie"),
        (lambda: images_needed(0.1, share=0.5, correlation=0.5, power=1.0), "power must lie"),
        (lambda: images_needed(0.1, share=0.5, correlation=0.5, held_out_per_unlabelled=0), "held_out_per_unlabelled"),
        (lambda: images_needed(0.1, share=0.5, correlation=0.5, kernel_variance=0.3), "kernel_variance must lie"),
        (lambda: paired_sd(0, 10, correlation=0.5), "at least one image of each kind is needed: got 0 and 10"),
        (lambda: detectable_gap(-1.0, share=0.5), "sd must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_named(call, words):
    with pytest.raises(SettingError, match=words):
        call()
