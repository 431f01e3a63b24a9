"""Ask the prediction process what is on a picture, and start it where there is none.

The process (`python -m transfer serve --store`; `transfer.serving` says what it can be asked, over
HTTP on a socket of its user alone) loads TensorFlow, keeps the models that were used last, and
leaves when nobody asks. It holds the lock on `<store>/predictor.lock` for as long as it lives:
whoever gets that lock may start one, and hands the lock over to it, so that there are never two.
"""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import quote, urlencode

from PIL import Image

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
    `outputs` are the model's further outputs, by name: numbers, or lists of them.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    milliseconds: float
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def sure(self) -> bool:
        """Whether its confidence reaches the limit from which on it is to answer."""
        return bool(self.outputs.get("answers", True))

    @property
    def known(self) -> bool:
        """Whether the picture is not too unlike all that it has learned."""
        return bool(self.outputs.get("known", True))

    @property
    def strangeness(self) -> float | None:
        """How unlike it is, 1 being the limit; None where that was never learned."""
        return self.outputs.get("strangeness")


@dataclass(frozen=True)
class _Question:
    """One request: how it is asked, where, and its body."""

    method: str
    path: str
    body: bytes = b""
    kind: str = "application/octet-stream"


class _Connection(HTTPConnection):
    """A connection to a Unix-domain socket."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__("localhost")
        self.sock = opened
        self.auto_open = False  # a new one would go elsewhere


@dataclass(frozen=True)
class Looked:
    """What speaks for the class `label` on a picture: a transparent PNG file to lay over it.

    `speaks` is false where nothing does; `exact` says whether it is the model's own sum.
    """

    label: str
    layer: bytes
    speaks: bool
    exact: bool
    milliseconds: float

    def picture(self) -> Image.Image:
        """Return the layer, RGBA."""
        return Image.open(io.BytesIO(self.layer)).convert("RGBA")


def classify(run_id: str, picture: bytes, timeout: float = 120.0) -> Answer:
    """Return what the model of a run says of a picture file.

    Raises:
        DataError: the bytes are not a picture that is read.
        RunError: there is no such run, it is not finished or its model is damaged.
        ServiceError: the prediction process cannot be started, or does not answer in time.
    """
    question = _Question("POST", f"{_path(run_id)}/predict", picture)
    answer = _ask(_home(), question, timeout)
    (said,) = answer["predictions"]
    return Answer(
        tuple(answer["classes"]),
        tuple(said["probabilities"]),
        float(answer["milliseconds"]),
        said["outputs"],
    )


def heat_map(
    run_id: str, picture: bytes, name: str | None, side: int, timeout: float = 120.0
) -> Looked:
    """Return where the model of a run looked on a picture file; see `transfer.looked`.

    Args:
        run_id: the run.
        picture: the file.
        name: the class that it is to speak for; None: the one that the model names.
        side: pixels of the layer's longer side, at most.
        timeout: seconds.

    Raises:
        TransferError: as `classify`; there is no such class, or no heat map of this model.
    """
    asked = urlencode({"side": side} | ({"class": name} if name else {}))
    answer = _ask(_home(), _Question("POST", f"{_path(run_id)}/heat-map?{asked}", picture), timeout)
    layer = base64.b64decode(answer["layer"])
    spent = float(answer["milliseconds"])
    return Looked(answer["label"], layer, answer["speaks"], answer["exact"], spent)


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
    body = json.dumps(asked).encode()
    return _ask(_home(), _Question("POST", "/preview", body, "application/json"), timeout)


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
            _ask(home, _Question("GET", _path(run_id) if run_id else "/health"), 120.0)
    finally:
        with _guard:
            _warming.discard((home, run_id))


def _path(run_id: str) -> str:
    return f"/models/{quote(run_id, safe='', errors='replace')}"


def _ask(home: Path, question: _Question, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    deaths = 0
    while deaths < 2:
        with _connected(home, deadline, timeout) as connection:
            try:
                answer = _exchange(connection, question, deadline)
            except TimeoutError:
                raise _too_slow(home, timeout) from None
        if answer is None:
            deaths += 1
        elif "error" not in answer:
            return answer
        elif not answer.get("leaving"):
            raise _error(answer)
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


def _exchange(opened: socket.socket, question: _Question, deadline: float) -> dict[str, Any] | None:
    """Return the answer to one question; None where the process died over it."""
    connection = _Connection(opened)
    headers = {"Content-Type": question.kind, "Connection": "close"}
    try:
        with suppress(ConnectionError):  # it may refuse a picture before it has it all
            opened.settimeout(_left(deadline))
            connection.request(question.method, question.path, question.body, headers)
        opened.settimeout(_left(deadline))
        with connection.getresponse() as response:
            return json.loads(response.read())
    except (ConnectionError, HTTPException, ValueError):
        return None


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
            [sys.executable, "-m", "transfer", "serve", "--store"],
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
