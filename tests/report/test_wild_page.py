"""The page of a study of representations: complete, safe, self-contained, and of use whatever is missing."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from wild_rows import wild_rows

from feint.records.wild import Estimate, Point
from feint.report.study import render_wild
from feint.report.study.wild_charts import bars, level_charts, scatters
from feint.studies.wild_findings import read_wild

HOSTILE = "<script>alert('x')</script> & \"a\""
SMALL = {"arms": ["simclr/resnet8", "byol/resnet8", "mae/vit_micro"], "levels": ("2%", "15%")}


def read(rows, name="wild"):
    return read_wild(rows, name=name, version="1.0", plan="[study]")


@pytest.fixture(scope="module")
def record():
    return read(wild_rows(**SMALL))


@pytest.fixture(scope="module")
def page(record):
    return render_wild(record)


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


def test_it_needs_nothing_but_itself(page):
    assert page.startswith("<!DOCTYPE html>")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page


class Balance(HTMLParser):
    """Keeps what is open, and what was closed without having been opened."""

    def __init__(self, page):
        super().__init__()
        self.open, self.faults, self.ids = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in {"meta", "br"}:
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


def test_every_claim_comes_with_its_verdict_and_number(record, page):
    shown = text(page)
    for claim in record.claims:
        assert claim.claim in shown
        assert re.sub(r"\s+", " ", claim.sentence).replace("'", "&#39;") in shown
    assert shown.count("holds here") + shown.count("does not hold here") + shown.count("cannot decide") >= 7


def test_who_beats_the_untrained_encoder_and_why_not(page):
    assert "2 of 3 methods beat the untrained encoder on at least 2 data sets" in text(page)
    assert re.search(r"interval above zero: BYOL and SimCLR\.", text(page))
    assert re.search(
        r"MAE on vit_micro falls short: against the untrained encoder by linear probe below on", text(page)
    )


def test_tau_and_both_ways_of_looking_at_rankme_are_shown(page):
    assert re.search(r"rankme against AUROC Kendall.s tau-b|rankme against AUROC Kendall&#39;s tau-b", text(page))
    assert page.count("Each set and class about its own mean") >= 1
    assert "random pick" in text(page)


def test_the_tables_are_files_too(record, page):
    files = dict(re.findall(r'download="([^"]+)"\s+href="data:text/csv[^,]*,([^"]+)"', page))
    assert {"gain-linear-probe.csv", "gain-best-label-free-scorer.csv", "cells.csv", "agreement.csv"} <= set(files)
    lines = base64.b64decode(files["cells.csv"]).decode().splitlines()
    assert len(lines) == 1 + len(record.cells)


def test_the_lines_pass_through_the_means(record):
    chart = next(each for each in level_charts(record) if each.title == "tile, resnet8")
    line = next(each for each in chart.lines if each.title == "SimCLR on resnet8")
    cells = [each for each in record.cells if (each.arm, each.unit) == ("simclr/resnet8", "tile")]
    means = {each.level: each.probe.mean for each in cells}
    higher = line.points[1][1] < line.points[0][1]
    assert higher == (means["15%"] > means["2%"])
    assert [text for _, text in chart.x_ticks] == ["2%", "15%"]
    assert len(line.points) == 2


def point(unit, metric, auroc):
    return Point(method="simclr", encoder="e", unit=unit, level="2%", seed=0, auroc=auroc, metrics={"rankme": metric})


def test_the_second_scatter_takes_out_how_hard_the_sets_are():
    """Two sets, in each of which the metric goes against AUROC, and between which it goes with it."""
    points = [point("easy", 10, 0.9), point("easy", 11, 0.8), point("hard", 1, 0.6), point("hard", 2, 0.5)]
    together, apart = scatters(points, "rankme")
    slopes = [np.polyfit([x for _, x, _ in c.points], [-y for _, _, y in c.points], 1)[0] for c in (together, apart)]
    assert slopes[0] > 0 > slopes[1]


def test_bars_begin_at_zero_and_stay_within():
    low = Estimate(value=0.01, low=-0.03, high=0.05, repetitions=4)
    scale = bars([low, Estimate(value=0.1, low=float("nan"), high=float("nan"), repetitions=1)], lines=[0.06])
    value, begin, end = scale.bar(low)
    assert begin == scale.LEFT
    assert begin < value < end <= scale.RIGHT


def test_what_a_user_named_is_escaped():
    rows = wild_rows(arms=[f"{HOSTILE}/resnet8", "mae/resnet8"], sets={HOSTILE: [HOSTILE], "b": ["x"]}, levels=("2%",))
    shown = render_wild(replace(read(rows, name=HOSTILE), plan=HOSTILE, left_out=[HOSTILE]))
    assert "<script>" not in shown


@pytest.mark.parametrize(
    "rows",
    [
        wild_rows(**SMALL).iloc[:0],
        wild_rows(arms=["mae/vit_micro"], sets={"tile": ["good"]}, levels=("2%",), seeds=1),
        wild_rows(**SMALL).query("not detector.str.startswith('untrained')"),
        wild_rows(**SMALL).query("metric == 'auroc'"),
        wild_rows(arms=["moco/resnet8", "simclr/resnet8"], levels=("2%",), seeds=2),
    ],
    ids=["nothing", "one cell", "no reference", "probe alone", "unknown method"],
)
def test_whatever_is_missing_there_is_a_page(rows):
    shown = render_wild(read(rows))
    assert "</html>" in shown
    assert "nan" not in text(shown).lower().split()


def test_the_same_record_gives_the_same_page(record, page):
    assert render_wild(record) == page
