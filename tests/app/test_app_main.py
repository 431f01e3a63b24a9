"""`python -m app` as a command: a port that is taken, the real server, and `stop`."""

import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app import __main__, jobs, processes
from app.routes import uploads as routes
from tests.conftest import ROOT


def _app(*arguments: str, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={**os.environ, "TRANSFER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


def _asked(port: int, path: str, host: str = "localhost") -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers={"Host": f"{host}:{port}"})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")


def _until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_that_is_taken_is_told_and_nothing_starts(address, home, capsys):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as other:
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        assert __main__.main(["--no-browser", "--port", str(port), "--address", address]) == 2
    said = capsys.readouterr().err
    assert f"Port {port} is in use already" in said
    assert f"http://localhost:{port}" in said
    assert "--port" in said
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("arguments", [["begin"], ["--port", "many"], ["--colour"]])
def test_a_wrong_command_is_explained(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        __main__.main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m app" in capsys.readouterr().err


def test_stopping_where_nothing_runs_does_no_harm(home, capsys):
    assert __main__.main(["stop"]) == 0
    assert "0 job(s) will go on" in capsys.readouterr().err


def test_it_serves_keeps_the_dispatcher_and_stops(home):
    """The whole of it: page, own routes, no TensorFlow in the web process, dispatcher, the end."""
    port = _free_port()
    web = _app("--no-browser", "--port", str(port), home=home)
    try:
        _until(lambda: _healthy(port))
        status, page = _asked(port, "/")
        assert status == 200
        assert "<title>" in page
        assert _asked(port, "/advice")[0] == 200
        assert _asked(port, "/api/pictures/x/192/y.jpg")[0] == 403
        assert _asked(port, "/api/downloads/x/y.zip")[0] == 403
        _until(lambda: processes.lives(jobs.dispatcher_lock()))
        loaded = Path(f"/proc/{web.pid}/maps").read_text()
        assert "tensorflow" not in loaded
    finally:
        web.send_signal(signal.SIGTERM)
        output, _ = web.communicate(timeout=60)
    assert "Traceback" not in output
    assert processes.lives(jobs.dispatcher_lock())
    assert __main__.main(["stop"]) == 0
    assert not processes.held(jobs.dispatcher_lock())


def test_an_upload_that_came_to_rest_does_not_keep_it_from_closing(home):
    port = _free_port()
    web = _app("--no-browser", "--port", str(port), home=home)
    try:
        _until(lambda: _healthy(port))
        with socket.create_connection(("127.0.0.1", port)) as held:
            token = f"{routes.TOKEN_HEADER}: {routes.token()}"
            length = "Content-Length: 99"  # of which nothing comes
            lines = ("POST /api/uploads HTTP/1.1", f"Host: localhost:{port}", token, length)
            held.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            time.sleep(0.5)
            web.send_signal(signal.SIGINT)
            web.communicate(timeout=30)
        assert web.returncode == 0
    finally:
        web.kill()
        web.communicate(timeout=20)
        __main__.main(["stop"])


def _healthy(port: int) -> bool:
    try:
        return _asked(port, "/_stcore/health")[0] == 200
    except OSError:
        return False


def test_stop_ends_the_work_and_puts_it_back(home, capsys):
    job = jobs.submit("train", "some-run")
    code = (
        "from app import dispatcher;"
        "dispatcher.main(commands={'train': lambda target: ['sleep', '600']}, interval=0.05)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=jobs.environment(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _until(lambda: processes.holder(jobs.file(job, "lock")) is not None)
        worker = processes.holder(jobs.file(job, "lock"))
        assert [one.state for one in jobs.active()] == ["running"]
        assert __main__.main(["stop"]) == 0
    finally:
        other.terminate()
        other.wait(30)
    assert "1 job(s) will go on at the next start" in capsys.readouterr().err
    assert worker is not None
    assert not worker.alive
    assert [(one.id, one.state) for one in jobs.active()] == [(job.id, "queued")]


def test_a_page_on_a_full_disk_says_so(monkeypatch):
    from app import server

    said: list[str] = []
    monkeypatch.setattr(server.st, "error", lambda words, **_: said.append(words))
    full = sqlite3.OperationalError("database or disk is full")
    assert server._on_error(full)
    assert server._on_error(KeyError("x"))
    assert "Make room" in said[0]
    assert "Something went wrong" in said[1]
