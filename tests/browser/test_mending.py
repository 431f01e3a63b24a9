"""The gallery of the page Mend in a browser: by keyboard, by finger, and with 10,000 pictures."""

import hashlib
import os
import statistics
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.app_server import AppServer
from tests.browser.conftest import Browsing, Place
from transfer import store
from transfer.dataset.index import ImageIndex, Picture
from transfer.feature_store import FeatureStore
from transfer.health import probe_files
from transfer.health.probe_files import Source

pytestmark = pytest.mark.browser

_MANY = 10_000
_MOST_NODES = 300
_MOST_TABS = 60
_QUICK = 100  # milliseconds from a key to what it changed being painted
_FOCUSED = """() => {
  let one = document.activeElement;
  while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
  return one?.getAttribute("role") === "option" ? one.getAttribute("aria-label") : "";
}"""
_NODES = """() => {
  const view = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (one.classList.contains("mending")) return one;
      const inside = one.shadowRoot && view(one.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  return view(document).querySelectorAll("*").length;
}"""
# Times each key from the moment it was pressed to after the frame in which its effect was drawn.
_WATCH_KEYS = """() => {
  window.keyTimes = [];
  addEventListener("keydown", (event) => {
    const begun = event.timeStamp;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.keyTimes.push(performance.now() - begun);
      channel.port2.postMessage(null);
    });
  }, true);
}"""


def _many(home: Path, count: int, digest: str = "feed") -> None:
    """Put a data set of so many pictures into a store: a few files, linked again and again."""
    root = home / "datasets" / digest
    (root / "images").mkdir(parents=True)
    drawn = []
    for shade in range(10):
        drawn.append(root / f"{shade}.png")
        Image.new("RGB", (16, 16), (25 * shade, 90, 160)).save(drawn[-1])
    pictures = []
    for i in range(count):
        content, label = hashlib.sha256(str(i).encode()).hexdigest(), f"class {i % 10}"
        os.link(drawn[i % 10], root / "images" / f"{content}.png")
        name, file = f"{label}/{i:05d}.png", f"images/{content}.png"
        pictures.append(Picture(name, label, None, file, content, 16, 16))
    pictures.sort(key=lambda picture: (picture.label, picture.name))
    store.write_json(root / "index.json", ImageIndex(root, digest, tuple(pictures)).to_json())


def _checked(home: Path, digest: str) -> None:
    """Put features into a store as a check does, by which its classes can be told apart."""
    root = home / "datasets" / digest
    index = ImageIndex.from_json(root, store.read_json(root / "index.json"))
    rows = np.random.default_rng(0).normal(size=(len(index.pictures), 24))
    rows[np.arange(len(rows)), index.class_numbers()] += 6.0
    kept = FeatureStore(home / "features" / "net", 24)
    kept.append([picture.sha256 for picture in index.pictures], rows)
    source = Source("features/net", 24, (0, 24), "net")
    probe_files.write_source(home / "health" / f"{digest}-net-96", source)


def _tab_to_a_picture(page: Page) -> str:
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        if label := page.evaluate(_FOCUSED):
            return label
    raise AssertionError("Tab does not reach a picture")


def _focused(page: Page) -> str:
    return page.evaluate(_FOCUSED)


