"""The page as a whole: complete, self-contained, well-formed and safe, whatever the run."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from pages_for_report import BARE, RUNS, hostile, page_of
from runs_for_report import (
    CALIBRATION_SCORES,
    HOSTILE,
    SCORES,
    candidates,
    ensemble,
    evaluation,
    found,
    gallery,
    picture,
    run,
    share,
)

from feint.records.run import Estimate
from feint.report import Gallery, Picture, PseudoGroup, render, with_evaluation

SECTIONS = ["images", "scores", "learned", "tuning", "candidates", "labels", "suspicious", "how"]
VOID = {"meta", "img", "br", "line", "rect", "path", "circle", "hr", "link", "input"}
INLINE = {"strong", "code", "span", "small"}
CARD = "card.md"
REFERENCES = {"src", "href", "xlink:href", "action", "data", "poster", "srcset", "background", "formaction"}


class Page(HTMLParser):
    """What a browser would see: tags, ids, references, texts; unbalanced tags are kept as faults."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing, line {self.getpos()[0]}")
        if tag not in INLINE:
            self.text.append(" ")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.text))

    def attributes(self, name: str) -> list[str]:
        return [value or "" for _, attrs in self.tags for key, value in attrs.items() if key == name]


@pytest.fixture(params=[*RUNS, *(f"{name}, evaluated" for name in RUNS)], scope="module")
def html(request: pytest.FixtureRequest) -> str:
    name, _, evaluated = request.param.partition(",")
    record = RUNS[name]
    page = page_of(record)
    return with_evaluation(page, record, evaluation(record)) if evaluated else page


def test_page_is_well_formed(html: str) -> None:
    assert html.startswith("<!DOCTYPE html>")
    assert Page(html).faults == []


def test_page_refers_to_nothing_outside(html: str) -> None:
    page = Page(html)
    references = [value for name in REFERENCES for value in page.attributes(name) if (name, value) != ("href", CARD)]
    assert references
    assert all(value.startswith(("data:image/", "#")) for value in references)
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL)) + "".join(page.attributes("style"))
    assert "url(" not in styles
    assert "@import" not in styles
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "link", "base", "form"}


def test_every_section_stands_in_order(html: str) -> None:
    ids = Page(html).attributes("id")
    assert [each for each in ids if each in SECTIONS] == SECTIONS


def test_ids_are_unique_and_anchors_lead_somewhere(html: str) -> None:
    page = Page(html)
    ids = Counter(page.attributes("id"))
    assert set(ids.values()) == {1}
    pointed = [value[1:] for value in page.attributes("href") if value != CARD]
    pointed += [each for value in page.attributes("aria-labelledby") for each in value.split()]
    assert set(pointed) <= set(ids)


def test_every_picture_and_table_says_what_it_is(html: str) -> None:
    page = Page(html)
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    tags = Counter(tag for tag, _ in page.tags)
    assert tags["table"] == tags["caption"]
    drawings = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert all(attrs.get("aria-hidden") == "true" or "aria-labelledby" in attrs for attrs in drawings)


