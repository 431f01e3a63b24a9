"""The camera: a data set from two buttons that are held, and what is said where there is none."""

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import steps

pytestmark = pytest.mark.browser

_HELD = 2.0  # seconds
_KEPT = 1000  # milliseconds in which a change is surely kept
_ENOUGH = 4  # pictures of a class
_FEWEST = 6  # pictures a second that a busy machine must still manage
_TROUBLE = {
    "refused": (
        "Object.defineProperty(navigator.mediaDevices, 'getUserMedia', {value: () =>"
        " Promise.reject(new DOMException('', 'NotAllowedError'))})",
        "The browser does not let this page use the camera.",
    ),
    "none": (
        "Object.defineProperty(navigator.mediaDevices, 'getUserMedia', {value: () =>"
        " Promise.reject(new DOMException('', 'NotFoundError'))})",
        "No camera was found on this device.",
    ),
    "insecure": (
        "Object.defineProperty(Navigator.prototype, 'mediaDevices', {get: () => undefined})",
        "A browser lends its camera only to a page that is safe",
    ),
}


def _camera(page: Page) -> Locator:
    """Choose the camera, and return its area once it shows a picture or says why not."""
    page.get_by_role("radio", name="Take pictures with the camera").click()
    return page.locator(".camera")


def _holder(camera: Locator, place: int) -> Locator:
    return camera.locator(".hold").nth(place)


def _count(camera: Locator, place: int) -> int:
    return camera.locator(".card").nth(place).locator(".shot").count()


def _hold(page: Page, button: Locator, seconds: float) -> None:
    """Press a button with the mouse for some time."""
    expect(button).to_be_enabled()
    button.scroll_into_view_if_needed()
    button.hover()
    page.mouse.down()
    time.sleep(seconds)
    page.mouse.up()


@pytest.mark.alone
def test_two_classes_by_holding_two_buttons(page: Page):
    camera = _camera(page)
    begun = time.monotonic()
    for place, name in enumerate(["left hand", "right hand"]):
        camera.locator(".card .name").nth(place).fill(name)
    _hold(page, _holder(camera, 0), _HELD)
    taken = _count(camera, 0)
    assert _FEWEST * _HELD <= taken <= 11 * _HELD + 1
    expect(camera.locator(".note")).to_have_text(f"{taken} pictures added to left hand.")
    expect(camera.locator(".use")).to_be_disabled()
    expect(camera.locator(".too-few")).to_contain_text("2 classes with 4 or more pictures each")

    _holder(camera, 1).focus()  # by keyboard
    for key in ("Space", "Enter"):
        page.keyboard.down(key)
        time.sleep(_HELD / 2)
        page.keyboard.up(key)
    other = _count(camera, 1)
    assert _FEWEST * _HELD <= other <= 11 * _HELD + 2
    expect(camera.locator(".count").nth(1)).to_have_text(f"{other} pictures, 2 presses")

    camera.locator(".card").first.locator(".shot").first.click()  # one too many
    assert _count(camera, 0) == taken - 1
    camera.get_by_role("button", name="Put it back").click()
    assert _count(camera, 0) == taken
    camera.locator(".card").first.locator(".shot").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")
    assert _count(camera, 0) == taken - 1

    camera.locator(".use").click()
    page.wait_for_url(lambda url: "data=" in url, timeout=steps.LONG)
    total = taken - 1 + other
    expect(page.locator("h1")).to_have_text(f"{total} pictures in 2 classes.")
    print(f"{taken / _HELD:.1f} pictures a second, {time.monotonic() - begun:.0f} s for the set")
    expect(page.locator(".class-name", has_text="left hand")).to_be_visible()
    expect(page.get_by_text("none was left out")).to_be_visible()
    expect(steps.main_button(page)).to_have_text("Go on: choose a network")

    page.get_by_role("button", name="Add pictures").click()
    camera = _camera(page)  # the area for other pictures is folded away
    expect(camera.locator(".card .name").nth(1)).to_have_value("right hand")
    camera.get_by_role("button", name="Add a class").click()
    page.keyboard.type("no hand")
    _hold(page, _holder(camera, 2), 0.5)
    more = _count(camera, 2)
    camera.locator(".use").click()
    expect(page.locator("h1")).to_have_text(
        f"{total + more} pictures in 3 classes.", timeout=steps.LONG
    )
    expect(page.get_by_text("added: this is version 2.")).to_be_visible()


def test_pictures_stay_while_another_page_is_open(page: Page):
    camera = _camera(page)
    _hold(page, _holder(camera, 0), 0.5)
    taken = _count(camera, 0)
    assert taken
    page.get_by_role("radio", name="Files").click()
    expect(page.locator(".camera")).to_have_count(0)
    camera = _camera(page)
    expect(camera.locator(".card").first.locator(".shot")).to_have_count(taken)
    _hold(page, _holder(camera, 0), 0.5)
    assert _count(camera, 0) > taken


@pytest.mark.slow
def test_pictures_that_were_not_sent_are_there_after_a_reload(page: Page):
    page.on("dialog", lambda dialog: dialog.accept())  # "Leave this page?"
    camera = _camera(page)
    camera.locator(".card .name").first.fill("left hand")
    _hold(page, _holder(camera, 0), 0.5)
    _hold(page, _holder(camera, 0), 0.5)
    camera.locator(".card").first.locator(".shot").first.click()  # one too many
    taken = _count(camera, 0)
    assert taken
    counted = camera.locator(".count").first.inner_text()
    page.wait_for_timeout(_KEPT)
    page.reload()
    camera = _camera(page)
    shots = camera.locator(".card").first.locator(".shot")
    expect(shots).to_have_count(taken)
    expect(camera.locator(".card .name").first).to_have_value("left hand")
    expect(camera.locator(".count").first).to_have_text(counted)
    expect(camera.locator(".note")).to_contain_text("here again")

    _hold(page, _holder(camera, 1), 1.0)
    for place in (0, 1):
        while _count(camera, place) < _ENOUGH:
            _hold(page, _holder(camera, place), 1.0)
    camera.locator(".use").click()
    page.wait_for_url(lambda url: "data=" in url, timeout=steps.LONG)
    page.goto(page.url.partition("?")[0])
    camera = _camera(page)
    expect(camera.locator(".hold").first).to_be_enabled()
    assert _count(camera, 0) == _count(camera, 1) == 0  # sent, so kept no longer


@pytest.mark.parametrize("trouble", list(_TROUBLE))
def test_where_there_is_no_camera_it_says_why_and_what_to_do(page: Page, trouble: str):
    script, sentence = _TROUBLE[trouble]
    page.add_init_script(script)
    page.reload()
    camera = _camera(page)
    expect(camera.locator(".waiting")).to_contain_text(sentence)
    for holder in camera.locator(".hold").all():
        expect(holder).to_be_disabled()
    again = camera.get_by_role("button", name="Try the camera again")
    expect(again).to_be_visible(visible=trouble != "insecure")
