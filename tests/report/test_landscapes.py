"""Landscapes: the panels say what the points say."""

from __future__ import annotations

import re

import numpy as np
import pytest
from landscapes_for_report import landscape
from runs_for_report import ensemble, run

from feint.report.landscapes import Landscape, Panel, landscapes
from feint.report.words import NBSP


def shown(name: str, *, points: int = 24, auroc: list[float] | None = None) -> Landscape:
    aurocs = {(name, (64, 64)): auroc} if auroc else {}
    return landscapes(run(landscapes=[landscape(name, points=points)]), aurocs=aurocs)[0]


def test_a_dot_for_every_setting_in_a_panel_for_every_magnitude() -> None:
    panels = shown("cutdiff").panels
    assert [panel.title for panel in panels] == ["Area, %", "Aspect", "Angle, °", "Amplitude, %"]
    for panel in panels:
        assert len(panel.criterion.dots) == 24
        assert panel.criterion.path == ""
        assert all(Panel.LEFT <= x <= Panel.RIGHT and Panel.TOP <= y <= Panel.BOTTOM for x, y in panel.criterion.dots)


def test_higher_criterion_stands_higher_and_a_wide_range_is_logarithmic() -> None:
    record = landscape()
    panel = shown("cutdiff").panels[0]
    areas = np.log([point.magnitudes["area"] for point in record.points])
    criteria = [point.two_sample_auroc for point in record.points]
    across, down = np.array(panel.criterion.dots).T
    assert np.corrcoef(across, areas)[0, 1] == pytest.approx(1, abs=1e-5)
    assert np.corrcoef(down, criteria)[0, 1] == pytest.approx(-1, abs=1e-4)


def test_the_chosen_setting_is_marked_at_its_value_and_the_smoothed_criterion() -> None:
    panel = shown("noise").panels[0]
    assert panel.chosen is not None
    assert panel.chosen[0] == Panel.RIGHT
    ticks = {text: y for y, text in panel.criterion.ticks}
    share = (0.55 - 0.5) / (0.54 - 0.5)
    assert panel.chosen[1] == pytest.approx(ticks["0.50"] + share * (ticks["0.54"] - ticks["0.50"]), abs=0.3)
    assert panel.chance == ticks["0.50"]


def test_one_magnitude_is_joined_from_left_to_right() -> None:
    panel = shown("noise").panels[0]
    across = [float(x) for x in re.findall(r"[ML]([\d.]+) ", panel.criterion.path)]
    assert across == sorted(x for x, _ in panel.criterion.dots)


def test_an_angle_wraps() -> None:
    panel = shown("rotation").panels[0]
    places = re.findall(r"[ML]([\d.]+) ([\d.]+)", panel.criterion.path)
    assert (float(places[0][0]), float(places[-1][0])) == (Panel.LEFT, Panel.RIGHT)
    assert places[0][1] == places[-1][1]
    assert panel.chosen is not None
    assert panel.chosen[0] == pytest.approx(Panel.LEFT + 358 / 360 * (Panel.RIGHT - Panel.LEFT), abs=0.1)
    assert [text for _, text in panel.x_ticks] == ["0", "90", "180", "270", "360"]


def test_part_of_a_turn_does_not_wrap() -> None:
    record = landscape("rotation").model_copy(update={"ranges": {"angle": (-30.0, 390.0)}, "chosen": {"angle": -30.0}})
    panel = landscapes(run(landscapes=[record]), aurocs={})[0].panels[0]
    assert panel.chosen is not None
    assert panel.chosen[0] == Panel.LEFT
    assert panel.criterion.path.count("L") == 23


def test_magnitudes_that_all_settings_share_have_no_panel() -> None:
    record = landscape()
    points = [point.model_copy(update={"magnitudes": point.magnitudes | {"aspect": 0.5}}) for point in record.points]
    drawn = landscapes(run(landscapes=[record.model_copy(update={"points": points})]), aurocs={})[0]
    assert [panel.title for panel in drawn.panels] == ["Area, %", "Angle, °", "Amplitude, %"]


def test_aurocs_have_a_scale_of_their_own() -> None:
    auroc = [0.5 + 3 * (point.two_sample_auroc - 0.5) for point in landscape("noise").points]
    drawn = shown("noise", auroc=auroc)
    series = drawn.panels[0].auroc
    assert series is not None
    heights = np.array(series.dots)[:, 1]
    assert heights.argmin() == np.argmax(auroc)
    assert heights.max() - heights.min() > 0.6 * (Panel.BOTTOM - Panel.TOP)
    best = int(np.argmax(auroc))
    assert drawn.sentences == [
        f"Of 24 settings, the one of the highest criterion has an AUROC of {auroc[best]:.3f}; "
        f"the best one has {auroc[best]:.3f}, the mean is {np.mean(auroc):.3f}."
    ]
    assert drawn.rows[0][1] == auroc[best]


def test_the_most_telling_comes_first_and_voters_are_marked() -> None:
    drawn = landscapes(ensemble(), aurocs={})
    assert [(each.kind, each.votes) for each in drawn] == [
        ("soft patches", True),
        ("turned images", True),
        ("noisy images", False),
    ]


def test_settings_are_listed_best_first() -> None:
    criteria = [point.two_sample_auroc for point, _ in shown("cutdiff").rows]
    assert criteria == sorted(criteria, reverse=True)


def test_the_search_is_told_in_words() -> None:
    assert " ".join(shown("noise").sentences).replace(NBSP, " ") == (
        "24 settings were judged with one training. Smoothed, the criterion is highest at noise 50 %: 0.550. "
        "The search first ended at a bound, so it was repeated once beyond it. The best noise lies at the very end of "
        "what can be set: what would suit these images still better may lie beyond."
    )
