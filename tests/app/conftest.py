"""The pages without a browser: the real script, run by Streamlit's AppTest in this process."""

import functools
import html
import json
import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from streamlit import config
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app import datasets, jobs, predictor, scores, settings, workshop
from app.dispatcher import Dispatcher
from tests.conftest import ROOT
from transfer import catalog, weights
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.runs import Run

OpenPage = Callable[..., AppTest]

_STILL = 90.0  # seconds that one run of a page may take on a busy machine


@dataclass(frozen=True)
class Store:
    """A store that a test may copy: its folder, its data set and its finished run."""

    home: Path
    digest: str
    run_id: str


@pytest.fixture(scope="session")
def _as_served() -> Iterator[None]:
    """Let a page take as long as in the server; what else AppTest does took most of the time.

    It looks for components in all installed packages for each page that it opens. It rewrites each
    script and collects garbage after it, which the app's settings forbid. And it clears the session
    of Keras, which is never in the web process, but here, brought by other tests.
    """
    app = settings.streamlit_settings(settings.LOCALHOST, 0, headless=None)
    before = {name: config.get_option(name) for name in app if name.startswith("runner.")}
    with pytest.MonkeyPatch.context() as patch:
        scan = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        patch.setattr(script_runner, "_clean_problem_modules", lambda: None)
        for name in before:
            config.set_option(name, app[name])
        yield
    for name, value in before.items():
        config.set_option(name, value)


@pytest.fixture
def open_page(_as_served: None) -> OpenPage:
    """Open a page: `open_page(page, **query) -> AppTest`, in the store of the test.

    `app/main.py` runs as it does for a browser: the frame, then the page ("data", "advice",
    "train", "results", "use" or "runs") with these query parameters, for example
    `open_page("use", run=run_id)`. It fails where the script raises.

    Press a button with `press(page, key)`, which runs the script once more; st.switch_page is
    followed, and `page.query_params` is then the new address. `title(page)` is its heading,
    `words(page)` all that can be read on it, `markup(page)` what went into st.html. A change made
    behind the page shows after `page.run()`; polling does not happen by itself.
    """

    def opened(page: str, **query: str) -> AppTest:
        at = AppTest.from_file(ROOT / "app" / "main.py", default_timeout=_STILL)
        at.query_params.update(query)
        # As a browser asks for a page. AppTest.switch_page would take a run of another one first.
        at._page_hash = "" if page == "data" else calc_hash(page)
        at.run()
        at._page_hash = ""  # else it would come back to this page after st.switch_page
        return checked(at)

    return opened


def checked(page: AppTest) -> AppTest:
    """Return the page, if its script ended without an exception."""
    assert not page.exception, page.exception
    return page


def press(page: AppTest, key: str) -> AppTest:
    """Press the button with this key."""
    return checked(page.button(key=key).click().run())


def started(page: AppTest) -> RunConfig:
    """Press the start button and return the settings of the run that is in the queue then."""
    press(page, "start")
    (run,) = workshop.listed()
    assert [job.target for job in jobs.active()] == [run.folder.name]
    assert page.query_params["run"] == run.folder.name
    return run.config()


def title(page: AppTest) -> str:
    """Return the heading, as it is read."""
    found = re.findall(r"<h1>(.*?)</h1>", markup(page))
    assert len(found) == 1, found
    return html.unescape(found[0])


def markup(page: AppTest) -> str:
    """Return what went into st.html, apart from the style."""
    bodies = [str(element.proto.body) for element in page.get("html")]
    return "\n".join(body for body in bodies if not body.startswith("<style>"))


def harmless(page: AppTest) -> bool:
    """Whether nothing on the page runs a script or loads something from elsewhere."""

    class Reader(HTMLParser):
        found = True

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            foreign = [value for name, value in attrs if name in ("src", "href") and value]
            self.found &= tag not in ("script", "iframe", "object", "embed", "form")
            self.found &= not any(name.startswith("on") for name, _ in attrs)
            self.found &= all(re.match(r"[/#?](?!/)", value) for value in foreign)

    reader = Reader()
    reader.feed(markup(page))
    texts = [re.sub(r"\\.", "", text) for text in _markdown(page)]
    return bool(reader.found) and not any("](" in text or "<" in text for text in texts)


def words(page: AppTest) -> str:
    """Return all that can be read on the page, without markup."""
    read = [re.sub(r"\\(\W)", r"\1", text) for text in _markdown(page)]
    return "\n".join([html.unescape(re.sub(r"<[^>]*>", " ", markup(page))), *read])


