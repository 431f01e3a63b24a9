"""The web process: Streamlit with routes of our own; it keeps the dispatcher alive."""

import asyncio
import contextlib
import functools
import gc
import importlib
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import streamlit as st
import uvicorn
from streamlit import net_util

from app import jobs, settings, uploads
from app.routes import downloads, heat_maps, mending, pictures, rehearsals
from app.routes import uploads as upload_routes
from transfer import shortage, store

_SCRIPT = Path(__file__).with_name("main.py")
_ROOT = Path(__file__).resolve().parent.parent
_ALIVE_EVERY = 2.0  # seconds
_SWEEP_EVERY = 60.0  # seconds between two collections of garbage, which no script has to wait for
_FAREWELL = 3  # seconds that open pages have to let go when the app is closed
_log = logging.getLogger("app")


def serve(address: str, port: int, headless: bool | None) -> None:
    """Serve the app until the process is told to end."""
    _log_to_file()
    sys.stderr.write(_greeting(address, port))
    # Streamlit would ask a server on the internet for this machine's address when a foreign page
    # tries to connect. Nothing leaves the machine: such a page is refused all the same.
    setattr(net_util, "get_external_ip", lambda: None)  # noqa: B010
    # Streamlit lets uvicorn wait for ever for a page that is still open.
    hurried = functools.partial(uvicorn.Config, timeout_graceful_shutdown=_FAREWELL)
    setattr(uvicorn, "Config", hurried)  # noqa: B010
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl+C is how it is closed
        app().run(config=settings.streamlit_settings(address, port, headless))


def _greeting(address: str, port: int) -> str:
    here = f"\nThe app is at http://localhost:{port}  (Ctrl+C closes it)\n"
    if address == settings.LOCALHOST:
        return f"{here}Only this machine can reach it, and nothing leaves this machine.\n\n"
    return (
        f"{here}It listens on {address}: whoever reaches port {port} of this machine can see the"
        " pictures and change everything.\n\n"
    )


def app() -> st.App:
    """Return the ASGI application."""
    parts = (upload_routes, pictures, downloads, mending, rehearsals, heat_maps)
    routes = [route for part in parts for route in part.routes()]
    return st.App(_SCRIPT, lifespan=_lifespan, routes=routes, on_script_error=_on_error)


@contextlib.asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[None]:
    # What every page needs is loaded once and set apart from the garbage collector, which would
    # otherwise go through it again and again: a poll costs a seventh of the time.
    for name in ("pandas", "pyarrow", "altair", "app.charts"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    uploads.sweep()
    keeper = asyncio.create_task(_keep_alive())
    preparing = subprocess.Popen(
        [sys.executable, "-c", "from app import datasets; datasets.sample_digest()"],
        cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        keeper.cancel()
        preparing.terminate()
        try:
            preparing.wait(5)
        except subprocess.TimeoutExpired:
            preparing.kill()
        if waiting := len(jobs.active()):
            sys.stderr.write(
                f"\nThe page is closed; {waiting} job(s) go on without it and will be there at the"
                " next start. `make stop` ends them too; they then go on at the next start.\n"
            )


async def _keep_alive() -> None:
    """Start the dispatcher where there is none, and let it know that there is a server."""
    swept = time.monotonic()
    while True:
        try:
            await asyncio.to_thread(jobs.ensure_dispatcher)
        except Exception:
            _log.exception("the dispatcher could not be started")
        if time.monotonic() - swept > _SWEEP_EVERY:
            gc.collect()
            swept = time.monotonic()
        await asyncio.sleep(_ALIVE_EVERY)


def _on_error(error: Exception) -> bool:
    """Write the stack trace to the log, and tell the person that nothing is lost."""
    _log.error("a page failed", exc_info=error)
    if shortage.of(error) == "disk":
        st.error(shortage.in_words("disk"), icon=":material/error:")
        return True
    st.error(
        "Something went wrong while this page was drawn. Nothing is lost: pictures and runs are on"
        f" the disk. Load the page again. If it happens again, `{log_file()}` holds the details.",
        icon=":material/error:",
    )
    return True


def log_file() -> Path:
    """Return where stack traces go."""
    return store.home() / "logs" / "web.log"


def _log_to_file() -> None:
    log_file().parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(log_file(), maxBytes=2_000_000, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
