"""The review page in a real browser: by keyboard, by mouse and by touch, wide and narrow, light and dark."""

import csv
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_runs
from looking import focused, rows, violations
from playwright.sync_api import expect
from small_reviews import NARROW, WIDE, played, reviewing


def test_marks_by_keyboard(opened, review):
    page = opened()
    order = rows(page)
    page.keyboard.press("j")
    assert focused(page) == f"p{order[0]}"
    page.keyboard.press("a")
    page.keyboard.press("a")
    page.keyboard.press("n")
    assert focused(page) == f"p{order[3]}"
    expect(page.locator(".tally")).to_have_text(re.compile(r"2\s+anomalous\s+1\s+normal"))
    page.keyboard.press("k")
    page.keyboard.press("u")
    expect(page.locator("#said")).to_have_text(re.compile("Undone: .* has no mark any more"))
    expect(page.locator(f"#c{order[2]}")).to_have_attribute("data-label", "")
    expect(page.locator(f"#c{order[1]}")).to_have_attribute("data-label", "anomalous")
    names = review.desk.subject.names
    assert review.desk.marks.now() == {names[int(order[0])]: 1, names[int(order[1])]: 1}
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator(f"#c{order[0]} .say.anomalous")).to_have_attribute("aria-pressed", "true")


def test_the_large_view_by_keyboard(opened, review):
    page = opened()
    order = rows(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#zoom")).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator("#large")).to_have_attribute("data-row", order[1])
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowRight")
    assert "scale(1.5)" in page.locator("#canvas").get_attribute("style")
    page.keyboard.press("0")
    assert "scale(1)" in page.locator("#canvas").get_attribute("style")
    page.keyboard.press("m")
    expect(page.locator("#canvas .map")).to_be_hidden()
    page.keyboard.press("m")
    page.keyboard.press("k")
    expect(page.locator("#large")).to_have_attribute("data-row", order[0])
    expect(page.locator("#large .below")).to_have_attribute("data-label", "normal")
    page.keyboard.press("u")
    expect(page.locator("#large .below")).to_have_attribute("data-label", "")
    page.keyboard.press("j")
    expect(page.locator("#large")).to_have_attribute("data-row", order[1])
    page.keyboard.press("Escape")
    expect(page.locator("#zoom")).to_be_hidden()
    expect(page.locator(f"#p{order[1]}")).to_be_focused()
    assert review.desk.marks.now() == {}


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1280", "390"])
def test_everything_by_mouse(opened, viewport):
    page = opened(viewport)
    order = rows(page)
    page.locator(f"#c{order[0]} .say.anomalous").click()
    page.locator(f"#c{order[1]} .say.normal").click()
    expect(page.locator(f"#c{order[1]}")).to_have_attribute("data-label", "normal")
    page.locator(f"#c{order[1]} .say.normal").click()
    expect(page.locator(f"#c{order[1]}")).to_have_attribute("data-label", "")
    page.locator("#undo").click()
    expect(page.locator(f"#c{order[1]}")).to_have_attribute("data-label", "normal")
    page.locator(f"#p{order[1]}").click()
    page.locator("#large .say.anomalous").click()
    expect(page.locator(f"#c{order[1]}")).to_have_attribute("data-label", "anomalous")
    page.locator("[data-zoom=in]").click()
    box = page.locator("#stage").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1] + 30, steps=4)
    page.mouse.up()
    before = page.locator("#canvas").get_attribute("style")
    page.mouse.wheel(0, -300)
    page.wait_for_function("before => document.querySelector('#canvas').getAttribute('style') !== before", arg=before)
    page.locator("#next").click()
    expect(page.locator("#large")).to_have_attribute("data-row", order[2])
    page.locator("[data-zoom=close]").click()
    if viewport is NARROW:
        page.locator("summary", has_text="Show").click()
    page.get_by_role("radio", name="Marked anomalous").check()
    expect(page.locator(".item")).to_have_count(2)
    assert "show=anomalous" in page.url
    page.reload()
    expect(page.locator(".item")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_marks_by_touch(opened, review):
    page = opened(NARROW, has_touch=True, is_mobile=True)
    order = rows(page)
    page.locator(f"#c{order[0]} .say.normal").tap()
    expect(page.locator(f"#c{order[0]}")).to_have_attribute("data-label", "normal")
    page.locator(f"#p{order[1]}").tap()
    page.locator("#large .say.anomalous").tap()
    expect(page.locator(".tally")).to_have_text(re.compile(r"1\s+anomalous\s+1\s+normal"))
    small = page.eval_on_selector_all(
        "button:not(.picture), a.button",
        "all => all.filter(e => e.offsetWidth && e.offsetHeight < 43.5).map(e => e.outerHTML)",
    )
    assert small == []


def test_the_slider_says_what_it_does_and_flags_at_once(opened, review):
    page = opened()
    words = page.locator("#words .found")
    expect(words).to_have_text(review.desk.thresholds.found(review.desk.thresholds.own))
    page.locator("#step").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    level = review.desk.thresholds.steps[int(page.locator("#step").input_value())]
    expect(words).to_have_text(review.desk.thresholds.found(level))
    expect(page.locator("#words .rejected")).to_have_text(review.desk.thresholds.rejected(level))
    assert page.locator(".item.is-flagged").count() == review.desk.thresholds.flagged(level)
    assert page.locator("#step").get_attribute("aria-valuetext").startswith("Of 100 normal images")
    page.get_by_role("radio", name="Flagged").check()
    expect(page.locator(".item")).to_have_count(review.desk.thresholds.flagged(level))
    page.get_by_role("button", name="Back to the run’s own threshold").click()
    expect(page.locator(".item")).to_have_count(review.desk.thresholds.flagged(review.desk.thresholds.own))
    page.locator("#find").fill("no such name")
    expect(page.locator(".nothing")).to_be_visible()


def test_ten_thousand_images_are_reached_by_scrolling_and_by_keys(browser, finished, tmp_path):
    run = shutil.copytree(finished.path, tmp_path / "run")
    names = [f"{i:05d}.png" for i in range(10_000)]
    p = np.linspace(1 / 23, 1, 10_000)
    pd.DataFrame({"path": names, "score": -p, "p_value": p, "flagged": 0}).to_csv(run / "scores.csv", index=False)
    with reviewing(run) as found:
        context = browser.new_context(viewport=WIDE, base_url=found.address)
        page = context.new_page()
        page.goto("/")
        height = page.evaluate("document.documentElement.scrollHeight")
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_selector("#p9999")
        assert abs(page.evaluate("document.documentElement.scrollHeight") - height) < 0.02 * height
        page.evaluate("scrollTo(0, 0)")
        page.locator("#p59").focus()
        page.keyboard.press("j")
        expect(page.locator("#p60")).to_be_focused()
        loaded = page.locator(".chunk:not(.ahead)").count()
        assert loaded < 12
        context.close()


def test_files_that_break_say_why_and_a_stopped_program_is_told_of(opened, review, browser, folders, tmp_path):
    folder = small_runs.write(tmp_path / "images", {f"{i}.png": small_runs.picture(i) for i in range(4)})
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:200])
    (folder / "<img src=x onerror=document.title=1>.png").write_bytes((folder / "1.png").read_bytes())
    with reviewing(shutil.copytree(review.desk.subject.run.path, tmp_path / "other"), images=folder) as found:
        (folder / "0.png").write_bytes(b"gone bad since")
        context = browser.new_context(viewport=WIDE, base_url=found.address)
        page = context.new_page()
        page.goto("/")
        expect(page.locator(".no-picture")).to_have_count(2)
        expect(page.locator(".no-picture", has_text="not a PNG")).to_be_visible()
        expect(page.locator(".no-picture", has_text="damaged")).to_be_visible()
        assert "onerror" in page.locator(".chunks").inner_text()
        assert page.title() != "1"
    page.locator(".say.normal").first.click()
    expect(page.locator("#offline")).to_be_visible()
    context.close()


