"""Be the serving process: load what answers, listen, and end when it is time."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from transfer import console, store
from transfer.serving import api, limits, sockets
from transfer.serving.limits import Batching
from transfer.serving.protocol import BoundedProtocol
from transfer.serving.service import Service, memory_mb
from transfer.serving.sources import Named, Sources, StoreRuns

_POLL = 0.25  # seconds between two looks whether it is time to leave
_FAREWELL = 0.1  # seconds in which who comes too late is told so
_LOCAL = ("localhost", "127.0.0.1", "::1", "[::1]")


@dataclass(frozen=True)
class Settings:
    """How a process serves.

    Attributes:
        models: FOLDER or NAME=FOLDER; none: the finished runs of the store.
        address: of the network to listen on.
        port: to listen on; 0 takes a free one.
        idle: seconds of rest after which it leaves; None: never.
        most_memory_mb: above it, models are dropped.
        batching: how pictures are put together.
    """

    models: tuple[str, ...] = ()
    address: str = limits.ADDRESS
    port: int = limits.PORT
    idle: float | None = None
    most_memory_mb: float = limits.MOST_MEMORY_MB
    batching: Batching = field(default_factory=Batching)


def serve(settings: Settings) -> dict[str, Any]:
    """Answer on a port until the process is told to end; return what was done and why it ended.

    Raises:
        SettingsError: there is no model in one of the folders.
        ServiceError: the port is in use.
    """
    chosen: Sources = StoreRuns(store.home() / "runs")
    if settings.models:
        chosen = Named.parsed(settings.models)
    with sockets.port(settings.address, settings.port) as listening:
        service = _service(chosen, settings.batching)
        hosts = [*_LOCAL] if settings.address in _LOCAL else None
        server = Server(api.application(service, hosts), service, settings.most_memory_mb)
        where = f"http://{settings.address}:{listening.getsockname()[1]}"
        console.say(f"Answering at {where} ({where}/docs says how to ask; Ctrl+C ends it).")
        server.serve_until_told([listening], settings.idle)
    return server.outcome()


def serve_store(
    idle: float = limits.IDLE_SECONDS,
    most_memory_mb: float = limits.MOST_MEMORY_MB,
    batching: Batching | None = None,
) -> dict[str, Any]:
    """Be the prediction process of this store, for the app; return what was done.

    Raises:
        ServiceError: there is one already.
    """
    home = store.home().resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with sockets.alone(home):
        (home / "predictor.json").unlink(missing_ok=True)  # of a process that was killed
        if os.environ.get("TRANSFER_PREDICT_ON_GPU") != "1":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the card is for training
        service = _service(StoreRuns(home / "runs"), batching or Batching())
        with sockets.private(home) as listening:
            server = store_server(home, service, most_memory_mb)
            log(f"Ready: process {os.getpid()}, {memory_mb()} MB")
            server.serve_until_told([listening], idle)
    log(f"Left, since {service.leaving}")
    return server.outcome()


def store_server(home: Path, service: Service, most_memory_mb: float) -> "Server":
    """Return the server of a store: it announces itself there, and leaves for want of memory."""
    return Server(api.application(service, preview=True), service, most_memory_mb, home)


class Server(uvicorn.Server):
    """Listens, and looks now and then whether it is time to leave."""

    def __init__(
        self, app: FastAPI, service: Service, most_memory_mb: float, home: Path | None = None
    ) -> None:
        config = uvicorn.Config(
            app, http=BoundedProtocol, lifespan="off", ws="none", log_level="error",
            access_log=False,
            timeout_graceful_shutdown=round(limits.SECONDS_TO_END), server_header=False,
        )  # fmt: skip
        super().__init__(config)
        self._service, self._most_memory_mb, self._home = service, most_memory_mb, home
        self._mine: dict[str, Any] = {}

    def serve_until_told(self, listening: list[socket.socket], idle: float | None) -> None:
        """Answer until there is a reason to leave, then end what it began."""
        if self._home:
            self._mine = sockets.announce(self._home, listening[0])
        try:
            with _told_to_end(self.leave):
                asyncio.run(self._both(listening, idle))
        finally:
            if self._home:
                sockets.withdraw(self._home, self._mine)
            self._service.close()

    def leave(self, reason: str = "it was told to end") -> None:
        """Answer what is being worked on, and then no more."""
        self._service.leave(reason)

    def outcome(self) -> dict[str, Any]:
        """Return how many pictures were answered, and why it ended."""
        return {"answered": self._service.answered, "left": self._service.leaving}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve_until_told`: being told to end is no failure."""
        yield

    async def _both(self, listening: list[socket.socket], idle: float | None) -> None:
        watching = asyncio.create_task(self._watch(idle))
        try:
            await self.serve(listening)
        finally:
            watching.cancel()

    async def _watch(self, idle: float | None) -> None:
        service, looked = self._service, self._service.last_used
        while not service.leaving:
            await asyncio.sleep(_POLL)
            resting = time.monotonic() - service.last_used
            if self._home and sockets.announced(self._home) != self._mine:
                service.leave("the store names another process, or none")
            elif idle is not None and resting > idle and not service.busy:
                service.leave(f"nobody asked for {idle:g} s")
            elif service.last_used != looked:  # after an answer
                looked = service.last_used
                await self._bound_memory()
        if self._home:
            sockets.withdraw(self._home, self._mine)
        await asyncio.sleep(_FAREWELL)
        self.should_exit = True

    async def _bound_memory(self) -> None:
        """Drop models where too much memory is taken; the app's leaves where that does not help."""
        service, most_mb = self._service, self._most_memory_mb
        for most in (len(service.models.names()), 1):  # at first only what is left lying about
            if memory_mb() > most_mb:
                await service.alone(lambda most=most: service.models.keep(most))
        if (taken := memory_mb()) > most_mb and self._home:
            service.leave(f"it takes {taken} MB, more than {most_mb:g}")


def log(words: str) -> None:
    """Write a line with the time."""
    console.say(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {words}")


def _service(chosen: Sources, batching: Batching) -> Service:
    """Load TensorFlow, and build what answers."""
    with console.quiet():
        from transfer import devices
        from transfer.serving.models import Models

        lanes = devices.lanes()
        devices.prepare()
    return Service(Models(chosen, log), batching, devices.cpus(), lanes)


@contextlib.contextmanager
def _told_to_end(leave: Callable[[], None]) -> Iterator[None]:
    """Let the signals that end a process end it in order; only the main thread can."""
    try:
        before = {
            number: signal.signal(number, lambda *_: leave())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
    except ValueError:  # a thread of a test
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
