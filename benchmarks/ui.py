"""Measure what watching costs the web process, and how long a change of page takes.

    python -m benchmarks.ui [--pictures 10000] [--seconds 60] [--rounds 10] [--watchers 10]

Real parts throughout: a server of its own on an empty store, a data set of so many generated
pictures, a training that runs while ten browser windows watch it, and Chromium. The cost of
watching is the processor time of the web process over the time of the clock, in slices; the time of
a change of page goes from the click until the new heading stands and the page's script has ended.
Prints one JSON object; `ratio` is the measured value over what is allowed, so below 1 is good.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CLASSES, SIDE = 10, 64
WATCHERS, SHARE_ALLOWED = 10, 0.10  # of one core
CHANGE_ALLOWED = 500.0  # milliseconds, 95th percentile
_SLICES = 6
_NAMES = ("chromium", "chromium-browser", "google-chrome")

# Resolves with the milliseconds from a click on a link of the path until its page is there.
_CHANGE = """
label => new Promise(resolve => {
  const app = document.querySelector('[data-testid="stApp"]');
  const link = [...document.querySelectorAll('.st-key-bar a')]
    .find(one => one.innerText.trim().endsWith(label));
  const before = document.querySelector('h1').innerText;
  const began = performance.now();
  const look = () => {
    const now = document.querySelector('h1');
    const idle = app.getAttribute('data-test-script-state') === 'notRunning';
    if (now && now.innerText !== before && idle) resolve(performance.now() - began);
    else if (performance.now() - began > 20000) resolve(-1);
    else setTimeout(look, 4);
  };
  link.click();
  look();
})
"""


def write_pictures(path: Path, number: int) -> None:
    """Write a zip of so many small JPEGs, all different, in folders by class."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(number):
            label = i % CLASSES
            coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
            coarse[:, :, label % 3] = 25 * label
            picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            with archive.open(f"class-{label}/{i:05}.jpg", "w") as file:
                picture.save(file, "JPEG")


@contextmanager
def served(home: Path) -> Iterator[tuple[str, int]]:
    """Run the app on a store; yields its address and the number of the web process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "TRANSFER_HOME": str(home), "KERAS_HOME": str(home / "keras")}
    command = [sys.executable, "-m", "app"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--no-browser", "--port", str(port)],
            cwd=ROOT, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        if not _answers(f"http://127.0.0.1:{port}", process):
            sys.exit(f"The server does not answer: {(home / 'server.log').read_text()}")
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()
        subprocess.run([*command, "stop"], cwd=ROOT, env=environment, capture_output=True)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watching(
    browser: Browser, address: str, pid: int, seconds: float, watchers: int
) -> dict[str, Any]:
    """Let so many windows watch one training, and return what that costs the web process."""
    pages = [browser.new_context().new_page() for _ in range(watchers)]
    for page in pages:
        page.goto(address)
        page.wait_for_selector("h1:has-text('Learning')", timeout=120_000)
    time.sleep(10)
    shares = []
    for _ in range(_SLICES):
        began, used = time.monotonic(), processor_seconds(pid)
        pages[0].wait_for_timeout(1000 * seconds / _SLICES)
        shares.append((processor_seconds(pid) - used) / (time.monotonic() - began))
    still = sum("Learning" in page.inner_text("h1") for page in pages)
    for page in pages:
        page.context.close()
    return {
        "browsers": watchers,
        "still_watching": still,
        "share_of_a_core": round(statistics.mean(shares), 4),
        "slices": [round(share, 4) for share in shares],
        "ratio": round(statistics.mean(shares) / SHARE_ALLOWED, 3),
    }


def changes(page: Page, rounds: int) -> dict[str, Any]:
    """Walk over all pages again and again, and return how long the changes take."""
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for label in ("Advice", "Train", "Results", "Use", "Runs", "Data"):
            took = page.evaluate(_CHANGE, label)
            times.setdefault(label.lower(), []).append(took)
            page.wait_for_timeout(300)
    every = sorted(one for many in times.values() for one in many)
    p95 = float(np.percentile(every, 95))
    return {
        "changes": len(every),
        "not_arrived": sum(one < 0 for one in every),
        "median_ms": round(statistics.median(every)),
        "p95_ms": round(p95),
        "slowest_ms": round(every[-1]),
        "p95_by_page_ms": {name: round(np.percentile(many, 95)) for name, many in times.items()},
        "ratio": round(p95 / CHANGE_ALLOWED, 3),
    }


def measure(browser: Browser, home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Upload, train, walk over the pages of the finished run; watch one that takes longer."""
    pictures = home / "pictures.zip"
    write_pictures(pictures, options.pictures)
    with served(home) as (address, pid):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(300_000)
        page.goto(address)
        page.locator(".input-files").set_input_files(pictures)
        page.wait_for_url("**data=**")
        page.locator("[class*=st-key-primary_] button").click()
        page.get_by_role("button", name="Start training").click()
        page.wait_for_function(
            "document.querySelector('h1')?.innerText === 'It has learned.'", timeout=600_000
        )
        page.wait_for_timeout(3000)  # nothing else works on this machine then
        changed = changes(page, options.rounds)
        page.get_by_role("link", name="Advice").click()
        page.locator(".st-key-way_finetune_few").get_by_role("button").click()
        page.wait_for_selector("[data-test-script-state='notRunning']")
        page.get_by_role("button", name="Start training").click()
        page.wait_for_selector("h1:has-text('Learning')")
        watched = watching(browser, page.url, pid, options.seconds, options.watchers)
        return {"watching": watched, "page_change": changed}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of watching")
    parser.add_argument("--watchers", type=int, default=WATCHERS)
    parser.add_argument("--rounds", type=int, default=10, help="over all six pages")
    options = parser.parse_args()
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        sys.exit("This needs Chromium: `make browser` installs it where it can.")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        sync_playwright() as playwright,
    ):
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        load = os.getloadavg()[0]
        found = measure(browser, Path(folder), options)
        browser.close()
    print(json.dumps({"pictures": options.pictures, "load_before": load, **found}))


def _answers(address: str, server: subprocess.Popen[bytes]) -> bool:
    """Wait until the server answers; False where it ends or takes more than two minutes."""
    for _ in range(240):
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
            return True
        if server.poll() is not None:
            return False
        time.sleep(0.5)
    return False


if __name__ == "__main__":
    main()
