"""What a frozen encoder is worth: against scikit-learn, and on toys whose answer is known."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score
from small_wild import textures

from feint.data.imbalance import LabelledSplit, split_labelled
from feint.pretraining.optimisation import usual
from feint.pretraining.training import Training
from feint.studies.wild_judging import Parts, judge_label_free, judge_logits, judge_probes, judge_scorers
from feint.studies.wild_supervised import supervised_logits


def two_clouds(counts, *, apart, seed=0):
    """Return embeddings (n, 4) and labels (n,): two normal distributions, `apart` standard deviations from another."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], counts)
    z = generator.normal(size=(len(labels), 4))
    z[:, 0] += apart * labels
    return z, labels


@pytest.fixture(scope="module")
def parts():
    z, labels = two_clouds((400, 120), apart=2.0)
    split = split_labelled(labels, seed=0)
    return Parts(z=z, rows=np.arange(len(z)), labels=labels, split=split, seen=split.pool, probed=split.pool)


def test_decisions_are_those_of_scikit_learn(parts):
    test = parts.split.test_natural
    logits = np.random.default_rng(1).normal(size=len(test)) + parts.labels[test]
    found = judge_logits(logits, parts.labels, parts.split, learned=0.5, rows=test)
    balanced = np.isin(test, parts.split.test_balanced)
    y, s = parts.labels[test][balanced], logits[balanced]
    assert found["auroc"] == pytest.approx(roc_auc_score(y, s))
    assert found["average_precision"] == pytest.approx(average_precision_score(y, s))
    assert found["f1"] == pytest.approx(f1_score(y, s > 0))
    assert found["f1:corrected"] == found["f1"]
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, s > 0))
    assert found["auroc:natural"] == pytest.approx(roc_auc_score(parts.labels[test], logits))
    assert found["average_precision:natural"] == pytest.approx(average_precision_score(parts.labels[test], logits))


def test_average_precision_has_its_baseline_beside_it(parts):
    test = parts.split.test_natural
    found = judge_logits(np.zeros(len(test)), parts.labels, parts.split, learned=0.5, rows=test)
    assert found["prevalence"] == found["average_precision"] == 0.5
    assert found["prevalence:natural"] == found["average_precision:natural"] == parts.labels[test].mean()


def test_the_prior_correction_recovers_f1():
    """Logits that are right at 1 % anomalies, met at one half: cut at even odds, they would flag next to nothing."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20_000)
    x = generator.normal(2 * labels - 1)
    logits = 2 * x + np.log(0.01 / 0.99)
    rows = np.arange(len(labels))
    empty = np.zeros(0, np.intp)
    split = LabelledSplit(pool=empty, val_balanced=empty, test_balanced=rows, test_natural=rows, left_out=empty)
    found = judge_logits(logits, labels, split, learned=0.01, rows=rows)
    assert found["f1"] < 0.25
    assert found["f1:corrected"] == pytest.approx(norm.cdf(1), abs=0.01)


def test_probes_come_near_the_best_there_is(parts):
    found, logits = judge_probes(parts, seed=0)
    best = norm.cdf(2 / np.sqrt(2))
    for name in ("auroc", "auroc:probe-weighted", "auroc:natural", "auroc:few-50"):
        assert found[name] == pytest.approx(best, abs=0.06), name
    assert {f"{kind}:few-{count}" for kind in ("auroc", "sd") for count in (5, 10, 20, 50)} <= found.keys()
    assert found["f1:best-val"] > 0.7
    assert len(logits) == len(parts.split.test_natural)


def test_few_labels_are_drawn_only_where_there_are_so_many(parts):
    anomalous = parts.split.pool[parts.labels[parts.split.pool] == 1][:12]
    normal = parts.split.pool[parts.labels[parts.split.pool] == 0]
    few = Parts(
        z=parts.z, rows=parts.rows, labels=parts.labels, split=parts.split, seen=normal,
        probed=np.concatenate([anomalous, normal]),
    )  # fmt: skip
    names = judge_probes(few, seed=0)[0].keys()
    assert {"auroc:few-5", "auroc:few-10"} <= names
    assert not {"auroc:few-20", "auroc:few-50"} & names


def test_every_scorer_finds_what_lies_apart():
    z, labels = two_clouds((300, 40), apart=12.0)
    z[:, 1] += 12  # the nearest neighbours are those of directions
    split = split_labelled(labels, seed=0)
    seen = split.pool[labels[split.pool] == 0]
    found = judge_scorers(
        Parts(z=z, rows=np.arange(len(z)), labels=labels, split=split, seen=seen, probed=seen), seed=0
    )
    assert len(found) == 6 + 2
    assert min(found.values()) > 0.95, found


def test_label_free_metrics_say_where_they_were_taken():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(60, 5))
    views = z[:20, None] + 0.1 * generator.normal(size=(20, 3, 5))
    options = {"views": views, "pair": (views[:, 0], views[:, 1]), "seed": 0}
    here, there = judge_label_free(z, **options), judge_label_free(z, **options, at="projector")
    assert {f"{name}@projector": value for name, value in here.items()} == there
    assert {"free:rankme", "free:lidar", "free:alignment"} <= here.keys()
    assert np.isfinite(list(here.values())).all()


@dataclass(frozen=True)
class Twin:
    encoder: str = "resnet8"
    views: str = "mae"
    seed: int = 0

    def training(self):
        return Training(optimisation=usual(self.encoder, batch=16), steps=40, batch=16, seed=self.seed)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_supervised_twin_learns_what_is_separable(weighted):
    generator = np.random.default_rng(0)
    kinds = [textures(60, defects=defects, generator=generator) for defects in (False, True)]
    pixels, labels = np.concatenate(kinds)[:, None], np.repeat([0, 1], 60)
    rows = np.concatenate([np.arange(40), 60 + np.arange(10)])
    test = np.setdiff1d(np.arange(120), rows)
    logits = supervised_logits(Twin(), pixels, rows, labels[rows], test, weighted=weighted)
    assert roc_auc_score(labels[test], logits) > 0.9


def test_classes_that_weigh_alike_flag_more():
    generator = np.random.default_rng(0)
    pixels = textures(80, defects=False, generator=generator)[:, None]
    labels = np.repeat([0, 1], [70, 10])
    rows, test = np.arange(80), np.arange(20)
    plain, weighted = (supervised_logits(Twin(), pixels, rows, labels, test, weighted=each) for each in (False, True))
    assert plain.mean() < -0.8 < weighted.mean()