@pytest.mark.slow
def test_by_keyboard_to_a_version_that_a_run_learns_from(
    page: Page, server: AppServer, finished: Place
):
    page.goto(f"{server.url}mend?data={finished.data}")
    tiles, title = page.locator(".tile"), page.locator("h1")
    expect(tiles.first).to_be_visible()
    chips = page.locator(".chip.class")
    before = chips.all_text_contents()
    first = _tab_to_a_picture(page)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    assert _focused(page) != first
    page.keyboard.press("Space")
    expect(page.locator('.tile[aria-selected="true"]')).to_have_count(2)
    expect(page.locator(".shown")).to_have_text("72 pictures, 2 chosen")
    page.keyboard.press("2")
    expect(title).to_have_text("1 change, not kept yet.")
    expect(page.locator(".tile.changed")).to_have_count(2)
    assert chips.all_text_contents() != before
    page.keyboard.press("Control+z")
    expect(title).to_have_text("Put right what is wrong.")
    assert chips.all_text_contents() == before
    page.keyboard.press("Control+Shift+z")
    expect(title).to_have_text("1 change, not kept yet.")
    page.reload()
    expect(page.locator(".tile.changed")).to_have_count(2)  # nothing was lost
    expect(steps.main_button(page)).to_have_text("Keep these changes as version 2")
    steps.main_button(page).click()
    page.wait_for_url(lambda url: "/mend" not in url and "data=" in url)
    kept = steps.data_in(page)
    assert kept != finished.data
    expect(title).to_have_text("72 pictures in 3 classes.")
    steps.start_training(page)
    assert server.run(steps.run_in(page)).config().dataset == kept


def test_a_letter_asks_for_the_class_and_enter_shows_it_large(
    page: Page, server: AppServer, finished: Place
):
    page.goto(f"{server.url}mend?data={finished.data}")
    expect(page.locator(".tile").first).to_be_visible()
    _tab_to_a_picture(page)
    page.keyboard.press("x")
    asked = page.locator("dialog.ask")
    expect(asked.locator(".ask-yes")).to_have_text("New class 'x'")
    page.keyboard.type("y")
    page.keyboard.press("Escape")
    expect(asked).to_be_hidden()
    assert _focused(page)
    page.keyboard.press("Enter")
    large = page.locator("dialog.large")
    expect(large).to_be_visible()
    shown = large.locator("img")
    page.wait_for_function("one => one.naturalWidth > 100", arg=shown.element_handle())
    name = large.locator(".large-name").text_content()
    page.keyboard.press("ArrowRight")
    expect(large.locator(".large-name")).not_to_have_text(name or "")
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(page.locator("h1")).to_have_text("Put right what is wrong.")


def test_with_a_finger_on_a_narrow_screen(browsing: Browsing, server: AppServer, finished: Place):
    page = browsing.open(
        f"{server.url}mend?data={finished.data}", width=420, has_touch=True, is_mobile=True
    )
    tiles = page.locator(".tile")
    expect(tiles.first).to_be_visible()
    tiles.nth(0).tap()
    tiles.nth(2).tap()
    expect(page.locator('.tile[aria-selected="true"]')).to_have_count(2)
    tiles.nth(0).tap()
    expect(page.locator('.tile[aria-selected="true"]')).to_have_count(1)
    expect(page.locator(".tools .relabel")).to_be_in_viewport()
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    assert wide <= 420
    assert browsing.traffic.errors == []


def test_a_change_that_is_refused_is_taken_back_and_said(
    browsing: Browsing, server: AppServer, finished: Place
):
    page = browsing.open(f"{server.url}mend?data={finished.data}")
    expect(page.locator(".tile").first).to_be_visible()
    sentence = "The disk is full: free some space."
    page.route("**/draft", lambda route: (
        route.fulfill(status=409, json={"error": sentence})
        if route.request.method == "POST" else route.continue_()
    ))  # fmt: skip
    page.locator(".tile").first.click()
    page.locator(".tools .delete").click()
    expect(page.locator(".problem")).to_have_text(sentence)
    expect(page.locator(".shown")).to_have_text("72 pictures")


