"""The geometry of the study's charts, the layout of embeddings, and the numbers as they are written."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_for_report import panel

from feint.records.study import GROUPS
from feint.report.study import charts, embedding, marks, numbers
from feint.report.study.sweeps import values_of


def places(path):
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_each_group_fills_the_same_fifteen_bins_with_a_hundred_per_cent():
    rng = np.random.default_rng(0)
    drawn = charts.score_histogram({name: rng.normal(i, 1, 50 + i) for i, name in enumerate(GROUPS)})
    assert [curve.mark.title for curve in drawn.curves] == list(GROUPS)
    lines = [places(curve.line) for curve in drawn.curves]
    assert all(len(line) == charts.BINS for line in lines)
    assert len({tuple(x for x, _ in line) for line in lines}) == 1
    y0, y1 = drawn.y_ticks[0][0], drawn.y_ticks[1][0]
    per_unit = float(drawn.y_ticks[1][1]) / (y0 - y1)
    for line in lines:
        assert sum((y0 - y) * per_unit for _, y in line) == pytest.approx(100, abs=1)


def test_one_far_score_does_not_squeeze_the_others():
    scores = np.append(np.linspace(0, 1, 999), 1e6)
    drawn = charts.score_histogram({"test normal": scores})
    assert drawn.gathered == pytest.approx(10, abs=1)
    assert float(drawn.x_ticks[-1][1]) <= 1


@pytest.mark.parametrize("scores", [{}, {"test normal": np.array([np.nan, np.inf])}, {"test normal": np.empty(0)}])
def test_no_histogram_without_a_finite_score(scores):
    assert charts.score_histogram(scores) is None


def test_a_constant_score_still_has_a_histogram():
    assert charts.score_histogram({"test normal": np.full(9, 3.0)}) is not None


def test_ranks_stand_best_first_and_bars_join_their_groups():
    ranks = {"a": 1.2, "b": 2.0, "c": 2.9, "d": 3.9}
    drawn = charts.rank_diagram(ranks, categories={}, critical_difference=1.0, groups=[["a", "b"], ["c", "d"]])
    x = {label.name: label.x for label in drawn.labels}
    assert sorted(x, key=x.get) == ["a", "b", "c", "d"]
    assert [label.left for label in drawn.labels] == [True, True, False, False]
    assert len({(label.left, label.y) for label in drawn.labels}) == 4
    assert [(low < x[a], high > x[b]) for (low, high, _), a, b in zip(drawn.bars, "ac", "bd", strict=True)] == [
        (True, True)
    ] * 2
    unit = (charts.RankDiagram.RIGHT - charts.RankDiagram.LEFT) / 3
    assert drawn.critical[1] - drawn.critical[0] == pytest.approx(unit, abs=0.2)


def test_sweeps_share_their_axes_and_draw_a_missing_end_as_the_mean():
    nan = math.nan
    first, second = charts.sweep_charts(
        {"low": {0.1: (0.0, -0.01, 0.01), 0.2: (0.02, nan, nan)}, "high": {0.1: (0.2, 0.1, 0.3), 0.2: (0.1, 0.0, 0.2)}}
    )
    assert first.y_ticks == second.y_ticks
    assert first.zero == second.zero == first.points[0][1]
    _, mean, low, high = first.points[1]
    assert mean == low == high
    assert charts.sweep_charts({}) == []


def test_values_are_read_from_names():
    names = ["cutout", "cutout-0.3", "cutout-0.1", "mask-0.5", "oe-1", "oe-2", "cp-scar"]
    assert values_of(names) == {"cutout": {0.1: "cutout-0.1", 0.3: "cutout-0.3"}}


def test_zero_stands_on_every_axis_of_means():
    for values in (np.array([0.2, 0.3]), np.array([-0.3, -0.2]), np.array([np.nan])):
        scale = charts.whiskers(values)
        assert charts.Whiskers.LEFT <= scale.zero <= charts.Whiskers.RIGHT


def test_categories_and_groups_differ_in_shape_and_not_in_colour_alone():
    names = ["none", "geometric", "elementwise", "color", "local", "mixed", "of my own"]
    found = [marks.category(name) for name in names]
    assert len({mark.path for mark in found}) == len({mark.key for mark in found}) == len(names)
    assert len({mark.path for mark in marks.GROUP_MARKS.values()}) == len(GROUPS)


def test_groups_that_lie_apart_stay_apart_in_the_plane_and_twice_is_the_same():
    embeddings = panel(0.3, n=30).embeddings
    drawn = embedding.scatter(embeddings, seed=3)
    assert drawn == embedding.scatter(embeddings, seed=3)
    assert drawn.method == "t-SNE"
    middle = {cloud.mark.title: np.mean(cloud.points, axis=0) for cloud in drawn.clouds}
    apart = np.linalg.norm(middle["train normal"] - middle["pseudo-anomalous"])
    assert apart > 3 * np.linalg.norm(middle["train normal"] - middle["test normal"])


@pytest.mark.parametrize("d", [1, 2, 5])
def test_few_points_are_laid_out_by_their_main_axes(d):
    points = np.random.default_rng(0).normal(size=(9, d))
    drawn = embedding.scatter({"test normal": points, "test anomalous": points[:0]}, seed=0)
    assert "PCA" in drawn.method
    assert [len(cloud.points) for cloud in drawn.clouds] == [9]
    assert all(0 <= v <= embedding.Scatter.SIDE for point in drawn.clouds[0].points for v in point)


def test_what_cannot_be_laid_out_is_not():
    assert embedding.scatter({}, seed=0) is None
    assert embedding.scatter({"test normal": np.full((40, 3), np.nan)}, seed=0) is None
    assert embedding.scatter({"test normal": np.ones((40, 3))}, seed=0) is not None


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1, max_value=1))
def test_a_written_difference_keeps_its_sign_and_three_decimals(x):
    text = numbers.signed(x).replace("−", "-")
    assert float(text) == pytest.approx(x, abs=0.000501)
    assert text[0] in "+-" or float(text) == 0


@given(st.floats(min_value=0, max_value=1))
def test_a_small_p_is_never_written_as_zero(p):
    text = numbers.small(p)
    assert text == "<.001" if p < 0.001 else float(text) == pytest.approx(p, abs=0.00501)
