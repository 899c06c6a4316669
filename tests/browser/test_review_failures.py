"""A review page whose requests fail: it says so, keeps no mark that the server has not, and loses nobody's place."""

import shutil
from collections.abc import Callable

from looking import focused, rows, violations
from playwright.sync_api import Page, Route, expect
from small_reviews import WIDE, reviewing


def held(page: Page, address: str) -> Callable[[], Route]:
    """Hold the next request of an address on its way; return a function that waits for it."""
    caught: list[Route] = []
    page.route(address, lambda route: caught.append(route), times=1)  # noqa: PLW0108 playwright sets an attribute on it

    def come() -> Route:
        while not caught:
            page.wait_for_timeout(10)
        return caught[0]

    return come


def test_a_click_before_the_scripts_have_come_is_not_lost(opened, review):
    page = opened()
    late = held(page, "**/htmx.min.js")
    page.goto("/", wait_until="commit")
    expect(page.locator("body")).to_have_attribute("inert", "")
    late().continue_()
    expect(page.locator("body")).not_to_have_attribute("inert", "")
    page.locator(".item .say.normal").first.click()
    expect(page.locator(".item .say.normal").first).to_have_attribute("aria-pressed", "true")


def test_a_mark_that_fails_brings_back_to_its_image(opened, review):
    page = opened()
    order = rows(page)
    second = held(page, f"**/marks/{order[1]}?*")
    for key in "jana":
        page.keyboard.press(key)
    assert focused(page) == f"p{order[3]}"
    expect(page.locator(f"#c{order[0]}")).to_have_attribute("data-label", "anomalous")
    second().fulfill(status=500)
    expect(page.get_by_role("alert")).to_contain_text("it is not kept, nor are those made after it")
    expect(page.locator(f"#p{order[1]}")).to_be_focused()
    names = review.desk.subject.names
    assert review.desk.marks.now() == {names[int(order[0])]: 1}
    page.keyboard.press("n")
    page.keyboard.press("a")
    expect(page.locator(f"#c{order[2]}")).to_have_attribute("data-label", "anomalous")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert review.desk.marks.now() == {names[int(row)]: label for row, label in zip(order, (1, 0, 1), strict=False)}
    page.locator("#find").focus()
    review.desk.marks._base.execute("PRAGMA query_only = 1")
    page.locator("#undo").click()
    expect(page.locator("#refused")).to_be_visible()
    review.desk.marks._base.execute("PRAGMA query_only = 0")
    assert len(review.desk.marks.now()) == 3


def test_a_mark_that_fails_in_the_large_view_is_told_of_there(opened, review):
    page = opened()
    order = rows(page)
    page.locator(f"#p{order[1]}").click()
    expect(page.locator("#zoom")).to_be_visible()
    first = held(page, f"**/marks/{order[1]}?*")
    page.keyboard.press("n")
    expect(page.locator("#large")).to_have_attribute("data-row", order[2])
    first().fulfill(status=500)
    expect(page.locator("#zoom [role=alert]")).to_be_visible()
    expect(page.locator("#large")).to_have_attribute("data-row", order[1])
    assert violations(page) == []
    page.locator("#large .say.normal").click()
    expect(page.locator("#large .below")).to_have_attribute("data-label", "normal")
    expect(page.locator("#refused")).to_be_hidden()
    assert review.desk.marks.now() == {review.desk.subject.names[int(order[1])]: 0}
    second = held(page, f"**/marks/{order[1]}?*")
    page.keyboard.press("a")
    expect(page.locator("#large")).to_have_attribute("data-row", order[2])
    page.keyboard.press("Escape")
    second().fulfill(status=500)
    expect(page.locator(f"#p{order[1]}")).to_be_focused()
    expect(page.locator("body > #refused")).to_be_visible()


def test_a_token_that_is_asked_for_again_is_asked_for_at_once(browser, finished, tmp_path):
    run = shutil.copytree(finished.path, tmp_path / "run")
    with reviewing(run, token="open-sesame") as found:
        context = browser.new_context(viewport=WIDE, base_url=found.address)
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Token").fill("open-sesame")
        page.get_by_role("button", name="Open").click()
        page.locator("#p0").focus()
        page.wait_for_load_state()
        context.clear_cookies()
        page.keyboard.press("a")
        expect(page.get_by_label("Token")).to_be_visible()
        assert found.desk.marks.now() == {}
        context.close()
