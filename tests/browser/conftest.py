"""A headless Chromium, and a review page to look at with it."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from small_reviews import WIDE, Reviewing, reviewing

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
expect.set_options(timeout=30_000)  # the usual five seconds are too few on a busy machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium; without one the tests are skipped, or fail where FEINT_NEEDS_BROWSER is 1."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = f"no browser is installed: none of {', '.join(NAMES)} is in PATH"
        (pytest.fail if os.environ.get("FEINT_NEEDS_BROWSER") == "1" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield found
        found.close()


@pytest.fixture
def review(finished, tmp_path) -> Iterator[Reviewing]:
    """Return a review page of a copy of the finished run."""
    with reviewing(shutil.copytree(finished.path, tmp_path / "run")) as found:
        yield found


@pytest.fixture
def opened(browser, review):
    """Return a function that opens the review page; scripts that fail there fail the test."""
    contexts, errors = [], []

    def at(viewport=WIDE, *, scheme="light", path="/", wait="#list", **more: object) -> Page:
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme, base_url=review.address, **more))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path)
        page.wait_for_selector(wait)
        return page

    yield at
    for each in contexts:
        each.close()
    assert not errors
