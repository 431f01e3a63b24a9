"""Answer questions about single pictures: one process a store, on a socket of its user alone.

    question    {"run": id, "size": n}, then the n bytes of a picture file: what is on it?
                {"run": id}: load the model, so that its first picture is answered fast
                {"preview": {...}}: pictures of a data set as a training sees them; see `shown`
                {}: which runs are loaded, in use order, and how much memory is taken
    answer      {"classes": [...], "probabilities": [...], "milliseconds": x} (not with {}), or
                {"plain", "augmented", "labels"} (to a preview), or
                {"error": sentence, "kind": the name of a class in `errors`}, or
                {"leaving": true}: ask the process that comes next

A message is JSON behind its length in 4 bytes (big-endian); a connection carries one question and
its answer. In the store, `predictor.lock` is held for as long as the process lives, and
`predictor.json`, {"socket", "pid"}, is there while it takes questions.
"""

import fcntl
import json
import os
import resource
import select
import signal
import socket
import socketserver
import struct
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer import console, store
from transfer.errors import DataError, ServiceError, TransferError

if TYPE_CHECKING:
    from transfer.models import Models

# Above this after an answer, models are dropped, and at last the process leaves. In between it may
# take more: 1600 MB on top for the largest picture that is read (100 million pixels, transparent),
# 8 * 64 MB for pictures that wait, and 2600 MB while the largest network (ConvNeXtXLarge) loads.
# With that one alone it takes 2600 MB; with MobileNetV2 800, of which TensorFlow itself takes 690.
MOST_MEMORY_MB = 3000
MOST_UPLOAD_MB = 64
IDLE_SECONDS = 600.0

_LONGEST_HEADER = 65536
_LONGEST_SOCKET_PATH = 100  # bytes; the system's limit is 104 to 108
_SECONDS_TO_ASK = 5.0  # for a whole question: who asks is on this machine and has it ready
_ASKING_AT_ONCE = 8  # connections whose pictures are held in memory
_POLL = 0.5


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread a connection, one question at a time."""

    request_queue_size = 64
    timeout = _POLL

    def __init__(self, path: Path, home: Path, models: "Models", most_memory_mb: float) -> None:
        super().__init__(str(path), _Connection)
        self.places = threading.BoundedSemaphore(_ASKING_AT_ONCE)
        self.answered, self.leaving = 0, ""
        self._home, self._most_memory_mb = home, most_memory_mb
        self._models, self._working = models, threading.Lock()
        self._last_used = time.monotonic()

    def server_bind(self) -> None:
        """Create the socket for this user alone."""
        before = os.umask(0o177)
        try:
            super().server_bind()
        finally:
            os.umask(before)

    def serve(self, idle: float) -> None:
        """Answer until nobody asked for `idle` seconds, or another reason to leave."""
        mine = {"socket": self.server_address, "pid": os.getpid()}
        store.write_json(self._home / "predictor.json", mine)
        try:
            while not self.leaving:
                self.handle_request()  # returns after `timeout` too
                if _announced(self._home) != mine:
                    self.leave("the store names another process, or none")
                elif time.monotonic() - self._last_used > idle and self._working.acquire(False):
                    self.leave(f"nobody asked for {idle:g} s")
                    self._working.release()
        finally:
            if _announced(self._home) == mine:
                (self._home / "predictor.json").unlink(missing_ok=True)
        while select.select([self], [], [], 0)[0]:  # who came too late is told so
            self.handle_request()

    def leave(self, reason: str) -> None:
        """Answer what is being worked on, and then no more."""
        self.leaving = self.leaving or reason

    def answer(self, question: dict[str, Any], picture: bytes) -> dict[str, Any]:
        """Answer one question; what can be mended is an answer too."""
        with self._working:
            if self.leaving:
                return {"leaving": True}
            try:
                return self._answer(question, picture)
            except TransferError as error:
                return {"error": str(error), "kind": type(error).__name__}
            except Exception:  # one picture must not end the service for the others
                traceback.print_exc()
                words = "The prediction process could not work on this picture. Try another one."
                return {"error": words, "kind": ServiceError.__name__}
            finally:
                self._last_used = time.monotonic()

    def _answer(self, question: dict[str, Any], picture: bytes) -> dict[str, Any]:
        if "preview" in question:
            from transfer import shown

            return shown.pictures(question["preview"])
        if "run" not in question:
            return {"runs": self._models.names(), "memory_mb": _memory_mb(), "pid": os.getpid()}
        loaded = self._models.get(question["run"])
        began = time.perf_counter()
        values = loaded.probabilities(picture) if "size" in question else []
        milliseconds = round(1000 * (time.perf_counter() - began), 1)
        self.answered += 1
        classes = list(loaded.classifier.classes)
        return {"classes": classes, "probabilities": values, "milliseconds": milliseconds}

    def bound_memory(self) -> None:
        """Drop models where too much memory is taken, and leave where that does not help."""
        with self._working:
            for most in (len(self._models.names()), 1):  # at first only what is left lying about
                if _memory_mb() > self._most_memory_mb:
                    self._models.keep(most)
            if (taken := _memory_mb()) > self._most_memory_mb:
                self.leave(f"it takes {taken} MB, more than {self._most_memory_mb:g}")


class _Connection(socketserver.BaseRequestHandler):
    """One question and its answer."""

    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def handle(self) -> None:
        """Answer, unless who asks is gone or stalls."""
        with suppress(OSError), self.server.places:
            try:
                question, picture = _receive(self.request)
            except TransferError as error:
                answer = {"error": str(error), "kind": type(error).__name__}
            else:
                answer = self.server.answer(question, picture)
            data = json.dumps(answer, ensure_ascii=False).encode()
            self.request.settimeout(_SECONDS_TO_ASK)
            self.request.sendall(struct.pack(">I", len(data)) + data)
        self.server.bound_memory()


def _receive(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Return a question and its picture.

    Raises:
        OSError: nothing came in time.
        TransferError: what came is too large, or no question.
    """
    deadline = time.monotonic() + _SECONDS_TO_ASK
    (length,) = struct.unpack(">I", _exactly(4, connection, deadline))
    try:
        if length > _LONGEST_HEADER:
            raise ValueError
        question = json.loads(_exactly(length, connection, deadline))
        size = int(question.get("size", 0))
        if size < 0:
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ServiceError("The prediction process was not asked in its own language.") from None
    if size > MOST_UPLOAD_MB * 2**20:
        raise DataError(
            f"The picture has {size / 2**20:.0f} MB, and at most {MOST_UPLOAD_MB} MB are read."
            " Make it smaller and try again."
        )
    return question, _exactly(size, connection, deadline)


