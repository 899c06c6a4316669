"""The page of a study: complete, safe, self-contained, and of use whatever is missing."""

import base64
import re
from dataclasses import replace

import numpy as np
import pytest
from study_for_report import FINDINGS, HOSTILE, failed, panel, study, tasks

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
