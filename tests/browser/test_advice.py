"""The advice page with a real measurement: the dot appears, and cells are pressed by any means."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.app_server import AppServer
from tests.browser.conftest import Place

pytestmark = pytest.mark.browser


@pytest.fixture
def measured(page: Page, server: AppServer, finished: Place) -> Page:
    """The page of the advice, once the pictures are measured."""
    page.goto(f"{server.url}advice?data={finished.data}")
    expect(page.locator("h1")).to_have_text(
        re.compile(r"^Your pictures are (un)?like .+ there are (few|many) of them\.$"),
        timeout=steps.LONG,
    )
    expect(page.locator(".field .dot")).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    return page


def test_the_dot_lies_in_the_cell_that_is_advised(measured: Page):
    cell = measured.locator("[class*='st-key-cell_'][class*='_taken_']")
    expect(cell).to_contain_text("advised")
    dot, field = measured.locator(".field .dot").bounding_box(), cell.bounding_box()
    assert dot
    assert field
    middle = dot["x"] + dot["width"] / 2
    assert field["x"] <= middle <= field["x"] + field["width"]


def test_a_cell_is_pressed_anywhere_and_given_back_by_keyboard(measured: Page):
    field = measured.locator(".field").bounding_box()
    assert field
    # Where no words are, within the lower right cell.
    measured.mouse.click(field["x"] + 0.9 * field["width"], field["y"] + 0.9 * field["height"])
    expect(measured.get_by_text("Your choice: Retrain most of it")).to_be_visible()
    expect(measured.get_by_text("learn them by heart (overfitting)").first).to_be_visible()
    button = measured.get_by_role("button", name="Take it back")
    button.focus()
    measured.keyboard.press("Enter")
    expect(button).to_have_count(0)
    expect(measured.get_by_text("Your choice:")).to_have_count(0)
