"""Take the README's pictures, or pictures of every page in all widths and themes.

    make run                                          # in another window, best on an empty store
    python -m scripts.take_pictures docs/pictures     # the journey with the sample pictures, 10 min
    python -m scripts.take_pictures /tmp/all --all    # every page, two widths, two themes

Needs Chromium (`make browser`) and the test tools (`make setup-dev`).
"""

import argparse
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

_PAGES = ("data", "health", "mend", "advice", "search", "train", "results", "use", "runs")
_WIDTHS, _THEMES = (1280, 420), ("light", "dark")
_HEIGHT = 800
_STILL = """() => {
  const busy = '[data-testid=stSkeleton], [data-testid=stSpinner], [data-stale=true], .progress';
  const shown = [...document.images].filter((one) => one.loading !== 'lazy' || one.complete);
  return document.querySelector("[data-test-script-state='notRunning'] h1")
    && !document.querySelector(busy) && shown.every((one) => one.complete);
}"""
_TRIALS, _SMALL, _EPOCHS = "8", "96", "4"


def walk(page: Page, address: str) -> str:
    """Train on the sample pictures by the main buttons alone; return the address's query."""
    page.goto(address)
    page.get_by_role("button", name="Try it with sample pictures").click()
    page.wait_for_url("**data=**")
    page.get_by_role("button", name="Go on: choose a network").click()
    page.wait_for_url("**/advice**")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/train**run=**")
    page.wait_for_function("document.querySelector('h1')?.innerText === 'It has learned.'")
    return page.url.split("?", 1)[1]


def search(page: Page, address: str, query: str) -> None:
    """Search for settings of a small training on the pictures, to its end."""
    page.goto(f"{address}/advice?{query}&network=builtin&way=finetune_few")
    page.get_by_role("button", name="Search for better settings").wait_for()
    still(page)
    page.get_by_text("More settings", exact=True).click()
    fields = {
        "Input size in pixels": _SMALL,
        "Epochs, at most": _EPOCHS,
        "Trials, at most": _TRIALS,
    }
    for name, value in fields.items():
        field = page.get_by_role("spinbutton", name=name)
        field.fill(value)
        field.press("Enter")
        still(page)
    page.get_by_role("button", name="Search for better settings").click()
    page.wait_for_url("**/search**")
    page.wait_for_function("document.querySelector('h1')?.innerText === 'The search is done.'")


def mend(page: Page) -> None:
    """Move two pictures to the second class, and choose two others."""
    tiles = page.locator("[role=option]")
    tiles.nth(0).click()
    tiles.nth(1).click(modifiers=["Control"])
    page.keyboard.press("2")
    page.get_by_text("2 pictures moved").first.wait_for()
    still(page)
    tiles.nth(2).click()
    tiles.nth(3).click(modifiers=["Control"])


def still(page: Page) -> None:
    """Wait until a page is drawn and nothing on it is under way."""
    page.wait_for_timeout(1000)  # a press may only now begin to do something
    page.wait_for_function(_STILL)
    page.wait_for_timeout(1500)  # charts and transitions
    page.wait_for_function(_STILL)


def take(page: Page, address: str, path: Path, whole: bool) -> None:
    """Open an address, wait until all is drawn, and keep a picture in 128 colours or fewer."""
    page.goto(address)
    still(page)
    if path.name.startswith("mend") and not whole:
        mend(page)
        still(page)
    width = page.evaluate("innerWidth")
    if whole:  # the page scrolls inside Streamlit's own box
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": min(max(height, _HEIGHT), 6000)})
        page.wait_for_timeout(1500)
    page.screenshot(path=path)
    page.set_viewport_size({"width": width, "height": _HEIGHT})
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def opened(browser: Browser, width: int, theme: str) -> Page:
    """Return a new window that prefers a theme."""
    shape = {"width": width, "height": _HEIGHT}
    context = browser.new_context(viewport=shape, color_scheme=theme)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(300_000)
    return context.new_page()


def main() -> None:
    """Walk and search once, then take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--address", default="http://localhost:8501")
    parser.add_argument("--query", help="of a finished run to show, instead of training one")
    parser.add_argument("--all", action="store_true", help="every width and theme, whole pages")
    options = parser.parse_args()
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        sys.exit("This needs Chromium: `make browser` installs it where it can.")
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        query = options.query
        if query is None:
            page = opened(browser, 1280, "light")
            query = walk(page, options.address)
            search(page, options.address, query)
            page.context.close()
        for width in _WIDTHS if options.all else (1280,):
            for theme in _THEMES if options.all else ("light",):
                page = opened(browser, width, theme)
                for name in _PAGES:
                    place = "" if name == "data" else name
                    file = f"{name}-{width}-{theme}.png" if options.all else f"{name}.png"
                    address = f"{options.address}/{place}?{query}"
                    take(page, address, options.folder / file, options.all)
                page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
