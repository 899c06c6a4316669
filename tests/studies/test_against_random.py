"""Tuned against random magnitudes: a planted gain is found, and the opponent is the best of its family."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from feint.records.study import ROW_COLUMNS
from feint.studies.against_random import beats_random
from feint.studies.plan import Hypothesis

FAMILIES = {"bars": "cutdiff", "digits": "rotation"}


def study(seed, gain, *, normals=4, anomalies=3, seeds=3):
    """Return rows in which tuned magnitudes gain `gain` on the better of two random arms; it differs by data set."""
    generator = np.random.default_rng(seed)
    rows = []
    for data, family in FAMILIES.items():
        better = "rd" if data == "bars" else "rs"
        for normal in range(normals):
            shift = generator.normal(0, 0.02)
            for anomaly in range(anomalies):
                task = f"{data}/one-vs-one/{normal}/{anomaly}"
                for number in range(seeds):
                    arms = {
                        ("st-ssad", family): 0.7 + gain + shift,
                        ("discriminator", f"{better}-{family}"): 0.7,
                        ("discriminator", f"{'rs' if better == 'rd' else 'rd'}-{family}"): 0.5,
                        ("discriminator", "rs-cutout"): 0.95,
                    }
                    for (detector, augmentation), level in arms.items():
                        value = level + generator.normal(0, 0.01)
                        place = (data, "one-vs-one", task, str(normal), str(anomaly), number)
                        rows.append((detector, augmentation, *place, "auroc", value, "done"))
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS))


def found(rows, **options):
    return beats_random(Hypothesis(name="tuned-beats-random", detector="st-ssad", **options), rows)


@pytest.mark.parametrize(("gain", "verdict"), [(0.1, "confirmed"), (-0.1, "not confirmed"), (0.0, "undecided")])
def test_the_verdict_is_that_of_the_interval_over_normal_classes(gain, verdict):
    result = found(study(1, gain))
    assert result.verdict == verdict
    assert (result.clusters, result.tasks) == (8, 24)
    assert result.value == pytest.approx(gain, abs=0.04)
    assert result.low < result.value < result.high


def test_the_opponent_is_the_best_random_arm_of_the_same_augmentation():
    sentence = found(study(1, 0.1)).sentence
    assert "discriminator with rd-cutdiff and discriminator with rs-rotation" in sentence
    assert "cutout" not in sentence


def test_value_and_p_equal_a_plain_computation():
    rows = study(3, -0.012)
    wide = rows.pivot_table(index=["data", "task", "seed"], columns="augmentation", values="value")
    difference = np.concatenate(
        [
            (wide.loc["bars", "cutdiff"] - wide.loc["bars", "rd-cutdiff"]).to_numpy(),
            (wide.loc["digits", "rotation"] - wide.loc["digits", "rs-rotation"]).to_numpy(),
        ]
    )
    result = found(rows)
    assert result.value == pytest.approx(difference.mean(), abs=1e-12)
    p = wilcoxon(difference, alternative="greater", method="approx", correction=False).pvalue
    assert 0.01 < p < 0.99
    assert f"over 72 pairs of task and seed, which counts one normal class many times: {p:.3f}." in result.sentence


def test_what_an_arm_has_not_finished_is_left_out_for_all():
    rows = study(1, 0.1)
    failed = (rows["augmentation"] == "rs-cutdiff") & (rows["normal"] == "0")
    rows.loc[failed, ["value", "status"]] = np.nan, "failed"
    assert found(rows).tasks == 21


def test_it_can_be_asked_of_some_data_sets_only():
    result = found(study(1, 0.1), data=["bars"])
    assert (result.clusters, result.tasks) == (4, 12)
    assert result.verdict == "undecided"
    assert result.hypothesis.startswith("st-ssad on bars: tuned magnitudes beat random ones")


@pytest.mark.parametrize("left", [["st-ssad"], ["discriminator"], []])
def test_without_the_two_sides_nothing_is_said(left):
    rows = study(1, 0.1)
    result = found(rows[rows["detector"].isin(left)])
    assert result.verdict == "undecided"
    assert "Nothing can be said" in result.sentence


def test_under_the_null_a_gain_is_hardly_ever_claimed():
    claimed = sum(found(study(seed, 0.0)).verdict == "confirmed" for seed in range(20))
    assert claimed <= 2