VIEWS = [(viewport, scheme) for viewport in (WIDE, NARROW) for scheme in ("light", "dark")]


@pytest.mark.parametrize(("viewport", "scheme"), VIEWS, ids=["1280-light", "1280-dark", "390-light", "390-dark"])
def test_axe_finds_nothing_serious_in_any_view(opened, review, viewport, scheme):
    page = opened(viewport, scheme=scheme, reduced_motion="reduce")
    while (closed := page.locator(".panel:not([open]) > summary")).count():
        closed.first.click()
    order = rows(page)
    for row, kind in zip(order[:4], ["anomalous", "anomalous", "anomalous", "normal"], strict=True):
        page.locator(f"#c{row} .say.{kind}").click()
        expect(page.locator(f"#c{row}")).to_have_attribute("data-label", kind)
    page.locator("#step").press("ArrowRight")
    page.wait_for_selector(".as-command")
    assert violations(page) == []
    page.locator(f"#p{order[0]}").click()
    page.wait_for_selector("#zoom[open]")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#ask").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.goto("/refit")
    assert violations(page) == []
    page.locator("#refit-now").click()
    page.wait_for_selector(".sides", timeout=120_000)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("/nowhere")
    assert violations(page) == []


def test_a_browser_that_disappears_finds_the_refit_again(browser, finished, tmp_path):
    run = shutil.copytree(finished.path, tmp_path / "run")
    with reviewing(run, command=played("slow")) as found:
        for row in range(3):
            found.client.post(f"/marks/{row}?label=anomalous")
        first = browser.new_context(base_url=found.address)
        page = first.new_page()
        page.goto("/refit")
        page.locator("#refit-now").click()
        expect(page.locator("h1")).to_have_text("Refitting")
        expect(page.locator(".said")).to_have_text("learning from the marks ...")
        first.close()
        second = browser.new_context(base_url=found.address)
        page = second.new_page()
        page.goto("/")
        page.get_by_text("Refitting …").click()
        expect(page.locator("h1")).to_have_text("Refitting")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("h1")).to_have_text("The refit was cancelled")
        assert violations(page) == []
        second.close()