@pytest.mark.alone
def test_ten_thousand_pictures_stay_fluent(page: Page, server: AppServer):
    _many(server.home, _MANY)
    page.goto(f"{server.url}mend?data=feed")
    expect(page.locator(".shown")).to_have_text("10,000 pictures")
    first = _tab_to_a_picture(page)
    assert page.evaluate(_NODES) < _MOST_NODES
    page.evaluate(_WATCH_KEYS)
    keys = ["ArrowDown", "ArrowRight", "PageDown", "Space", "Shift+ArrowDown", "PageDown", "End",
            "PageUp", "ArrowLeft", "Space", "ArrowUp", "Home", "ArrowRight", "Control+a",
            "Escape"]  # fmt: skip
    most = 0
    for key in keys:
        page.keyboard.press(key)
        most = max(most, page.evaluate(_NODES))
        if key == "End":
            assert _focused(page).startswith("09999.png, class class 9")
    assert most < _MOST_NODES
    page.wait_for_function(f"window.keyTimes.length >= {len(keys)}")
    assert statistics.median(page.evaluate("window.keyTimes")) < _QUICK
    assert _focused(page) != first
    page.locator(".view").evaluate("one => { one.scrollTop = one.scrollHeight / 2; }")
    tile = page.locator(".tile").filter(has_text="class 5").first
    expect(tile).to_be_visible()
    page.wait_for_function(
        "one => one.complete && one.naturalWidth > 0",
        arg=tile.locator("img").element_handle(),
    )
    page.locator(".find").fill("0999")
    expect(page.locator(".shown")).to_have_text("11 pictures")


def test_a_search_that_fits_nothing_after_a_change_is_over(page: Page, server: AppServer):
    _many(server.home, 40, "searched")
    page.goto(f"{server.url}mend?data=searched")
    expect(page.locator(".shown")).to_have_text("40 pictures")
    page.locator(".find").fill("0000")
    expect(page.locator(".shown")).to_have_text("10 pictures")
    page.locator(".tile").first.click()
    page.locator(".tools .delete").click()
    expect(page.locator(".shown")).to_have_text("9 pictures")  # some are left: it goes on
    expect(page.locator(".find")).to_have_value("0000")
    page.locator(".every").click()
    page.locator(".tools .delete").click()
    expect(page.locator(".find")).to_have_value("")
    expect(page.locator(".shown")).to_have_text("30 pictures")
    page.locator(".find").fill("nothing has this name")
    expect(page.locator(".nothing")).to_be_visible()  # typed, not emptied by a change
    expect(page.locator(".find")).to_have_value("nothing has this name")


@pytest.mark.slow
def test_the_class_that_is_shown_stays_when_the_theme_changes(page: Page, server: AppServer):
    _many(server.home, 40, "themed")
    page.goto(f"{server.url}mend?data=themed&show=class%201")
    pressed = page.locator('.chip[aria-pressed="true"]')
    expect(pressed).to_have_text("class 1 4")
    page.locator(".chip").filter(has_text="class 3").click()
    page.wait_for_url("**view=class*")
    page.get_by_role("button", name="Change to dark").click()
    expect(page.get_by_role("button", name="Change to light")).to_be_visible()
    expect(pressed).to_have_text("class 3 4")
    page.locator(".chip.all").click()
    page.wait_for_url("**view=all*")
    page.reload()
    expect(pressed).to_have_text("All 40")
    page.goto(f"{server.url}mend?data=themed&view=class:gone")
    expect(pressed).to_have_text("All 40")


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 420])
def test_the_pictures_stay_where_they_are_when_the_quick_check_answers(
    browsing: Browsing, server: AppServer, width: int
):
    digest = f"checked{width}"
    _many(server.home, 200, digest)
    _checked(server.home, digest)
    page = browsing.open(f"{server.url}mend?data={digest}", width=width)
    place = "document.querySelector('.st-key-mend_head').getBoundingClientRect().height"
    told = page.locator(".probe")
    expect(told).to_contain_text("The quick check is right on")
    expect(page.locator(".tile").first).to_be_visible()
    page.locator(".tile").first.click()
    page.locator(".tools .relabel").click()
    page.locator(".option").last.click()
    waits = page.get_by_text("The quick check looks at it")
    expect(waits).to_be_visible()
    while_waiting = page.evaluate(place)
    expect(told).to_have_text("No clear difference yet.")
    expect(page.get_by_text("Right labels are worth having")).to_be_visible()
    assert page.evaluate(place) == while_waiting
