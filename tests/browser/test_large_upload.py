"""Uploads of the size of a data set do not go through the memory of the web process."""

import os
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.app_server import AppServer, wait_until

pytestmark = pytest.mark.browser

_MEGABYTE = 2**20
_SIZE = 1024 * _MEGABYTE
_MOST_GROWTH = 100 * _MEGABYTE


def _large_zip(path: Path, pictures: Path) -> Path:
    """Write the pictures and a gigabyte beside them that no compression makes smaller."""
    noise = os.urandom(16 * _MEGABYTE)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for picture in sorted(pictures.rglob("*.jpg")):
            archive.write(picture, picture.relative_to(pictures.parent))
        for number in range(_SIZE // len(noise)):
            archive.writestr(f"{pictures.name}/camera/{number:03d}.raw", noise)
    return path


def _memory(pid: int, name: str) -> int:
    """Return "VmRSS" or "VmHWM", the most since the last `_forget_peak`, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # proc(5)


@pytest.mark.slow
def test_the_web_process_does_not_grow_with_an_upload(
    page: Page, server: AppServer, sample_folder: Path, tmp_path: Path
):
    archive = _large_zip(tmp_path / "large.zip", sample_folder)
    expect(steps.main_button(page)).to_be_visible()
    _forget_peak(server.pid)
    before = _memory(server.pid, "VmRSS")
    steps.send(page, archive)
    wait_until(lambda: "upload=" in page.evaluate("location.href"), 300, "the upload has arrived")
    growth = _memory(server.pid, "VmHWM") - before
    print(f"The web process grew by {growth / _MEGABYTE:.1f} MB.")
    assert growth < _MOST_GROWTH
    archive.unlink()
    page.wait_for_url(lambda url: "data=" in url, timeout=steps.LONG)
    expect(page.locator("h1")).to_have_text("72 pictures in 3 classes.")
    assert _memory(server.pid, "VmHWM") - before < _MOST_GROWTH
