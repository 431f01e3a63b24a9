"""The results page where it is more than Streamlit: a matrix whose numbers open their pictures."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.app_server import AppServer
from tests.browser.conftest import Place

pytestmark = pytest.mark.browser

_LOADED = """() => [...document.querySelectorAll(".gallery.opened img")]
  .every((one) => one.complete && one.naturalWidth > 0)"""


@pytest.fixture
def results(page: Page, server: AppServer, finished: Place) -> Page:
    """The page of the finished run, with its matrix drawn."""
    page.goto(f"{server.url}results{finished.query}")
    expect(page.locator("table.matrix button").first).to_be_visible()
    return page


def test_every_number_of_the_matrix_opens_its_pictures(
    results: Page, server: AppServer, finished: Place
):
    cells = results.locator("table.matrix button")
    total = 0
    for cell in cells.all():
        what = str(cell.get_attribute("aria-label")).rpartition(", of ")[0]
        count = int(what.split()[0])
        total += count
        cell.click()
        expect(cell).to_have_attribute("aria-pressed", "true")
        expect(results.locator(".class-name", has_text=what)).to_be_visible()
        pictures = results.locator(".gallery.opened img")
        expect(pictures).to_have_count(min(count, 12))
        pictures.last.scroll_into_view_if_needed()
        results.wait_for_function(_LOADED)
    assert total == server.run(finished.run).result()["splits"]["test"]


def test_the_arrow_keys_move_between_the_numbers(results: Page):
    cells = results.locator("table.matrix button")
    labels = [cells.nth(number).get_attribute("aria-label") for number in range(cells.count())]
    cells.first.focus()
    had: list[str] = []
    for key in ["ArrowRight", "ArrowDown"] * 6:
        results.keyboard.press(key)
        had.append(results.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert set(had) <= set(labels)
    assert len(set(had)) > 1
    results.keyboard.press("Enter")
    pressed = results.locator('table.matrix button[aria-pressed="true"]')
    expect(pressed).to_have_attribute("aria-label", had[-1])