def _exactly(size: int, connection: socket.socket, deadline: float) -> bytes:
    parts, missing = [], size
    while missing:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        parts.append(connection.recv(min(missing, 1 << 20)))
        if not parts[-1]:
            raise ConnectionResetError
        missing -= len(parts[-1])
    return b"".join(parts)


def serve(idle: float = IDLE_SECONDS, most_memory_mb: float = MOST_MEMORY_MB) -> dict[str, Any]:
    """Be the prediction process of this store; return what was done and why it ended.

    Raises:
        ServiceError: there is one already.
    """
    home = store.home().resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(home), ExitStack() as stack:
        (home / "predictor.json").unlink(missing_ok=True)  # of a process that was killed
        if os.environ.get("TRANSFER_PREDICT_ON_GPU") != "1":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the card is for training
        with console.quiet():
            from transfer import devices, models

            devices.prepare()
        loaded = models.Models(home / "runs", _log)
        server = stack.enter_context(_server(home, loaded, most_memory_mb))
        signal.signal(signal.SIGTERM, lambda *_: server.leave("it was told to end"))
        _log(f"Ready: process {os.getpid()}, {_memory_mb()} MB")
        server.serve(idle)
    _log(f"Left, since {server.leaving}")
    return {"answered": server.answered, "left": server.leaving}


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the store's lock. Who starts this process may have it already, as standard input."""
    path = home / "predictor.lock"
    path.touch(mode=0o600)
    with path.open("ab") as own:
        inherited = False
        with suppress(OSError):
            inherited = os.path.samestat(os.fstat(0), os.fstat(own.fileno()))
        for attempt in range(10):
            try:
                fcntl.flock(0 if inherited else own, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # held for a moment by who looks whether there is one
                if attempt == 9:
                    raise ServiceError(
                        "The prediction process of this store is running already."
                        " It leaves when nobody needs it; there is nothing to do."
                    ) from None
                time.sleep(0.05)
        yield


@contextmanager
def _server(home: Path, models: "Models", most_memory_mb: float) -> Iterator[_Server]:
    """Listen in the store, or in a private folder where a socket cannot be there."""
    with ExitStack() as stack:
        path, server = home / "predictor.sock", None
        path.unlink(missing_ok=True)
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            with suppress(OSError):  # some mounted file systems hold no sockets
                server = _Server(path, home, models, most_memory_mb)
        if server is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="transfer-"))
            path = Path(folder) / "predictor.sock"
            server = _Server(path, home, models, most_memory_mb)
        stack.callback(path.unlink, missing_ok=True)
        yield stack.enter_context(server)


def _announced(home: Path) -> Any:
    """Return what the store says of its prediction process, or None."""
    with suppress(OSError, ValueError):
        return store.read_json(home / "predictor.json")
    return None


def _memory_mb() -> int:
    """Return the resident memory of this process, or its highest so far where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() // 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # macOS: in bytes


def _log(words: str) -> None:
    console.say(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {words}")
