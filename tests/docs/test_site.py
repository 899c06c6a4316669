"""The site builds strictly and without a network; its links lead somewhere, nothing comes from elsewhere."""

import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from feint.augmentations import AUGMENTATIONS, NUISANCES
from feint.detectors import DETECTORS, POOL_DETECTORS
from feint.pretraining import METHODS
from feint.tuning.criteria import CRITERIA

ROOT = Path(__file__).parents[2]
CLOSED = "http://127.0.0.1:9"
CATALOGUES = {
    "detectors": [*DETECTORS, *POOL_DETECTORS],
    "augmentations": [*AUGMENTATIONS, *NUISANCES],
    "criteria": [*CRITERIA],
    "methods": [*METHODS],
}
ENTRIES = [f"{room}/{name}" for room, names in CATALOGUES.items() if room != "methods" for name in names]
LABELLED = ("Measured here", "What papers report", "Fails when", "Cost", "References", "Deviations")


class Page(HTMLParser):
    """What a page of the site holds: ids, links, what it loads, headings and text."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.loaded, self.headings, self.words, self.pictures = set(), [], [], [], [], []
        self._heading = False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given["id"]} if given.get("id") else set()
        self._heading = tag in {"h1", "h2"} or (self._heading and tag in {"code", "a", "span"})
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append((given["src"], given.get("alt")))
        if tag in {"script", "img", "iframe", "source", "video"} and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev", "alternate"}:
            self.loaded.append(given["href"])

    def handle_endtag(self, tag):
        self._heading = self._heading and tag not in {"h1", "h2"}

    def handle_data(self, data):
        self.words.append(data)
        if self._heading:
            self.headings.append(data.strip())

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Return the folder of the site, built as `make docs` does, with every way out closed."""
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", ROOT / "mkdocs.yml", "-d", out]
    ways_out = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), CLOSED)
    ended = subprocess.run(build, cwd=out, env=os.environ | ways_out, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture(scope="session")
def pages(site):
    """Return the pages by their paths; the reports of studies are no pages of the site."""
    paths = [path for path in site.rglob("*.html") if path.name != "report.html"]
    return {path: Page(path.read_text(encoding="utf-8")) for path in paths}


def test_nothing_is_loaded_from_elsewhere(pages):
    loaded = {path: [each for each in page.loaded if urlsplit(each).netloc] for path, page in pages.items()}
    assert {path.name: each for path, each in loaded.items() if each} == {}
    assert all(page.loaded for page in pages.values())


def test_styles_load_nothing_from_elsewhere(site):
    styles = list(site.rglob("*.css"))
    assert styles
    for style in styles:
        elsewhere = r"@import\s[^;]*//[^;]*|url\(\s*['\"]?(?:https?:)?//[^)]*"
        assert re.findall(elsewhere, style.read_text(encoding="utf-8")) == [], style


def test_links_lead_somewhere(site, pages):
    broken = defaultdict(list)
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].ids if target in pages else {parts.fragment}
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken[path.relative_to(site)].append(link)
    assert dict(broken) == {}


def test_pictures_are_there_and_say_what_they_show(site, pages):
    for path, page in pages.items():
        for source, words in page.pictures:
            assert words or source.endswith("svg"), (path, source)
            assert path.name == "404.html" or (path.parent / source).is_file(), (path, source)


@pytest.mark.parametrize("room", CATALOGUES)
def test_every_entry_of_a_catalogue_has_its_page(site, room):
    pages = {path.stem for path in (site / room).glob("*.html")} - {"index"}
    assert pages == set(CATALOGUES[room])


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_page_of_an_entry_says_all_there_is_to_say(site, pages, entry):
    page = pages[site / f"{entry}.html"]
    assert set(LABELLED) <= set(page.headings)
    room, name = entry.split("/")
    assert page.headings[0] == name
    if room == "augmentations":
        kind = (AUGMENTATIONS | NUISANCES)[name]
        pictures = [source for source, _ in page.pictures if "pictures/" in source]
        assert len(pictures) == max(1, len(kind.magnitudes))
        assert all(f"{each.low:.3g} to {each.high:.3g}" in page.text for each in kind.magnitudes)


@pytest.mark.parametrize(
    ("entry", "measured"),
    [
        ("detectors/dae", "On 40% of pairs of task and augmentation"),
        ("detectors/dae", ".0980 / .4849"),
        ("detectors/dae", ".0974 / .4857"),
        ("detectors/patch-knn", ".844"),
        ("detectors/pool-probe", "0.843"),
        ("augmentations/cutout", "+0.134"),
        ("augmentations/rotation", "+0.011 (-0.011 to +0.026)"),
        ("criteria/dsv", "0.045"),
        ("criteria/hits", "arXiv:2104.01422"),
    ],
)
def test_measured_and_published_numbers_stand_on_the_pages(site, pages, entry, measured):
    assert measured in pages[site / f"{entry}.html"].text


def test_reports_of_papers_are_shown_on_pages_that_exist():
    reports = tomllib.loads((ROOT / "docs" / "papers.toml").read_text())["report"]
    assert {name for each in reports for name in each["of"]} <= set(ENTRIES)
    assert all(each["source"] and each["comparable"] for each in reports)


def test_formulas_are_blocks_of_code(site):
    html = (site / "detectors" / "deepsad.html").read_text(encoding="utf-8")
    block = re.search(r"<pre>.*?</pre>", html, re.DOTALL)[0]
    assert "(eta/(n+m)) sum_x~" in re.sub(r"<[^>]+>", "", block)


def test_the_command_line_page_has_every_command_with_its_options(site, pages):
    page = pages[site / "command-line.html"]
    for command in ("feint tune", "feint refit", "feint study run", "feint data check"):
        assert command in page.headings
    assert "--false-alarm-rate A" in page.text
    assert "130 stopped with Ctrl-C" in page.text


def test_the_api_page_has_what_can_be_imported(site, pages):
    import feint

    page = pages[site / "api.html"]
    assert {f"feint.{name}" for name in feint.__all__ if name != "__version__"} <= page.ids
    assert {"feint.core.detector.Detector.fit", "feint.testing.detectors.higher_is_more_anomalous"} <= page.ids
