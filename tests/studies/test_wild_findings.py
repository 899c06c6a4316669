"""The findings of a study of representations: what is planted is found, and nothing is claimed of too little."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, ttest_1samp
from wild_rows import ARMS, EFFECT, wild_rows

from feint.studies.wild_findings import read_wild
from feint.studies.wild_table import levels_of, share_of

SMALL = {"arms": ["simclr/resnet8", "byol/resnet8", "mae/vit_micro"], "levels": ("2%", "15%")}
CLAIMS = ["embedding", "encoder", "SimCLR", "BYOL", "RankMe", "supervised"]


def read(rows):
    return read_wild(rows, name="wild", version="1.0", plan="")


@pytest.fixture(scope="module")
def planted():
    return read(wild_rows(levels=("2%", "15%"), seeds=2))


def verdict(record, word):
    return next(each.verdict for each in record.claims if word in each.claim)


def test_what_is_planted_holds(planted):
    assert {word: verdict(planted, word) for word in CLAIMS} == dict.fromkeys(CLAIMS, "holds here")


def test_the_contrary_does_not_hold():
    effect = {"simclr": 0.0, "byol": 0.02, "barlow_twins": 0.02, "dino": 0.02, "mae": 0.15, "supervised": 0.0}
    record = read(wild_rows(levels=("2%", "15%"), seeds=2, effect=effect, informed=("rankme",)))
    refuted = ["embedding", "SimCLR", "RankMe", "supervised"]
    assert {word: verdict(record, word) for word in refuted} == dict.fromkeys(refuted, "does not hold here")


def test_too_few_units_decide_nothing():
    record = read(wild_rows(**SMALL, sets={"tile": ["good"], "cells": ["good"]}))
    assert {each.verdict for each in record.claims} == {"this size cannot decide"}
    assert "too few to be trusted" in next(each.sentence for each in record.claims if "embedding" in each.claim)


def test_what_was_not_run_is_said():
    record = read(wild_rows(arms=["simclr/resnet8", "dino/resnet8"], levels=("2%",), seeds=2))
    silent = {each.claim: each.sentence for each in record.claims if each.estimate is None}
    assert len(silent) == 4
    assert all(sentence.startswith("Nothing can be said") for sentence in silent.values())


def test_gains_are_paired_with_the_untrained_encoder_of_the_same_seed():
    rows = wild_rows(**SMALL, noise=0.03)
    found = next(each for each in read(rows).gains if each.arm == "simclr/resnet8" and each.data == "fashion")
    probe = rows[(rows["metric"] == "auroc") & (rows["data"] == "fashion")]
    key = ["testbed", "normal", "seed"]
    paired = (
        probe[probe["detector"] == "simclr/resnet8"].set_index(key)["value"]
        - probe[probe["detector"] == "untrained/resnet8"].set_index(key)["value"]
    )
    seeds = paired.groupby("seed").mean()
    interval = ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert (found.probe.value, found.probe.low, found.probe.high) == pytest.approx((seeds.mean(), *interval))
    assert found.probe.repetitions == 3


def test_who_beats_the_untrained_encoder_and_who_does_not(planted):
    beaten = {each.arm: each.by_both for each in read(wild_rows(**SMALL)).beaten}
    assert set(beaten["simclr/resnet8"]) == {"tile", "cells", "fashion", "knit", "leather"}
    assert beaten["mae/vit_micro"] == []
    assert {each.arm for each in planted.beaten} == set(ARMS)


def test_no_arm_may_pick_from_more_scorers_than_the_untrained_encoder(planted):
    """MAE's reconstruction scores .98 here, and few-label probes .99: neither is a label-free scorer that all have."""
    assert {each.scorer for each in planted.cells} <= {"knn", "mahalanobis", "lof"}
    assert max(each.scored.mean for each in planted.cells) < 0.95


def test_shares_sum_to_one_in_the_complete_block_which_leaves_mae_out(planted):
    block, everything = planted.splits
    assert block.balanced
    assert sum(each.eta.value for each in block.shares) + block.residual == pytest.approx(1)
    assert {arm.split("/")[0] for arm in block.arms} == {"simclr", "byol", "barlow_twins", "dino"}
    assert (block.cells, everything.cells) == (8 * 2 * 6, 9 * 2 * 6)
    assert [each.name for each in block.shares][-2:] == ["method × level", "encoder × level"]


