"""Charts: the geometry says what the numbers say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs_for_report import CALIBRATION_SCORES, SCORES

from feint.report import charts, images

FINITE = st.floats(-1e6, 1e6)


@given(st.lists(FINITE, min_size=1, max_size=60), st.lists(FINITE, min_size=0, max_size=60), st.none() | FINITE)
def test_bars_hold_every_image(unlabelled: list[float], calibration: list[float], threshold: float | None) -> None:
    drawn = charts.histogram(np.array(unlabelled), np.array(calibration), threshold=threshold)
    assert drawn is not None
    scale = (drawn.y_ticks[-1][0] - charts.Histogram.BOTTOM) / float(drawn.y_ticks[-1][1])
    assert sum(bar.height for bar in drawn.bars) == pytest.approx(-100 * scale, abs=0.1 * len(drawn.bars) + 1)
    assert all(
        bar.x >= charts.Histogram.LEFT and bar.x + bar.width <= charts.Histogram.RIGHT + 0.2 for bar in drawn.bars
    )
    assert drawn.threshold is None or charts.Histogram.LEFT <= drawn.threshold <= charts.Histogram.RIGHT


def test_bars_above_the_threshold_hold_what_lies_above() -> None:
    threshold = 3.86
    drawn = charts.histogram(SCORES, CALIBRATION_SCORES, threshold=threshold)
    assert drawn is not None
    share = sum(bar.height for bar in drawn.bars if bar.above) / sum(bar.height for bar in drawn.bars)
    assert share == pytest.approx(np.mean(threshold <= SCORES), abs=0.01)
    assert min(bar.x for bar in drawn.bars if bar.above) == drawn.threshold


def test_identical_scores_make_one_bar() -> None:
    drawn = charts.histogram(np.full(30, 2.0), np.full(20, 2.0), threshold=2.0)
    assert drawn is not None
    assert len(drawn.bars) == 1


def test_a_far_outlier_does_not_squeeze_the_rest() -> None:
    scores = np.append(SCORES, 1e4)
    drawn = charts.histogram(scores, CALIBRATION_SCORES, threshold=None)
    assert drawn is not None
    assert len(drawn.bars) > 10
    assert 1 <= drawn.gathered <= 0.011 * len(np.append(scores, CALIBRATION_SCORES))


def test_no_scores_no_histogram() -> None:
    assert charts.histogram(np.array([]), np.array([np.nan]), threshold=None) is None


@given(FINITE, st.floats(1e-6, 1e6), st.integers(3, 9))
def test_ticks_are_few_round_and_within(low: float, length: float, most: int) -> None:
    axis = charts.Axis(low, low + max(length, abs(low) * 1e-6), 0, 1000)
    ticks = axis.ticks(most)
    assert 1 <= len(ticks) <= most + 1
    assert all(-0.1 <= place <= 1000.1 for place, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)


def test_axis_is_linear() -> None:
    axis = charts.Axis(2.0, 4.0, 100.0, 0.0)
    assert [axis.at(v) for v in (2.0, 3.0, 4.0)] == [100.0, 50.0, 0.0]


def test_a_log_axis_steps_evenly_through_powers() -> None:
    axis = charts.Axis(0.1, 1000.0, 0.0, 400.0, log=True)
    assert [axis.at(v) for v in (0.1, 1, 10, 1000)] == [0.0, 100.0, 200.0, 400.0]
    assert axis.ticks(5) == [(0.0, "0.1"), (100.0, "1"), (200.0, "10"), (300.0, "100"), (400.0, "1000")]


@given(st.floats(1e-4, 10), st.floats(10.1, 1e8))
def test_ticks_of_a_log_axis_are_few_and_within(low: float, span: float) -> None:
    ticks = charts.Axis(low, low * span, 0, 1000, log=True).ticks(5)
    assert 1 <= len(ticks) <= 5
    assert all(-0.1 <= place <= 1000.1 for place, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)


def test_overlay_is_clear_below_the_scale_and_coloured_above() -> None:
    image = np.full((40, 60), 100, np.uint8)
    heat = np.zeros((10, 15))
    heat[:, 10:] = 5.0
    shown = images.overlay(image, heat, scale=(0.0, 1.0))
    assert (shown[:, :30] == 100).all()
    assert shown.shape == (40, 60, 3)
    assert (shown[:, 50:, 0] > shown[:, 50:, 2].astype(int) + 20).all()


def test_overlay_bears_a_flat_scale_and_holes_in_the_map() -> None:
    image = np.full((8, 8, 3), 50, np.uint8)
    assert (images.overlay(image, np.full((8, 8), np.nan), scale=(1.0, 1.0)) == 50).all()


def test_large_pictures_are_shrunk_and_small_ones_kept_exactly() -> None:
    import base64
    import io

    from PIL import Image

    small = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    uri, width, height = images.data_uri(small)
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
    assert (decoded == small).all()
    assert (width, height) == (28, 28)
    assert images.data_uri(np.zeros((500, 4000), np.uint8))[1:] == (320, 40)
    assert images.data_uri(np.zeros((1, 9000), np.uint8))[1:] == (320, 1)
