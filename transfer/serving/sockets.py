"""Where the process listens: a socket of its user alone in the store, or a port."""

import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from transfer import store
from transfer.errors import ServiceError

_LONGEST_PATH = 100  # bytes; the system's limit is 104 to 108
_WAITING = 64  # connections that are not accepted yet


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the store's lock. Who starts this process may have it already, as standard input.

    Raises:
        ServiceError: another process holds it.
    """
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
def private(home: Path) -> Iterator[socket.socket]:
    """Listen in the store, or in a private folder where a socket cannot be there."""
    path = home / "predictor.sock"
    path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="transfer-") as folder:
        listening = None
        if len(os.fsencode(path)) <= _LONGEST_PATH:
            with suppress(OSError):  # some mounted file systems hold no sockets
                listening = _bound(path)
        if listening is None:
            path = Path(folder) / "predictor.sock"
            listening = _bound(path)
        try:
            with listening:
                yield listening
        finally:
            path.unlink(missing_ok=True)


def port(address: str, number: int) -> socket.socket:
    """Listen on a port; 0 takes a free one.

    Raises:
        ServiceError: the port is in use, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, number), family=family, backlog=_WAITING)
    except (OSError, OverflowError) as error:
        raise ServiceError(
            f"It cannot listen on port {number} of {address} ({error}). Something else may be"
            " listening there already: choose another one with --port."
        ) from error


def announce(home: Path, listening: socket.socket) -> dict[str, Any]:
    """Write into the store where the process listens; return what was written."""
    mine = {"socket": listening.getsockname(), "pid": os.getpid()}
    store.write_json(home / "predictor.json", mine)
    return mine


def announced(home: Path) -> Any:
    """Return what the store says of its prediction process, or None."""
    with suppress(OSError, ValueError):
        return store.read_json(home / "predictor.json")
    return None


def withdraw(home: Path, mine: dict[str, Any]) -> None:
    """Take back what was announced, unless the store names another by now."""
    if announced(home) == mine:
        (home / "predictor.json").unlink(missing_ok=True)


def _bound(path: Path) -> socket.socket:
    """Create the socket for this user alone."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
        listening.listen(_WAITING)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening
