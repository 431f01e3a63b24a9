"""The pages by keyboard, on a narrow screen, in both themes, and with a camera."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser import steps
from tests.browser.app_server import AppServer
from tests.browser.conftest import Browsing, Place

pytestmark = pytest.mark.browser

_NARROW = 420  # pixels
_MOST_TABS = 60
_PAGES = ("", "advice", "search", "train", "results", "use", "runs", "mend")

# What can be pressed and has the focus, in words; also where it is inside a component's shadow.
_FOCUSED = """() => {
  let one = document.activeElement;
  while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
  if (!one?.matches("a, button, input, textarea, summary")) return "";
  return (one.getAttribute("aria-label") || one.innerText || "").trim();
}"""
_PRESSES, _SOON = 5, 10_000  # on one button; milliseconds
_CAMERA_SHOWS = '() => document.querySelector("video")?.readyState >= 2'

# What makes the page wider than the window: a part of the frame that scrolls, or an element that
# sticks out of the window without being inside something that scrolls by itself, as a table may.
_TOO_WIDE = """() => {
  const name = (one) => `${one.tagName}.${one.className}[${one.dataset?.testid ?? ""}]`;
  const frame = [document.scrollingElement, document.body, ...document.querySelectorAll(
    '.stApp, [data-testid="stAppViewContainer"], [data-testid="stMain"],'
    + ' [data-testid="stMainBlockContainer"]')];
  const found = frame.filter((one) => one.scrollWidth > one.clientWidth).map(name);
  const contained = (one) => {
    for (let up = one; up && !frame.includes(up); up = up.parentElement ?? up.getRootNode().host) {
      if (getComputedStyle(up).overflowX !== "visible") return true;
      if (getComputedStyle(up).position === "fixed") return true;
    }
    return false;
  };
  const look = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (one.shadowRoot) look(one.shadowRoot);
      const { right, left, width, height } = one.getBoundingClientRect();
      const out = width > 0 && height > 0 && (right > innerWidth + 1 || left < -1);
      if (out && getComputedStyle(one).visibility === "visible" && !contained(one))
        found.push(`${name(one)} from ${Math.round(left)} to ${Math.round(right)}`);
    }
  };
  look(document);
  return found;
}"""


def _tab_to(page: Page, words: str) -> list[str]:
    """Press Tab until something with these words has the focus; return all that had it."""
    had: list[str] = []
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        had.append(page.evaluate(_FOCUSED))
        if words in had[-1]:
            return had
    raise AssertionError(f"Tab does not reach '{words}': {had}")


def _settled(page: Page) -> None:
    """Wait until the script of the page has run to its end."""
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def test_from_the_pictures_to_the_training_by_keyboard_alone(
    page: Page, server: AppServer, finished: Place
):
    page.goto(f"{server.url}?data={finished.data}")
    _settled(page)
    had = _tab_to(page, "Go on: choose a network")
    path = [words for words in had if re.search(r"Data|Advice|Runs", words)]
    assert [re.sub(r"\W|\d", "", words) for words in path] == ["Data", "Advice", "Runs"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/advice?*")
    _settled(page)
    _tab_to(page, "Data")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/advice" not in url)
    _settled(page)
    _tab_to(page, "Advice")
    page.keyboard.press("Enter")
    page.wait_for_url("**/advice?*")
    _settled(page)
    _tab_to(page, "Start training")


def test_the_upload_area_by_keyboard(page: Page, sample_zip: Path):
    page.on("filechooser", lambda chooser: chooser.set_files(sample_zip))
    _settled(page)
    _tab_to(page, "Choose a zip or pictures")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "data=" in url, timeout=steps.LONG)


def test_the_path_leads_through_a_finished_run_by_keyboard(
    page: Page, server: AppServer, finished: Place
):
    page.goto(f"{server.url}train{finished.query}")
    for name in ("Results", "Use", "Runs", "Train"):
        _settled(page)
        _tab_to(page, name)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{name.lower()}?*")


@pytest.mark.parametrize("theme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_nothing_is_wider_than_a_narrow_screen(
    browsing: Browsing, server: AppServer, finished: Place, theme: str
):
    page = browsing.open(server.url, width=_NARROW, color_scheme="light")
    if theme == "dark":
        page.get_by_role("button", name="Change to dark").click()
        expect(page.get_by_role("button", name="Change to light")).to_be_visible()
    wide: dict[str, list[str]] = {}
    for query in ("", finished.query):
        for name in _PAGES:
            page.goto(f"{server.url}{name}{query}")
            _settled(page)
            scheme = page.get_by_test_id("stApp").evaluate(
                "one => getComputedStyle(one).colorScheme"
            )
            assert scheme == theme, name
            for summary in page.get_by_test_id("stExpander").locator("summary").all():
                summary.click()
            _settled(page)
            if found := page.evaluate(_TOO_WIDE):
                wide[f"{name}{query}"] = found
    assert wide == {}
    assert browsing.traffic.errors == []


def test_a_picture_from_the_camera(page: Page, server: AppServer, finished: Place):
    page.goto(f"{server.url}use{finished.query}")
    page.get_by_role("radio", name="The camera").click()
    _take_a_photo(page)
    answer = page.locator("[data-answer]")
    expect(answer).to_be_visible(timeout=steps.LONG)
    shown = {label: float(share) for label, share in steps.figures(page)}
    assert sum(shown.values()) == pytest.approx(1, abs=1e-3)
    assert answer.get_attribute("data-answer") == max(shown, key=shown.__getitem__)


def _take_a_photo(page: Page) -> None:
    """Press until there is one: Streamlit's camera passes over a press between two of its films."""
    taken = page.get_by_role("button", name="Clear photo")
    for _ in range(_PRESSES):
        page.wait_for_function(_CAMERA_SHOWS)
        page.get_by_role("button", name="Take Photo").click()
        with suppress(PlaywrightTimeout):
            taken.wait_for(timeout=_SOON)
            return
    pytest.fail(f"no photo after {_PRESSES} presses")
