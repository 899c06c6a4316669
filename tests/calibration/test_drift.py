import math

import numpy as np
import pytest

from feint.calibration.drift import drifted
from feint.core.errors import InputError
from feint.runs.scored import drift_warning

REPEATS = 600


def share_warned(m, n, *, share=0.0, anomalies=3.0, shift=0.0, seed=0, decimals=9):
    """Share of repeats that warn, for m calibration and n new scores, some anomalous and all of them shifted."""
    generator = np.random.default_rng(seed)
    raised = anomalies * (np.arange(n) < share * n) + shift
    return np.mean([
        drifted(
            np.round(generator.normal(size=m), decimals), np.round(generator.normal(size=n) + raised, decimals)
        ).warns
        for _ in range(REPEATS)
    ])  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize(("m", "n"), [(8, 100), (20, 30), (240, 1000)])
@pytest.mark.parametrize("anomalies", [1.0, 6.0])
def test_exchangeable_normals_rarely_warn_whatever_the_anomalies(share, m, n, anomalies):
    assert share_warned(m, n, share=share, anomalies=anomalies) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPEATS)


def test_coarse_scores_with_ties_rarely_warn():
    assert share_warned(100, 300, share=0.1, decimals=0) <= 0.05


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_a_shift_down_is_seen_beneath_the_anomalies(share):
    assert share_warned(240, 1000, share=share, shift=-1.0) > 0.9


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_a_strong_shift_up_is_seen(share):
    assert share_warned(240, 1000, share=share, shift=1.3) > 0.9


def test_a_slight_shift_up_cannot_be_told_from_anomalies_and_stays_silent():
    assert share_warned(240, 1000, shift=0.3) < 0.05


def test_brighter_images_raise_the_scores_of_a_detector_and_warn():
    """Scores = distance of the mean grey value and contrast of real pixel noise from the calibration's own."""
    generator = np.random.default_rng(3)

    def features(images):
        return np.stack([images.mean(axis=(1, 2)), images.std(axis=(1, 2))], axis=1)

    def shoot(n):
        return np.clip(generator.normal(0.5, 0.1, size=(n, 8, 8)) + generator.normal(0, 0.02, size=(n, 1, 1)), 0, 1)

    training = features(shoot(300))
    scores = [
        np.linalg.norm((features(images) - training.mean(axis=0)) / training.std(axis=0), axis=1)
        for images in (shoot(200), shoot(300), np.clip(shoot(300) + 0.08, 0, 1))
    ]
    assert not drifted(scores[0], scores[1]).warns
    brighter = drifted(scores[0], scores[2])
    assert brighter.warns
    assert "scores alone cannot tell which" in brighter.sentence


def test_the_sentence_says_which_way_and_how_much():
    calibration = np.arange(200.0)
    down = drifted(calibration, calibration - 100)
    assert down.warns
    assert down.sentence.startswith("100% of the new images score as low as the lowest 50% of the calibration's normal")
    assert "moved down" in down.sentence
    assert "If they are new, tune again with images of today among the normal ones." in down.sentence
    assert down.statistic > 1.5
    up = drifted(calibration, calibration + 150)
    assert "more than half of the new images are anomalous, or all scores have moved up" in up.sentence
    assert up.sentence.startswith("0% of the new images score as low as the lowest 50% of the calibration's normal")
    assert up.statistic < 0.5
    still = drifted(calibration, calibration)
    assert not still.warns
    assert "where calibration left it" in still.sentence
    assert 0 < still.p_value <= 1


def test_a_handful_of_calibration_scores_shows_a_strong_shift():
    """As one detector of a cross-fitted run has."""
    generator = np.random.default_rng(5)
    calibration, new = generator.normal(size=12), generator.normal(size=100)
    assert drift_warning(calibration, new) is None
    assert "moved up" in drift_warning(calibration, new + 3)
    assert "moved down" in drift_warning(calibration, new - 3)
    assert drift_warning([], new + 3) is None
    assert drift_warning(calibration, new[:19] - 3) is None


def test_only_the_order_of_scores_matters():
    generator = np.random.default_rng(4)
    calibration, new = generator.normal(size=100), generator.normal(size=100) - 0.5
    assert drifted(np.exp(calibration), np.exp(new)) == drifted(calibration, new)


def test_a_single_new_image_never_warns():
    assert not drifted(np.arange(100.0), [-5.0]).warns
    assert not drifted(np.arange(100.0), [500.0]).warns


def test_bad_input_is_named():
    with pytest.raises(InputError, match="new scores must be finite"):
        drifted([1.0, 2.0], [math.nan])
    with pytest.raises(InputError, match="calibration scores must have shape"):
        drifted([], [1.0])
