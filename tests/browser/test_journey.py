"""From a zip to a classifier that works elsewhere."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.app_server import AppServer
from transfer import sample

pytestmark = pytest.mark.browser


@pytest.fixture
def orange(tmp_path: Path) -> Path:
    """A picture of none of the classes, of which no classifier is quite sure."""
    path = tmp_path / "orange.jpg"
    sample.draw("orange", np.random.default_rng(5), 160).save(path)
    return path


def _answers_elsewhere(archive: Path, picture: Path, work: Path) -> dict[str, float]:
    """Return what the model in the zip says in a process that knows nothing of this repository."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(work)
    (example,) = work.rglob("example.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = [sys.executable, "-P"]
    found = subprocess.run([*python, "-c", "import transfer"], cwd=work, env=environment)
    assert found.returncode != 0
    answer = subprocess.run(
        [*python, str(example), str(picture)],
        cwd=work, env=environment, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lines = re.findall(r"(\w+): ([\d.]+)$", answer.stdout, re.MULTILINE)
    return {label: float(share) for label, share in lines}


def test_a_zip_becomes_a_classifier_that_gives_the_same_answers_elsewhere(
    page: Page, server: AppServer, sample_zip: Path, orange: Path, tmp_path: Path
):
    steps.upload(page, sample_zip)
    expect(page.locator("h1")).to_have_text("72 pictures in 3 classes.")
    expect(page.locator(".gallery img").first).to_be_visible()
    steps.start_training(page)
    run = server.run(steps.run_in(page))

    steps.await_result(page)
    steps.main_button(page).click()
    page.wait_for_url("**/results?*")
    expect(page.locator("h1")).to_have_text(
        re.compile(r"^It is right on .+ pictures it has never seen \(between \d+ and \d+.%\)\.$")
    )

    steps.main_button(page).click()
    page.wait_for_url("**/use?*")
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(orange)
    expect(page.locator("[data-answer]")).to_be_visible()
    shown = {label: float(share) for label, share in steps.figures(page)}
    assert sum(shown.values()) == pytest.approx(1, abs=1e-3)
    expect(page.locator("[data-answer]")).to_have_text(max(shown, key=shown.__getitem__))

    link = page.get_by_role("link", name="Download")
    with page.expect_download(timeout=steps.LONG) as waiting:
        link.click(timeout=steps.LONG)
    archive = tmp_path / waiting.value.suggested_filename
    assert archive.suffix == ".zip"
    waiting.value.save_as(archive)
    answers = _answers_elsewhere(archive, orange, tmp_path / "elsewhere")
    # Three decimals there, four here, and what the check of the export allows.
    assert answers == pytest.approx(shown, abs=5e-4 + 5e-5 + 1e-4)
    assert run.read("export") is not None
