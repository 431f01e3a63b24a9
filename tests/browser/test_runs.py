"""The page of all runs: to another machine and into its list, then out of it for good."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.app_server import AppServer
from tests.browser.conftest import Browsing, Place

pytestmark = pytest.mark.browser


def _take_away(page: Page, run: str, folder: Path) -> Path:
    """Download a run, which brings everything that it needs."""
    page.locator(f".st-key-change_{run}").get_by_role("button").click()
    with page.expect_download(timeout=steps.LONG) as waiting:
        page.get_by_role("link", name="Download this run").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


@pytest.mark.slow
def test_a_run_goes_to_another_machine_and_there_for_good(
    browsing: Browsing, server: AppServer, own_server: AppServer, finished: Place, tmp_path: Path
):
    here = browsing.open(f"{server.url}results{finished.query}")
    verdict = here.locator("h1").inner_text()
    here.goto(f"{server.url}runs{finished.query}")
    file = _take_away(here, finished.run, tmp_path)

    there = browsing.open(f"{own_server.url}runs")
    expect(there.locator("h1")).to_have_text("No runs yet.")
    there.get_by_test_id("stExpander").filter(has_text="taken away elsewhere").click()
    steps.send(there, file)
    there.get_by_role("link", name="See its results").click(timeout=steps.LONG)
    there.wait_for_url("**/results?*")
    expect(there.locator("h1")).to_have_text(verdict)
    assert steps.data_in(there) == finished.data
    run = steps.run_in(there)

    there.get_by_role("link", name="Runs", exact=True).click()
    there.wait_for_url("**/runs?*")
    there.locator(f".st-key-change_{run}").get_by_role("button").click()
    there.get_by_label("Name").fill("From the garden")
    there.get_by_label("Name").press("Enter")
    expect(there.get_by_role("link", name="From the garden")).to_be_visible()

    there.get_by_role("button", name="Delete this run").click()
    expect(there.get_by_text(re.compile("This goes for good"))).to_be_visible()
    there.get_by_role("button", name="Delete for good").click()
    expect(there.locator("h1")).to_have_text("No runs yet.")
    assert not own_server.run(run).exists
    assert browsing.traffic.errors == []
    assert browsing.traffic.foreign(server.address, own_server.address) == []


@pytest.mark.slow
def test_a_data_set_is_deleted_after_a_question(
    browsing: Browsing, own_server: AppServer, sample_zip: Path
):
    page = browsing.open(own_server.url)
    steps.upload(page, sample_zip)
    folder = own_server.home / "datasets" / steps.data_in(page)
    assert folder.is_dir()
    page.get_by_text("Rename or delete this data set").click()
    # Where the page is drawn anew just then, the question is gone, and is asked again.
    for last in (False, False, True):
        page.get_by_role("button", name="Delete these pictures").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("goes from this machine for good and frees")
        assert folder.is_dir()
        dialog.get_by_role("button", name="Delete", exact=True).click()
        gone = page.locator("h1").get_by_text("Show me what to tell apart.", exact=True)
        try:
            expect(gone).to_be_visible(timeout=None if last else 30_000)
            break
        except AssertionError:
            if last or not folder.is_dir():
                raise
    assert not folder.exists()
