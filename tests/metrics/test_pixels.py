"""Pixel AUROC and AUPRO against their definitions, threshold by threshold and region by region."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from feint.core.errors import InputError, SettingError
from feint.metrics.pixels import aupro, pixel_auroc


@st.composite
def sets(draw):
    """Return masks and maps with many ties, among them images without anomalies and regions that touch by corners."""
    n, h, w = (draw(st.integers(1, most)) for most in (3, 7, 6))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    masks = chance.random((n, h, w)) < draw(st.sampled_from([0.1, 0.3, 0.6]))
    masks.flat[0], masks.flat[-1] = True, False
    if h * w * n == 1:
        masks = np.array([[[True, False]]])
    levels = draw(st.sampled_from([1, 2, 5, 10_000]))
    maps = chance.integers(0, levels, masks.shape) / levels + draw(st.sampled_from([0.0, 0.3])) * masks
    return masks, maps


def regions_of(mask):
    """Return the 8-connected regions of one mask (h, w) as lists of pixels, by flooding."""
    left, regions = set(zip(*np.nonzero(mask), strict=True)), []
    while left:
        region, front = [], [left.pop()]
        while front:
            y, x = front.pop()
            region.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            front += near
        regions.append(region)
    return regions


def aupro_by_thresholds(masks, maps, limit):
    """Return the area under the curve (FPR, PRO) at every threshold, by trapezoids cut off at the limit."""
    regions = [[maps[i][p] for p in region] for i, mask in enumerate(masks) for region in regions_of(mask)]
    curve = [(0.0, 0.0)]
    for t in sorted(set(maps.flat), reverse=True):
        overlap = np.mean([np.mean([value >= t for value in region]) for region in regions])
        curve.append((float((maps[~masks] >= t).mean()), float(overlap)))
    area = 0.0
    for (a, low), (b, high) in pairwise(curve):
        end = min(b, limit)
        if end > a:
            reached = low + (high - low) * (end - a) / (b - a)
            area += (end - a) * (low + reached) / 2
    return area / limit


@given(sets())
def test_pixel_auroc_equals_the_mean_over_all_pairs_of_pixels(data):
    masks, maps = data
    anomalous, normal = maps[masks][:, None], maps[~masks][None, :]
    wanted = (anomalous > normal).mean() + (anomalous == normal).mean() / 2
    assert pixel_auroc(masks, maps) == pytest.approx(wanted, abs=1e-12)
    assert wanted == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)


@settings(deadline=None)
@given(sets(), st.sampled_from([0.05, 0.3, 0.5, 1.0]))
def test_aupro_equals_the_area_under_its_curve(data, limit):
    masks, maps = data
    assert aupro(masks, maps, limit=limit) == pytest.approx(aupro_by_thresholds(masks, maps, limit), abs=1e-12)


@given(sets())
def test_both_depend_on_the_order_of_values_alone(data):
    masks, maps = data
    assert pixel_auroc(masks, np.exp(maps)) == pixel_auroc(masks, maps)
    assert aupro(masks, np.exp(maps)) == aupro(masks, maps)


def test_with_one_region_and_no_limit_aupro_is_the_pixel_auroc():
    chance = np.random.default_rng(0)
    masks = np.zeros((2, 9, 8), dtype=bool)
    masks[1, 2:5, 3:7] = True
    maps = np.round(chance.normal(size=masks.shape) + masks, 1)
    assert aupro(masks, maps, limit=1.0) == pytest.approx(pixel_auroc(masks, maps), abs=1e-12)


def test_a_perfect_map_gets_one_its_negative_nothing_and_a_constant_half_the_limit():
    masks = np.zeros((1, 6, 6), dtype=bool)
    masks[0, 1:3, 1:3] = masks[0, 4, 4] = True
    maps = masks.astype(np.float32)
    assert (pixel_auroc(masks, maps), aupro(masks, maps)) == (1.0, 1.0)
    assert (pixel_auroc(masks, -maps), aupro(masks, -maps)) == (0.0, 0.0)
    assert pixel_auroc(masks, 0 * maps) == 0.5
    assert aupro(masks, 0 * maps) == pytest.approx(0.15)


def test_every_region_counts_alike_whatever_its_size():
    masks = np.zeros((1, 8, 8), dtype=bool)
    masks[0, :4, :4] = masks[0, 6, 6] = True
    only_large, only_small = np.zeros((2, 1, 8, 8))
    only_large[0, :4, :4] = only_small[0, 6, 6] = 1.0
    assert aupro(masks, only_large) == pytest.approx(aupro(masks, only_small))
    assert pixel_auroc(masks, only_large) > pixel_auroc(masks, only_small)


def test_pixels_that_touch_by_a_corner_are_one_region_and_regions_do_not_cross_images():
    corner = np.zeros((1, 3, 9), dtype=bool)
    corner[0, 0, 0] = corner[0, 1, 1] = corner[0, 1, 2] = True  # one region of three
    maps = np.zeros((1, 3, 9))
    maps[0, 0, 0] = 1.0
    assert aupro(corner, maps) == pytest.approx(1 / 3 + 2 / 3 * 0.15)
    two = np.zeros((2, 3, 9), dtype=bool)
    two[:, 1, 1] = True
    maps = np.zeros((2, 3, 9))
    maps[0, 1, 1] = 1.0
    assert aupro(two, maps) == pytest.approx(1 / 2 + 1 / 2 * 0.15)


def test_masks_of_zeros_and_ones_and_maps_of_integers_are_taken():
    masks, maps = [[[0, 1], [0, 1]]], [[[0, 2], [1, 1]]]
    assert pixel_auroc(masks, maps) == 0.875
    assert aupro(masks, maps) == pytest.approx(aupro_by_thresholds(np.array(masks, bool), np.array(maps), 0.3))


def test_single_precision_is_not_blurred():
    value = np.float32(0.1)
    maps = np.array([[[value, np.nextafter(value, np.float32(1))]]], dtype=np.float32)
    assert pixel_auroc([[[0, 1]]], maps) == 1.0


@pytest.mark.parametrize("metric", [pixel_auroc, aupro])
@pytest.mark.parametrize(
    ("masks", "maps", "words"),
    [
        (np.zeros((1, 2, 2)), np.ones((1, 2, 2)), "at least one anomalous pixel"),
        (np.ones((1, 2, 2)), np.ones((1, 2, 2)), "at least one normal pixel"),
        (np.eye(2)[None], np.ones((2, 2)), r"got \(1, 2, 2\) and \(2, 2\)"),
        (np.eye(2), np.ones((2, 2)), r"Pass mask\[None\]"),
        (np.zeros((0, 2, 2)), np.zeros((0, 2, 2)), r"none of them 0: got \(0, 2, 2\)"),
        (255 * np.eye(2)[None], np.ones((1, 2, 2)), r"0 \(normal\) or 1 \(anomalous\): got \[0.0, 255.0\]"),
        (np.eye(2)[None], np.array([[[1.0, np.nan], [np.inf, 0.0]]]), "2 NaN or infinite of 4 pixels"),
    ],
    ids=["no_anomalous", "no_normal", "shapes", "2-D", "empty", "mask_values", "nan"],
)
def test_bad_input_is_named(metric, masks, maps, words):
    with pytest.raises(InputError, match=words):
        metric(masks, maps)


@pytest.mark.parametrize("limit", [0.0, -0.3, 1.1, float("nan")])
def test_an_impossible_limit_is_refused(limit):
    with pytest.raises(SettingError, match="false-positive rate in"):
        aupro([[[0, 1]]], [[[0.0, 1.0]]], limit=limit)
