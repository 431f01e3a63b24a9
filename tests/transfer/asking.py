"""Start what serves, in a thread or as a process, and ask it over HTTP."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

Said = tuple[int, dict[str, Any]]  # status, JSON


@contextmanager
def process(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Yield `python -m transfer serve ARGUMENTS --json`; killed in the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "transfer", "serve", *arguments, "--json"],
        cwd=ROOT,
        env={**os.environ, "TRANSFER_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def until_ready(home: Path, started: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the process of a store; return what it announces."""
    deadline = time.monotonic() + 120
    while not (home / "predictor.json").exists():
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return json.loads((home / "predictor.json").read_text(encoding="utf-8"))


class _Unix(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection(where: Path | int) -> HTTPConnection:
    """Return a connection to the process of a store, or to a port of this machine."""
    if isinstance(where, int):
        return HTTPConnection("127.0.0.1", where, timeout=120)
    return _Unix(json.loads((where / "predictor.json").read_text(encoding="utf-8"))["socket"])


def ask(
    where: Path | int,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Said:
    """GET, or POST where there is a body."""
    with closing(connection(where)) as asking:
        asking.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        response = asking.getresponse()
        return response.status, json.loads(response.read())


def form(files: list[tuple[str, bytes]]) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a form with these files."""
    parts = [
        b'--limit\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n%s\r\n" % (name.encode(), data)
        for name, data in files
    ]
    return b"".join(parts) + b"--limit--\r\n", {
        "Content-Type": "multipart/form-data; boundary=limit"
    }


@contextmanager
def in_a_thread(server: Any, listening: socket.socket, idle: float | None) -> Iterator[None]:
    """Serve from a thread of this process, which has TensorFlow loaded already."""
    thread = threading.Thread(target=server.serve_until_told, args=([listening], idle))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield
    finally:
        server.leave()
        thread.join(20)
    assert not thread.is_alive()
