"""The page of a study: complete, safe, self-contained, and of use whatever is missing."""

import base64
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from study_for_report import CATEGORIES, FINDINGS, HOSTILE, SWEEPS, failed, large, panel, study, tasks

from feint.report.study import render


@pytest.fixture(scope="module")
def page():
    panels = [panel(0.15), panel(-0.05, aligned=False, seed=1)]
    return render(study(seeds=3, panels=panels, findings=FINDINGS))


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


def files(page):
    found = re.findall(r'download="([^"]+)"\s+href="data:text/csv[^,]*,([^"]+)"', page)
    return {name: base64.b64decode(content).decode() for name, content in found}


def test_it_needs_nothing_but_itself(page):
    assert page.startswith("<!DOCTYPE html>")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert len(page) < 5_000_000


class Balance(HTMLParser):
    """Keeps what is open, and what was closed without having been opened."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self, page):
        super().__init__()
        self.open, self.faults, self.ids = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append((tag, self.getpos()))


def test_it_is_well_formed(page):
    found = Balance(page)
    assert not found.faults
    assert not found.open
    assert len(found.ids) == len(set(found.ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(found.ids)


def test_declared_hypotheses_come_with_their_verdicts(page):
    for finding in FINDINGS:
        assert finding.hypothesis in text(page)
        assert finding.verdict in text(page).lower()


def test_the_planted_winner_is_named_first(page):
    first = re.search(r"dae on controlled .*? ([a-z]+) \((\w+)\) has the highest mean relative AUROC", text(page))
    assert first[1] in {"flip", "cutout"}
    for kind in ("flip", "cutout"):
        assert re.search(rf"{kind} 1st of 3", text(page))


def test_every_table_is_a_file_too(page):
    found = files(page)
    assert {"mean-dae-controlled-cifar10.csv", "pairs-dae-controlled-cifar10.csv"} <= set(found)
    rows = found["mean-dae-controlled-cifar10.csv"].splitlines()
    assert len(rows) == 1 + 3
    assert all(len(row.split(",")) == len(rows[0].split(",")) for row in rows)


def test_the_means_are_those_of_the_rows():
    record = study(seeds=2)
    rows = record.rows[record.rows["metric"] == "auroc"]
    flipped = rows[(rows["detector"] == "dae") & (rows["augmentation"] == "flip")].set_index(["task", "seed"])["value"]
    expected = np.mean(flipped - rows[rows["detector"] == "ae"].set_index(["task", "seed"])["value"])
    table = files(render(record))["mean-dae-controlled-cifar10.csv"]
    flip = next(row for row in table.splitlines() if row.startswith("flip,"))
    assert any(abs(float(each) - expected) < 1e-4 for each in flip.split(",") if re.fullmatch(r"-?[\d.]+", each))


def test_what_a_user_named_is_escaped():
    hostile = study(kept=tasks(controlled=[HOSTILE], classes=3, kinds=["flip"]), name=HOSTILE)
    cells = failed("k", HOSTILE)
    assert "<script>alert" not in render(replace(hostile, plan=HOSTILE, cells=cells, left_out=[HOSTILE]))


def test_failed_cells_are_listed_with_their_reasons(page):
    record = study()
    with_failure = replace(record, cells=failed("k", "the training diverged at step 7"))
    assert "the training diverged at step 7" in text(render(with_failure))
    assert "diverged" not in text(page)


def test_pictures_histograms_and_embeddings_of_the_panels(page):
    assert page.count("data:image/") >= 8
    for words in ("train normal", "pseudo-anomalous", "test normal", "test anomalous", "t-SNE"):
        assert words in text(page)


@pytest.mark.parametrize(
    "record",
    [
        study(kept=tasks(controlled=["cifar10"], classes=1, kinds=["flip"]), seeds=1),
        study(detectors={"dae": "absent"}),
        study(detectors={}),
        replace(study(), rows=study().rows.iloc[:0], cells=failed("k", "all of it failed")),
        replace(study(), rows=study().rows.assign(value=float("nan"))),
        study(panels=[panel(0.1, n=0, maps=False)]),
        study(categories={"none": "none", "cutout-0.1": "local", "cutout-0.3": "local"}),
    ],
    ids=["one task, one seed", "no vanilla rows", "no reference", "only failures", "NaN", "bare panel", "a sweep"],
)
def test_whatever_is_missing_there_is_a_page(record):
    page = render(record)
    assert "</html>" in page
    assert "nan" not in text(page).lower().split()


def test_the_same_record_gives_the_same_page():
    record = study(panels=[panel(0.15)])
    assert render(record) == render(record)


def test_too_few_normal_classes_are_said_to_decide_nothing(page):
    assert "With 4 normal classes, no p can be below 0.75, so nothing can be decided here." in text(page)


def test_missing_tasks_are_told():
    record = study(seeds=3)
    gone = (record.rows["augmentation"] == "flip") & (record.rows["normal"] == "0")
    shown = text(render(replace(record, rows=record.rows[~gone])))
    assert "6 tasks only" in shown
    assert "Ranks and tests are over the 6 tasks that all augmentations have." in shown


def test_what_the_rule_excluded_is_named_with_the_rule():
    plan = "[rules]\nexclude_vanilla_at_least = 0.98\n"
    shown = text(render(replace(study(), plan=plan, excluded=["cifar10/controlled/0/flip for dae"])))
    assert "1 pair of task and detector" in shown
    assert "the vanilla detector reaches 0.98 there already" in shown
    assert "cifar10/controlled/0/flip for dae" in shown
    assert "the plan has no such rule" in text(render(study()))


def test_several_data_sets_are_shown_together_and_alone():
    record = study(kept=tasks(controlled=["cifar10"], wild=["mnist", "svhn"], classes=3, kinds=["flip"]))
    found = files(render(record))
    names = {"mean-dae-one-vs-one.csv", "mean-dae-one-vs-one-mnist.csv", "mean-dae-one-vs-one-svhn.csv"}
    assert names | {"mean-dae-controlled-cifar10.csv"} <= set(found)
    assert "rank_biserial" in found["pairs-dae-one-vs-one.csv"]
    assert "rank_biserial" not in found["pairs-dae-one-vs-one-mnist.csv"]


def test_values_of_one_hyperparameter_become_a_curve_for_each_kind_of_anomaly():
    kept = tasks(controlled=["cifar10"], classes=3, kinds=["flip", "cutout"])
    page = render(study(kept=kept, categories={"none": CATEGORIES["none"], **SWEEPS}))
    assert len(re.findall(r"<title[^>]*>Mean relative AUROC against the value: anomalies made by", page)) == 3 * 2
    rows = files(page)["sweep-cutout-dae-controlled.csv"].splitlines()
    assert len(rows) == 1 + 4 * 2


@pytest.mark.slow
def test_the_study_of_the_papers_size_is_a_page_in_a_minute():
    record = large(panels=[panel(relative, seed=i) for i, relative in enumerate(np.linspace(-0.2, 0.2, 12))])
    assert record.rows["task"].nunique() == 420
    start = time.process_time()
    page = render(record)
    assert time.process_time() - start < 60
    assert len(page) < 5_000_000