def _markdown(page: AppTest) -> list[str]:
    """Return what is read as Markdown."""
    kinds = ("markdown", "caption", "warning", "error", "page_link")
    elements: list[Any] = [element for kind in kinds for element in page.get(kind)]
    return [str(element.value) for element in elements] + [button.label for button in page.button]


@pytest.fixture
def home() -> Path:
    """The store of the test, an empty folder."""
    return Path(os.environ["TRANSFER_HOME"])


@pytest.fixture(scope="session")
def learned(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a run that went through the queue and a real dispatcher; do not write into it.

    The built-in network, 72 pictures in 3 classes, exported and checked. `finished` is a copy of it
    for one test, `served` one for the tests that open the page "use".
    """
    home = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(home))
        digest = library.import_dataset(sample_folder).digest
        datasets.describe(digest, "Fruit")
        run = workshop.start(RunConfig(digest, "builtin", 96, strategy="linear_top"), "First")
        dispatcher = Dispatcher(gpus=[])
        deadline = time.monotonic() + 300
        while dispatcher.step():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        standing = workshop.standing(run)
        assert (standing.word, standing.error) == ("finished", None)
    return Store(home, digest, run.folder.name)


@pytest.fixture
def finished(learned: Store, home: Path) -> Store:
    """The same store, copied to be that of this test."""
    shutil.copytree(learned.home, home, dirs_exist_ok=True)
    return Store(home, learned.digest, learned.run_id)


@pytest.fixture(scope="session")
def _served(learned: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    home = tmp_path_factory.mktemp("served")
    shutil.copytree(learned.home, home, dirs_exist_ok=True)
    yield Store(home, learned.digest, learned.run_id)
    for thread in threading.enumerate():
        if thread.name == "warm":
            thread.join(120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(home))
        if predictor.state() == "ready":
            os.kill(json.loads((home / "predictor.json").read_text())["pid"], signal.SIGTERM)
        deadline = time.monotonic() + 60
        while predictor.state() != "absent":
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def served(_served: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same store for all tests that open the page "use", which starts a prediction process.

    So there is one such process, and it is ended after the last of these tests.
    """
    monkeypatch.setenv("TRANSFER_HOME", str(_served.home))
    return _served


@pytest.fixture
def shown(served: Store) -> Run:
    """A run of its own in the store whose prediction process is there already."""
    run = Run(served.home / "runs" / "shown")
    shutil.rmtree(run.folder, ignore_errors=True)
    shutil.copytree(served.home / "runs" / served.run_id, run.folder)
    for target in ("shown.onnx", *scores.targets(run)):
        jobs.forget("export" if target.endswith("onnx") else "score", target)
    return run


@pytest.fixture(scope="session")
def fruit_set(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with one data set and no run; do not write into it."""
    home = tmp_path_factory.mktemp("fruit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(home))
        digest = library.import_dataset(sample_folder).digest
        datasets.describe(digest, "Fruit")
    return Store(home, digest, "")


@pytest.fixture
def fruit(fruit_set: Store, home: Path) -> str:
    """The digest of a data set in the store of the test: 72 pictures in 3 classes."""
    shutil.copytree(fruit_set.home, home, dirs_exist_ok=True)
    return fruit_set.digest


@pytest.fixture
def queued(fruit: str) -> Run:
    """A run in the queue, for which no dispatcher is there."""
    config = RunConfig(fruit, "builtin", 96, strategy="linear_top")
    return workshop.start(config, "Fruit, first try")


def running(run: Run) -> jobs.Job:
    """Take the run's job as a dispatcher does, without a process."""
    job = jobs.latest("train", run.folder.name)
    assert job is not None
    assert jobs.claim(job, "cpu")
    return job


@contextmanager
def serving(routes: Sequence[Route]) -> Iterator[int]:
    """Serve routes on a free port, which is yielded."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            Starlette(routes=routes), ws="none", lifespan="off", log_level="error"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def get(port: int, path: str, **headers: str) -> tuple[int, HTTPMessage, bytes]:
    """Ask a server: (status, headers, body)."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


@pytest.fixture
def keras_home(tmp_path, monkeypatch) -> Path:
    """An empty folder of weights."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


def put_weights(name: str) -> None:
    """Put an empty file where Keras looks for weights: whether it is there is all that counts."""
    spec = catalog.backbone(name)
    path = weights.folder() / weights.file_name(spec, spec.input_size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