def test_from_marks_by_keyboard_to_old_and_new_side_by_side(browser, finished, tmp_path):
    script = str(Path(small_runs.__file__))
    run = shutil.copytree(finished.path, tmp_path / "run")
    command = lambda run, marks, out: [sys.executable, script, "refit", str(run), str(marks), "--out", str(out)]  # noqa: E731
    with reviewing(run, command=command) as found:
        context = browser.new_context(viewport=WIDE, base_url=found.address, accept_downloads=True)
        page = context.new_page()
        page.goto("/")
        names, order = found.desk.subject.names, rows(page)
        truth = {name: int(small_runs.defective(int(name.removesuffix(".png")))) for name in names}
        page.keyboard.press("j")
        for row in order[:40]:
            page.keyboard.press("a" if truth[names[int(row)]] else "n")
        expect(page.locator(".say[aria-pressed=true]")).to_have_count(40)
        with page.expect_download() as download:
            page.locator("#export").click()
        table = dict(list(csv.reader(Path(download.value.path()).read_text().splitlines()))[1:])
        assert {name: int(label) for name, label in table.items()} == {
            names[int(row)]: truth[names[int(row)]] for row in order[:40]
        }
        page.locator("#to-refit").click()
        page.locator("#refit-now").click()
        page.wait_for_selector(".sides, [role=alert]:not([hidden])", timeout=120_000)
        assert page.locator("#refit [role=alert]").count() == 0, page.inner_text("body")
        expect(page.locator("h1")).to_have_text("Old and new side by side")
        assert "feint review" in page.inner_text(".next")
        context.close()