def test_agreement_is_kendalls_within_each_unit(planted):
    lidar = next(each for each in planted.criteria if each.name == "lidar")
    points = pd.DataFrame([{"unit": p.unit, "auroc": p.auroc, **p.metrics} for p in planted.points])
    taus = [kendalltau(mine["lidar"], mine["auroc"]).statistic for _, mine in points.groupby("unit")]
    assert lidar.agreement["within set and class"].tau.value == pytest.approx(np.mean(taus))
    assert lidar.agreement["pooled"].tau.value == pytest.approx(kendalltau(points["lidar"], points["auroc"]).statistic)
    assert lidar.checkpoints == len(points)


def test_a_criterion_that_follows_the_auroc_is_confirmed_on_other_sets(planted):
    assert planted.criteria[0].name == "lidar"
    assert set(planted.confirmation.chosen.values()) == {"lidar"}
    assert planted.confirmation.verdict == "holds here"


def test_criteria_of_pure_noise_are_not_confirmed():
    record = read(wild_rows(**SMALL, informed=()))
    assert record.confirmation.verdict != "holds here"
    assert verdict(record, "RankMe") == "holds here"


def test_directions_are_those_that_were_fixed_before(planted):
    """Uniformity counts as better where it is lower: planted upside down, it must agree with AUROC negatively."""
    rows = wild_rows(**SMALL, informed=("uniformity",))
    as_claimed = next(each for each in read(rows).criteria if each.name == "uniformity")
    turned = rows["metric"] == "free:uniformity"
    rows.loc[turned, "value"] *= -1
    against = next(each for each in read(rows).criteria if each.name == "uniformity")
    assert as_claimed.agreement["pooled"].tau.value > 0.9
    assert against.agreement["pooled"].tau.value == pytest.approx(-as_claimed.agreement["pooled"].tau.value)
    names = {each.name for each in planted.criteria}
    assert "clid" in names
    assert "intrinsic_dimension" not in names


def test_incomplete_choices_are_left_out_and_counted():
    rows = wild_rows(**SMALL)
    gone = (rows["detector"] == "byol/resnet8") & (rows["data"] == "tile") & (rows["seed"] == 0)
    record = read(rows[~gone])
    assert record.tasks == 6 * 2 * 3 - 2
    assert "2 of 36 choices: some arm has no result there" in record.left_out


def test_a_metric_that_mae_lacks_never_chooses_it():
    rows = wild_rows(**SMALL, informed=("rankme@projector",))
    lacking = (rows["detector"] == "mae/vit_micro") & (rows["metric"] == "free:rankme@projector")
    found = next(each for each in read(rows[~lacking]).criteria if each.name == "rankme@projector")
    assert found.regret.value < 0.005
    assert found.checkpoints == 2 * 2 * 6 * 3


def test_arms_with_several_views_are_kept_apart():
    rows = wild_rows(arms=["simclr/resnet8"], levels=("2%",), seeds=2)
    other = rows[rows["detector"] == "simclr/resnet8"].assign(augmentation="defect")
    names = {each.name for each in read(pd.concat([rows, other])).arms if each.kind == "method"}
    assert names == {"simclr/resnet8 (small)", "simclr/resnet8 (defect)"}


@pytest.mark.parametrize(
    "rows",
    [
        wild_rows(**SMALL).iloc[:0],
        wild_rows(**SMALL).assign(status="failed", value=np.nan),
        wild_rows(arms=["mae/vit_micro"], sets={"tile": ["good"]}, levels=("2%",), seeds=1),
        wild_rows(**SMALL).query("not detector.str.startswith('untrained')"),
        wild_rows(**SMALL).query("metric == 'auroc'"),
        wild_rows(**SMALL).query("not metric.str.startswith('auroc')"),
    ],
    ids=["nothing", "all failed", "one cell", "no reference", "probe alone", "no probe"],
)
def test_whatever_is_missing_there_is_a_record(rows):
    assert len(read(rows).claims) == len(CLAIMS)


def test_levels_go_from_few_to_many():
    table = pd.DataFrame({"level": ["natural", "15%", "2%", "50%", "1%"]})
    assert levels_of(table) == ["1%", "2%", "15%", "50%", "natural"]
    assert share_of("x%") == float("inf")


def test_the_planted_effects_come_back_in_order(planted):
    overall = {each.arm: each.probe.value for each in planted.gains if not each.data}
    methods = [method for method in EFFECT if method != "supervised"]
    gains = [overall[f"{method}/vit_micro"] for method in methods]
    assert gains == sorted(gains, reverse=True)