def test_headings_skip_no_level(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(html).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


def test_no_number_is_missing(html: str) -> None:
    numbers = re.sub(r'src="data:[^"]*"', "", html)
    assert not re.search(r"\b(nan|inf|None|undefined)\b", numbers)


def test_sentences_keep_apart(html: str) -> None:
    assert re.findall(r"[a-z)]{2}[.:;,][A-Z]\w*", Page(html).words) == []


def test_hostile_names_are_shown_not_run() -> None:
    html = page_of(hostile())
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;a&#34;" in html
    assert HOSTILE in Page(html).words


def test_long_lists_are_cut_and_say_so() -> None:
    words = Page(page_of(hostile())).words
    assert words.count("cut short: 512 of 8,192 bytes") == 202
    assert "and 50 more, in run.json" in words
    assert "and 100 more, in run.json" in words


def test_the_finding_comes_first() -> None:
    words = Page(page_of(run())).words
    assert words.index(found().sentence) < words.index("things" if "things to know" in words else "One thing")
    for fact in (
        "soft dark patches covering 3.1 % of the image",
        "3 min",
        "no label was read",
        "57 % of those",
    ):
        assert fact in words


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "No pseudo-anomalies recommended. No augmentation was better"),
        ("none", "No pseudo-anomaly proved better"),
        ("other", "Recommended without pseudo-anomalies: pretrained network. Distances on"),
        ("other", "there are none to show"),
        ("abstain", "No recommendation: not shown to be better than no training. The differences"),
        (
            "abstain",
            "What is used, soft patches covering 0.3 % to 40 % of the image, may well do; nothing here shows that",
        ),
        ("abstain", "Confidence: low. When the images are drawn anew at random from yours, it comes out best in 31 %"),
        ("abstain", "could not be estimated without labels"),
        ("never-best", "in no draw"),
        ("recommended", "Recommended: soft dark patches covering 3.1 % of the image. Training with cutdiff"),
        ("recommended", "Confidence: high."),
        ("recommended", "about 46 % of the unlabelled images are anomalous (95 % interval: 41 % to 69 %)."),
        ("recommended", "57 % of those examined; about 46 % (41 % to 69 %) are estimated to be anomalous"),
        ("recommended", "failed, the loss became infinite"),
        ("recommended", "Smoothed, the criterion is highest at angle 358°: 0.590."),
        ("recommended", "so it was repeated once beyond it. The best noise lies at the very end of what can be set"),
        ("recommended", "All 24 settings as numbers"),
        ("perhaps-no-anomaly", "There may be none at all"),
        ("ensemble", "soft dark patches covering 3.1 % of the image, and 2 others"),
        ("ensemble", "one of those that vote comes out best in 83 % of the draws"),
        ("ensemble", "33 % images turned by 358° rotation angle 358°"),
        ("ensemble", "12 % redrawing your normal images autoencoder –"),
        ("ensemble", "mean of the candidates that vote: cutdiff, rotation, autoencoder"),
        ("random-strength", "no single strength was chosen"),
        ("cross-fitted", "5 models take turns (cross-fitting)"),
        ("cross-fitted", "several models vote"),
        ("cross-fitted", "p-values do not follow the order of scores exactly"),
        ("cross-fitted", "trains on about 24, is judged with about 8 others and calibrated with the rest."),
        ("cross-fitted", "No model is calibrated on what it learned from"),
        ("recommended", "Nothing is used twice"),
        ("share-unknown", "could not be estimated without labels: anything from 0 % to 95 % fits them."),
        ("nothing-flagged", "Not one of these is flagged"),
        ("nothing-flagged", "no surprise (p = 0.62)"),
        ("fdr", "False discovery rate"),
        ("fdr", "There is no fixed threshold here"),
        ("fallen-back", "5 % was asked for"),
        ("no-landscape", "Nothing was tuned in this run"),
        ("no-landscape", "feint evaluate RUN LABELS"),
        ("recommended", "No label was read for it"),
        ("recommended", "feint tune normal pool --out runs/demo --seed 0"),
    ],
)
def test_each_kind_of_run_is_put_in_words(name: str, said: str) -> None:
    shown = BARE if RUNS[name].choice.augmentation == "none" else None
    assert said in Page(page_of(RUNS[name], shown)).words


@pytest.mark.parametrize(
    ("name", "not_said"),
    [
        ("cross-fitted", "Nothing is used twice"),
        ("recommended", "p-values do not follow"),
        ("abstain", "fixed default"),
        ("share-unknown", "are estimated to be anomalous"),
        ("not-one-exceeds", "p = 1.00"),
        ("not-one-exceeds", "so many flags"),
    ],
)
def test_what_is_not_true_of_a_run_is_not_said(name: str, not_said: str) -> None:
    assert not_said not in Page(page_of(RUNS[name])).words


@pytest.mark.parametrize(("low", "said"), [(0.5, "unknown"), (0.54, "unknown"), (0.6, "0.7500.600 to 1.000")])
def test_an_auroc_of_which_hardly_any_value_is_excluded_is_unknown(low: float, said: str) -> None:
    auroc = Estimate(value=0.75, low=low, high=1.0)
    rows = [each.model_copy(update={"estimated_auroc": auroc}) for each in candidates()]
    html = page_of(run(candidates=rows))
    cells = [re.sub(r"<[^>]*>", "", each) for each in re.findall(r'<td class="num">(.*?)</td>', html)]
    assert cells.count(said) == len(rows)
    assert (said == "unknown") == ("0.750" not in html)


def test_what_voters_share_is_shown_once() -> None:
    pairs = [(picture(1), picture(2))] * 6
    groups = [PseudoGroup(share().model_copy(update={"candidate": c}), pairs) for c in ("mixture", "mixture-again")]
    groups = [PseudoGroup(each.share.model_copy(update={"weight": 0.3}), pairs) for each in groups]
    html = page_of(ensemble(), Gallery(anomalous=[], normal=[], pseudo=groups, suspicious=[]))
    assert html.count("<figcaption>pseudo-anomaly") == 6
    twice = [each.share for each in groups]
    chosen = Page(page_of(run(choice=run().choice.model_copy(update={"shares": twice})))).words
    assert "others" not in chosen.partition("Time")[0]
    assert "weight 60" in html
    assert "<summary>3 more</summary>" in html


