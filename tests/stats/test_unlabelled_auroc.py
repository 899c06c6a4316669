import numpy as np
import pytest

from feint.core.errors import InputError, SettingError
from feint.stats.delong import delong
from feint.stats.mixture import mixture_proportion
from feint.stats.resampling import Interval
from feint.stats.unlabelled_auroc import unlabelled_auroc


def pool(*, share, shift, m=400, n=600, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=n) + shift * (np.arange(n) < share * n), generator.normal(size=m)


def test_a_known_share_only_stretches_the_interval_of_a2():
    u, h = pool(share=0.5, shift=1.0)
    a2 = delong(h[None], u[None]).estimate(0)
    found = unlabelled_auroc(u, h, share=Interval(0.5, 0.5, 0.5))
    assert found == pytest.approx([0.5 + 2 * (end - 0.5) for end in a2])


def test_the_share_is_that_of_the_same_scores_unless_given():
    u, h = pool(share=0.5, shift=2.0)
    assert unlabelled_auroc(u, h) == unlabelled_auroc(u, h, share=mixture_proportion(u, h))
    a2, p = delong(h[None], u[None]).estimate(0), mixture_proportion(u, h)
    assert unlabelled_auroc(u, h).low == pytest.approx(0.5 + (a2.low - 0.5) / p.high)


def test_a_pool_without_anomalies_says_that_nothing_is_known():
    u, h = pool(share=0.0, shift=0.0)
    found = unlabelled_auroc(u, h)
    assert found.low == pytest.approx(0.5, abs=0.1)
    assert found.high == 1.0
    assert found.value == (found.low + found.high) / 2


def test_a_detector_that_is_worse_than_chance_is_not_called_better():
    u, h = pool(share=0.5, shift=-2.0)
    found = unlabelled_auroc(u, h)
    assert found.low == 0
    assert found.low <= found.value <= found.high < 0.5


def test_a_pool_of_anomalies_alone_has_the_two_sample_auroc():
    u, h = pool(share=1.0, shift=6.0)
    found = unlabelled_auroc(u, h)
    assert found.low > 0.99
    assert found.value == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("share", [Interval(0.1, 0.2, 0.3), Interval(0.1, 0.0, 1.1), Interval(0.0, 0.0, 0.0)])
def test_an_impossible_share_is_named(share):
    u, h = pool(share=0.5, shift=1.0)
    with pytest.raises(SettingError, match="share must be an Interval"):
        unlabelled_auroc(u, h, share=share)


def test_too_few_images_are_named():
    with pytest.raises(InputError, match="at least 2"):
        unlabelled_auroc([1.0, 2.0], [1.0])
