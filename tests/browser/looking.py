"""What the tests of the review page see in a browser."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SERIOUS = {"serious", "critical"}


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for each in found if each["impact"] in SERIOUS for node in each["nodes"]
    ]  # fmt: skip


def rows(page: Page) -> list[str]:
    return page.eval_on_selector_all(".item", "all => all.map(each => each.dataset.row)")


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id")
