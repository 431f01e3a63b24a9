"""One browser, one server and one finished run for these tests; pictures of what failed."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser import steps
from tests.browser.app_server import AppServer
from tests.browser.traffic import Traffic

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_PATIENCE = 120_000  # milliseconds for one step
_FAILED = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Browsing:
    """Opens pages, each like a new visitor's, and remembers them."""

    browser: Browser
    traffic: Traffic = field(default_factory=Traffic)
    contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, url: str, *, width: int = 1280, **options: Any) -> Page:
        """Open an address in a window so many pixels wide."""
        viewport = {"width": width, "height": 900}
        context = self.browser.new_context(viewport=viewport, **options)  # pyright: ignore[reportArgumentType]
        context.set_default_timeout(_PATIENCE)
        self.traffic.watch(context)
        self.contexts.append(context)
        page = context.new_page()
        page.goto(url)
        return page

    def pages(self) -> list[Page]:
        """Return the pages that are open now."""
        return [page for context in self.contexts for page in context.pages]


@dataclass(frozen=True)
class Place:
    """A run that has finished, with its data set, as the addresses of pages name them."""

    run: str
    data: str

    @property
    def query(self) -> str:
        """The end of an address."""
        return f"?data={self.data}&run={self.run}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Let the fixtures know that a test has failed."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's browser; the tests are skipped where there is none."""
    found = [os.environ.get("TRANSFER_CHROMIUM"), *map(shutil.which, _NAMES)]
    path = next(filter(None, found), None)
    if path is None:
        pytest.skip("no Chromium here: install it, or name one in TRANSFER_CHROMIUM")
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The server that these tests share."""
    yield from _served(tmp_path_factory)


@pytest.fixture
def own_server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """A server for one test, which may do to it what it likes."""
    yield from _served(tmp_path_factory)


@pytest.fixture
def full_server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """A server whose disk seems to have 100 MB left."""
    yield from _served(tmp_path_factory, free=100 * 2**20)


@pytest.fixture(scope="package")
def finished(chromium: Browser, server: AppServer, sample_zip: Path) -> Place:
    """A finished run with its checked model, on the shared server."""
    browsing = Browsing(chromium)
    page = browsing.open(server.url)
    steps.upload(page, sample_zip)
    steps.start_training(page)
    steps.await_model(page)
    place = Place(steps.run_in(page), steps.data_in(page))
    page.context.close()
    return place


@pytest.fixture
def browsing(
    chromium: Browser, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Browsing]:
    """Opens pages; they are closed at the end, and photographed where the test has failed."""
    browsing = Browsing(chromium)
    yield browsing
    if request.node.stash.get(_FAILED, False):
        for number, page in enumerate(browsing.pages()):
            picture = tmp_path / f"failed-{number}.png"
            page.screenshot(path=picture)
            print(f"{page.url} looked like this: {picture}")
    for context in browsing.contexts:
        context.close()


@pytest.fixture
def page(browsing: Browsing, server: AppServer) -> Iterator[Page]:
    """The first page of the shared server; nothing may go wrong, nor leave the machine."""
    yield browsing.open(server.url)
    assert browsing.traffic.foreign(server.address) == []
    assert browsing.traffic.errors == []
    assert not server.has_called_out()


def _served(
    tmp_path_factory: pytest.TempPathFactory, free: int | None = None
) -> Iterator[AppServer]:
    server = AppServer(tmp_path_factory.mktemp("app") / "home", free)
    try:
        server.start()
        yield server
    finally:
        server.end()