def test_long_galleries_are_folded() -> None:
    words = Page(page_of(run(), gallery(anomalous=20))).words
    assert "The next 8" in words
    assert "The next" not in Page(page_of(run(), gallery(anomalous=12))).words


def test_settings_that_were_not_given_say_so() -> None:
    html = page_of(run(settings={"fdr": None, "nuisances": [], "single": False}))
    assert re.findall(r"<li><code>(\w+)</code>: (.*?)</li>", html) == [
        ("fdr", "not given"),
        ("nuisances", "none"),
        ("single", "no"),
    ]


def test_what_does_not_apply_to_an_fdr_is_not_said() -> None:
    words = Page(page_of(RUNS["fdr"])).words
    assert "nine cases of ten" not in words
    assert "several models vote" not in words


def test_no_suspicious_normal_is_said() -> None:
    assert "No normal image stands out" in Page(page_of(run(), gallery(suspicious=0))).words


def test_an_empty_gallery_still_makes_a_page() -> None:
    page = Page(page_of(run(), BARE))
    assert page.faults == []
    assert not [tag for tag, _ in page.tags if tag == "img"]


def test_long_tables_show_the_best_the_chosen_and_none() -> None:
    late = [each.model_copy(update={"chosen": each.name == "cutout-40"}) for each in candidates(51)]
    html = page_of(run(candidates=late))
    shown = html[html.index('<section id="candidates">') : html.index('<details class="more"><summary>43 more')]
    ranks = re.findall(r'<td class="num">(\d+)</td>', shown)
    assert ranks == [str(i) for i in [*range(1, 16), 48, 59]]
    assert shown.count(">chosen</span>") == 1


def test_each_voter_that_makes_pseudo_anomalies_has_its_pictures() -> None:
    pair = (picture(1), picture(2))
    groups = [
        PseudoGroup(share(name, weight=weight), [pair] * n)
        for name, weight, n in (("cutdiff", 0.6, 2), ("noise", 0.4, 3))
    ]
    html = page_of(ensemble(), Gallery(anomalous=[], normal=[], pseudo=groups, suspicious=[]))
    first, second = html.index("<h3>Soft dark patches"), html.index("<h3>Noisy images")
    assert html[first:second].count("<figcaption>pseudo-anomaly") == 2
    assert html[second:].count("<figcaption>pseudo-anomaly") == 3
    assert "weight 60" in html[first:second]


def test_maps_share_one_scale() -> None:
    one = picture(1)
    assert one.map is not None
    doubled = Picture(one.name, one.image, one.score, one.p_value, one.flagged, 2 * one.map)
    shown = Gallery(anomalous=[one], normal=[doubled], pseudo=[], suspicious=[])
    narrow = page_of(run(), shown)
    wide = render(run(), gallery=shown, scores=SCORES, calibration_scores=CALIBRATION_SCORES, map_scale=(0.0, 2.0))
    first, second = (re.findall(r'src="(data:[^"]*)"', page) for page in (narrow, wide))
    assert second[3] == first[1]
    assert second[1] != first[1]


def test_same_arguments_same_page() -> None:
    assert page_of(run()) == page_of(run())


@pytest.mark.parametrize("size", [(300, 300), (300, 300, 3)], ids=["grey", "colour"])
def test_a_full_page_stays_below_three_megabytes(size: tuple[int, ...]) -> None:
    pairs = [(picture(50 + i, size=size), picture(60 + i, size=size)) for i in range(8)]
    shown = Gallery(
        anomalous=[picture(i, size=size) for i in range(24)],
        normal=[picture(30 + i, size=size) for i in range(12)],
        pseudo=[PseudoGroup(share(), pairs)],
        suspicious=[picture(80 + i, size=size) for i in range(12)],
    )
    assert len(page_of(run(candidates=candidates(51)), shown).encode()) < 3_000_000


@pytest.mark.parametrize("name", RUNS)
def test_tuning_is_told_of_where_something_tuned_votes(name):
    record = RUNS[name]
    kinds = {each.name: each.kind for each in record.candidates}
    tuned = any(kinds.get(share.candidate, "tuned") == "tuned" for share in record.choice.shares)
    assert ("It has tuned them until" in page_of(record)) == (tuned and record.choice.augmentation != "none")
