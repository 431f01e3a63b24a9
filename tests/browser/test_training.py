"""Trainings go on by themselves: in a queue, with the page closed, with processes killed."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.app_server import AppServer, wait_until
from tests.browser.conftest import Browsing
from transfer.runs import Run

pytestmark = pytest.mark.browser

_SOON = 120  # seconds, even on a busy machine
_LONG = steps.LONG / 1000
_SIDE, _LARGER_SIDE = 256, 400  # pixels: an epoch takes seconds, and several with the larger ones


def _epochs(run: Run) -> int:
    """Return how many epochs of fine-tuning have been finished."""
    events, _ = run.events_since()
    return sum(row["event"] == "epoch" and row.get("phase") != "head" for row in events)


def _beginnings(run: Run) -> int:
    """Return how often a process has begun with this run."""
    events, _ = run.events_since()
    return sum(row.get("phase") == "loading" for row in events)


def _fine_tune(
    browsing: Browsing, server: AppServer, archive: Path, side: int = _SIDE
) -> tuple[Page, Run]:
    """Start a training that lasts, and watch it until the network itself learns."""
    page = browsing.open(server.url)
    steps.upload(page, archive)
    steps.start_training(page, fine_tuning=True, side=side)
    run = server.run(steps.run_in(page))
    wait_until(lambda: _epochs(run) > 0, _LONG, "an epoch is finished")
    expect(page.get_by_text(re.compile(r"^Training, epoch \d+ of at most"))).to_be_visible()
    return page, run


def _stop_and_see(page: Page, run: Run) -> None:
    """End a training as a user does who is content with what it has learned."""
    page.get_by_role("button", name="Stop and keep the best so far").click()
    steps.await_result(page)
    steps.main_button(page).click()
    page.wait_for_url("**/results?*")
    result = json.loads((run.folder / "result.json").read_text(encoding="utf-8"))
    assert result["ended"] == "stopped"


@pytest.mark.slow
def test_two_runs_one_after_the_other(browsing: Browsing, server: AppServer, sample_zip: Path):
    first, second = browsing.open(server.url), browsing.open(server.url)
    for page in (first, second):
        steps.upload(page, sample_zip)
    steps.start_training(first)
    steps.start_training(second)
    expect(second.locator("h1")).to_have_text("Waiting for its turn: place 1 of 1.")
    expect(first.locator("h1")).to_contain_text("Learning.")
    assert server.job(steps.run_in(first)).state == "running"
    assert server.job(steps.run_in(second)).state == "queued"
    steps.await_model(first)
    steps.await_result(second)
    ended, begun = server.job(steps.run_in(first)).ended, server.job(steps.run_in(second)).started
    assert ended is not None
    assert begun is not None
    assert ended <= begun
    for page in (first, second):
        assert server.run(steps.run_in(page)).finished
    assert browsing.traffic.errors == []


@pytest.mark.slow
def test_a_closed_browser_finds_its_training_again(
    browsing: Browsing, server: AppServer, sample_zip: Path
):
    page, run = _fine_tune(browsing, server, sample_zip)
    address, worker = page.url, server.worker(run.folder.name)
    page.context.close()
    seen = _epochs(run)
    wait_until(lambda: _epochs(run) > seen, _LONG, "it goes on without a page")
    again = browsing.open(address)
    expect(again.locator("h1")).to_contain_text("Learning.")
    assert server.worker(run.folder.name) == worker
    _stop_and_see(again, run)
    assert browsing.traffic.errors == []


@pytest.mark.slow
def test_a_killed_web_server_comes_back_to_the_same_training(
    browsing: Browsing, own_server: AppServer, sample_zip: Path
):
    page, run = _fine_tune(browsing, own_server, sample_zip, _LARGER_SIDE)
    worker = own_server.worker(run.folder.name)
    own_server.kill()
    seen = _epochs(run)
    wait_until(lambda: _epochs(run) > seen, _LONG, "it goes on without a server")
    assert worker.alive
    own_server.start()
    # The page that stayed open finds the server by itself.
    seen = _epochs(run)
    following = re.compile(rf"^Training, epoch (?!({'|'.join(map(str, range(seen + 1)))}) )\d+ of")
    expect(page.get_by_text(following)).to_be_visible(timeout=steps.LONG)
    assert own_server.worker(run.folder.name) == worker
    assert _beginnings(run) == 1
    _stop_and_see(page, run)
    assert own_server.job(run.folder.name).attempts == 0
    assert browsing.traffic.foreign(own_server.address) == []


@pytest.mark.slow
def test_a_killed_worker_is_noticed_and_its_training_goes_on(
    browsing: Browsing, own_server: AppServer, sample_zip: Path
):
    page, run = _fine_tune(browsing, own_server, sample_zip)
    killed, seen = own_server.worker(run.folder.name), _epochs(run)
    os.kill(killed.pid, signal.SIGKILL)
    wait_until(lambda: own_server.job(run.folder.name).attempts == 1, _SOON, "the end is noticed")
    assert own_server.worker(run.folder.name) != killed
    expect(page.locator("h1")).to_contain_text("Learning.")
    wait_until(lambda: _epochs(run) > seen, _LONG, "it learns again")
    assert _beginnings(run) == 2
    steps.await_result(page)
    assert run.finished
    assert own_server.job(run.folder.name).error is None
