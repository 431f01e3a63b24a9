"""The advice page with a real measurement: the dot appears, and cells are pressed by any means."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.app_server import AppServer
from tests.browser.conftest import Place
from transfer import catalog

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


@pytest.mark.slow
def test_an_expert_sees_what_a_change_does_and_takes_the_rate_of_the_checks(
    measured: Page, server: AppServer, finished: Place
):
    """The pictures come from a process with TensorFlow, the checks from a real job."""
    page = measured
    page.locator(".st-key-way_finetune_few").get_by_role("button").click()
    page.get_by_text("For experts: how it learns").click()
    changed = page.locator(".st-key-preview .gallery").nth(1).locator("img").first
    before = changed.get_attribute("src", timeout=steps.LONG)
    assert before
    rotation = page.get_by_role("spinbutton", name="Rotate")
    rotation.fill("120")
    rotation.press("Enter")
    expect(changed).not_to_have_attribute("src", before)
    expect(page.get_by_text("1 choice differs from the usual: Rotate.")).to_be_visible()
    page.get_by_role("button", name="Check before you start").click()
    expect(page.locator(".st-key-rehearsed_cost")).to_be_visible(timeout=steps.LONG)
    picture = page.locator(".st-key-rehearsed_pictures img").first
    picture.scroll_into_view_if_needed()
    side = catalog.backbone(catalog.BUILTIN).input_size
    expect(picture).to_have_js_property("naturalWidth", side)
    page.locator(".st-key-use_rate").get_by_role("button").click()
    expect(page.get_by_text("Since these checks, settings have been changed")).to_be_visible()
    expect(page.get_by_text("2 choices differ from the usual: Learning rate")).to_be_visible()
