"""The page as a whole: complete, self-contained, well-formed and safe, whatever the run."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from runs_for_report import (
    CALIBRATION_SCORES,
    HOSTILE,
    SCORES,
    calibration,
    candidate,
    candidates,
    choice,
    found,
    gallery,
    image_set,
    picture,
    run,
    start,
)

from feint.records.run import RunRecord, StartRecord
from feint.report import Gallery, Picture, render

SECTIONS = ["images", "scores", "learned", "tuning", "candidates", "suspicious", "how"]
VOID = {"meta", "img", "br", "line", "rect", "path", "circle", "hr", "link", "input"}
INLINE = {"strong", "code", "span", "small"}
REFERENCES = {"src", "href", "xlink:href", "action", "data", "poster", "srcset", "background", "formaction"}
BARE = Gallery(anomalous=[], normal=[], pseudo=[], suspicious=[])


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


def crossfitted() -> RunRecord:
    data = run().data.model_copy(update={"rotations": 5, "training": 24, "selection": 8, "calibration": 8})
    return run(data=data, calibration=calibration(threshold=None))


def broken_start() -> StartRecord:
    bad = [float("nan"), float("inf"), float("nan")]
    return start(1, status="collapsed", steps=3).model_copy(
        update={"trajectory": {"area": bad}, "validation_loss": bad, "training_loss": bad, "variance": float("nan")}
    )


def hostile() -> RunRecord:
    data = run().data
    normal = image_set(HOSTILE, 400, skipped=250, duplicates=230)
    warning = run().warnings[0].model_copy(update={"message": HOSTILE})
    return run(
        data=data.model_copy(update={"normal": normal, "shared": [HOSTILE] * 300}),
        warnings=[warning] * 3,
        command=f"feint tune {HOSTILE}",
        settings={HOSTILE: {HOSTILE: [HOSTILE]}},
        versions={"feint": HOSTILE, HOSTILE: HOSTILE},
        choice=choice().model_copy(update={"sentence": HOSTILE}),
        candidates=[each.model_copy(update={"note": HOSTILE}) for each in candidates()],
        starts=[start(0).model_copy(update={"augmentation": HOSTILE, "note": HOSTILE})],
    )


RUNS = {
    "recommended": run(),
    "random-strength": run(choice=choice().model_copy(update={"magnitudes": {"area": (0.003, 0.4)}})),
    "none": run(choice=choice("none")),
    "abstain": run(choice=choice("abstain")),
    "cross-fitted": crossfitted(),
    "nothing-flagged": run(found=found(0)),
    "fdr": run(calibration=calibration(mode="fdr", threshold=None)),
    "fallen-back": run(calibration=calibration().model_copy(update={"rate": 0.0625})),
    "all-identity": run(starts=[start(i, status="identity") for i in range(4)]),
    "no-finite-path": run(starts=[broken_start()]),
    "one-step": run(starts=[start(0, steps=1)]),
    "no-starts": run(starts=[]),
    "sixty-candidates": run(candidates=candidates(60)),
    "one-candidate": run(candidates=[candidate(0, augmentation="none", origin="none", chosen=True)]),
    "no-candidate-judged": run(candidates=[candidate(0, value=None, status="failed")]),
    "hostile": hostile(),
    "empty": run(starts=[], candidates=[], warnings=[], phases=[], settings={}, found=found(0)),
}


def page_of(record: RunRecord, shown: Gallery | None = None) -> str:
    return render(
        record,
        gallery=gallery() if shown is None else shown,
        scores=SCORES,
        calibration_scores=CALIBRATION_SCORES,
        map_scale=(0.0, 1.0),
    )


@pytest.fixture(params=RUNS.values(), ids=RUNS.keys(), scope="module")
def html(request: pytest.FixtureRequest) -> str:
    return page_of(request.param)


def test_page_is_well_formed(html: str) -> None:
    assert html.startswith("<!DOCTYPE html>")
    assert Page(html).faults == []


def test_page_refers_to_nothing_outside(html: str) -> None:
    page = Page(html)
    references = [value for name in REFERENCES for value in page.attributes(name)]
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
    pointed = [value[1:] for value in page.attributes("href")]
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
        ("abstain", "No recommendation. The candidates cannot be told apart"),
        ("recommended", "Recommended: soft dark patches covering 3.1 % of the image. Training with cutdiff"),
        ("recommended", "ended at the identity"),
        ("random-strength", "no tuned strength was chosen"),
        ("cross-fitted", "5 models take turns (cross-fitting)"),
        ("cross-fitted", "several models vote"),
        ("nothing-flagged", "Not one of these is flagged"),
        ("nothing-flagged", "no surprise (p = 0.62)"),
        ("fdr", "False discovery rate"),
        ("fdr", "There is no fixed threshold here"),
        ("fallen-back", "5 % was asked for"),
        ("no-starts", "Nothing was tuned in this run"),
        ("recommended", "No label was read"),
        ("recommended", "feint tune normal pool --out runs/demo --seed 0"),
    ],
)
def test_each_kind_of_run_is_put_in_words(name: str, said: str) -> None:
    assert said in Page(page_of(RUNS[name])).words


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
    rows = candidates(60)
    late = [each.model_copy(update={"chosen": each.id == "c40"}) for each in rows]
    html = page_of(run(candidates=late))
    shown = html[html.index('<section id="candidates">') : html.index('<details class="more"><summary>43 more')]
    ranks = re.findall(r'<td class="num">(\d+)</td>', shown)
    assert ranks == [str(i) for i in [*range(1, 16), 36, 42]]
    assert shown.count(">chosen</span>") == 1


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
        pseudo=pairs,
        suspicious=[picture(80 + i, size=size) for i in range(12)],
    )
    assert len(page_of(run(candidates=candidates(60)), shown).encode()) < 3_000_000
