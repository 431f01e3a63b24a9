"""Ask the prediction process what is on a picture, and start it where there is none.

The process (`python -m transfer serve`, which describes its protocol in `transfer.serving`) loads
TensorFlow, keeps the models that were used last, and leaves when nobody asks. It holds the lock on
`<store>/predictor.lock` for as long as it lives: whoever gets that lock may start one, and hands
the lock over to it, so that there are never two.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from app import processes
from transfer import errors, store
from transfer.errors import ServiceError, TransferError

_ROOT = Path(__file__).resolve().parent.parent
_POLL = 0.05
_MOST_STARTS = 2  # for one question
_MOST_LOG_BYTES = 1_000_000

_warming: set[tuple[Path, str]] = set()
_guard = threading.Lock()


@dataclass(frozen=True)
class Answer:
    """What a model says of one picture: `probabilities[i]` is that of `classes[i]`.

    `milliseconds` is the time for reading and classifying the picture, without any loading.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    milliseconds: float


def classify(run_id: str, picture: bytes, timeout: float = 120.0) -> Answer:
    """Return what the model of a run says of a picture file.

    Raises:
        DataError: the bytes are not a picture that is read.
        RunError: there is no such run, it is not finished or its model is damaged.
        ServiceError: the prediction process cannot be started, or does not answer in time.
    """
    question = {"run": run_id, "size": len(picture)}
    answer = _ask(_home(), question, picture, timeout)
    return Answer(
        tuple(answer["classes"]), tuple(answer["probabilities"]), float(answer["milliseconds"])
    )


def warm(run_id: str) -> None:
    """Make the process start and load the model of a run; return at once, whatever comes of it."""
    key = (_home(), run_id)
    with _guard:
        if key in _warming:
            return
        _warming.add(key)
    threading.Thread(target=_warm, args=key, name="warm", daemon=True).start()


def preview(asked: dict[str, Any], timeout: float = 30.0) -> dict[str, Any]:
    """Return pictures of a data set as a training sees them; see `transfer.shown` for both.

    Raises:
        TransferError: the data set or the settings cannot be used.
        ServiceError: the prediction process cannot be started, or does not answer in time.
    """
    return _ask(_home(), {"preview": asked}, b"", timeout)


def wake() -> None:
    """Make the process start, without a model; return at once, whatever comes of it."""
    key = (_home(), "")
    with _guard:
        if key in _warming:
            return
        _warming.add(key)
    threading.Thread(target=_warm, args=key, name="warm", daemon=True).start()


def state() -> Literal["absent", "starting", "ready"]:
    """Return whether there is a prediction process, and whether it takes questions."""
    home = _home()
    if not processes.held(home / "predictor.lock"):
        return "absent"
    return "ready" if (home / "predictor.json").is_file() else "starting"


def _home() -> Path:
    return store.home().resolve()


def _warm(home: Path, run_id: str) -> None:
    try:
        with suppress(TransferError):  # told to whoever asks about a picture
            _ask(home, {"run": run_id} if run_id else {}, b"", 120.0)
    finally:
        with _guard:
            _warming.discard((home, run_id))


def _ask(home: Path, question: dict[str, Any], picture: bytes, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    deaths = 0
    while deaths < 2:
        with _connected(home, deadline, timeout) as connection:
            try:
                answer = _exchange(connection, question, picture, deadline)
            except TimeoutError:
                raise _too_slow(home, timeout) from None
        if answer is None:
            deaths += 1
        elif "error" in answer:
            raise _error(answer)
        elif not answer.get("leaving"):
            return answer
        else:
            time.sleep(_POLL)
    raise ServiceError(
        "The prediction process ended twice while it worked on this picture. Nothing was lost."
        f" Try a smaller picture; if it happens again, look into '{_log_path(home)}'."
    )


def _error(answer: dict[str, Any]) -> TransferError:
    kind = getattr(errors, str(answer.get("kind")), None)
    if isinstance(kind, type) and issubclass(kind, TransferError):
        return kind(answer["error"])
    return ServiceError(answer["error"])


def _too_slow(home: Path, timeout: float) -> ServiceError:
    return ServiceError(
        f"The prediction process did not answer within {timeout:g} seconds. It may be busy or still"
        f" starting: try again in a minute. What it is doing is in '{_log_path(home)}'."
    )


def _exchange(
    connection: socket.socket, question: dict[str, Any], picture: bytes, deadline: float
) -> dict[str, Any] | None:
    """Return the answer to one question; None where the process died over it."""
    header = json.dumps(question).encode()
    try:
        with suppress(BrokenPipeError):  # it may refuse a picture before it has it all
            connection.settimeout(_left(deadline))
            connection.sendall(struct.pack(">I", len(header)) + header + picture)
        (size,) = struct.unpack(">I", _exactly(4, connection, deadline))
        return json.loads(_exactly(size, connection, deadline))
    except (ConnectionError, EOFError):
        return None


def _exactly(size: int, connection: socket.socket, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        connection.settimeout(_left(deadline))
        if not (part := connection.recv(size - len(data))):
            raise EOFError
        data += part
    return data


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


@contextmanager
def _connected(home: Path, deadline: float, timeout: float) -> Iterator[socket.socket]:
    """Yield a connection to the process, which is started and waited for where need be."""
    starts = 0
    while (connection := _open(home)) is None:
        if time.monotonic() > deadline:
            raise _too_slow(home, timeout)
        try:
            with _free_lock(home) as lock:
                if lock and starts == _MOST_STARTS:
                    raise ServiceError(
                        "The prediction process ends as soon as it is started"
                        f" ({_last_line(home)}). The whole story is in '{_log_path(home)}'."
                    )
                if lock:
                    _start(home, lock)
                    starts += 1
        except OSError as error:
            raise ServiceError(
                f"The prediction process cannot be started in '{home}' ({error.strerror})."
                " See that there is space and that the folder can be written to."
            ) from error
        time.sleep(_POLL)
    with connection:
        yield connection


def _open(home: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(1.0)
        connection.connect(store.read_json(home / "predictor.json")["socket"])
    except (OSError, ValueError, KeyError, TypeError):  # none, killed, or not ready
        connection.close()
        return None
    return connection


@contextmanager
def _free_lock(home: Path) -> Iterator[BinaryIO | None]:
    """Yield the lock of the store's process, or None where a living one holds it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / "predictor.lock"
    path.touch(mode=0o600)
    with path.open("ab") as lock:
        yield lock if processes.take(lock) else None


def _start(home: Path, lock: BinaryIO) -> None:
    """Start the process with the lock as its standard input: there it lasts as long as it does."""
    (home / "predictor.json").unlink(missing_ok=True)  # of one that was killed
    path = _log_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "wb" if path.is_file() and path.stat().st_size > _MOST_LOG_BYTES else "ab"
    with path.open(mode) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "transfer", "serve"],
            stdin=lock,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it is there for the next web process too
            cwd=_ROOT,
            env={**os.environ, "TRANSFER_HOME": str(home)},
        )
    # Takes note of its end, so that no zombie stays.
    threading.Thread(target=process.wait, name="predictor", daemon=True).start()


def _log_path(home: Path) -> Path:
    return home / "logs" / "predictor.log"


def _last_line(home: Path) -> str:
    try:
        lines = _log_path(home).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "no message"
    return next((line.strip() for line in reversed(lines) if line.strip()), "no message")[:300]
