"""Locks that a process holds for life, and ending the process that holds one.

The kernel lets go of an flock however its process ends, so a lock never says of a process that it
lives when it does not: not after a kill, not after the machine was switched off. The file says who
holds it, as a line of /proc/PID/stat, which the process wrote about itself.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GRACE = 5.0  # seconds between asking a process to end and forcing it
_FORCED = 5.0  # seconds that the kernel may take after that
_PAUSE = 0.01
# `exec` keeps the number and the beginning: what the shell writes about itself is true of the
# command. Written by the parent, it would be missing if the parent were killed just then.
_ANNOUNCED = 'read -r stat <"/proc/$$/stat"; printf "%s\\n" "$stat" >"$0"; exec "$@"'

_Kill = Callable[[int, int], None]  # os.kill or os.killpg


@dataclass(frozen=True)
class Process:
    """A process, told by its beginning from a later one with the same number."""

    pid: int
    began: str  # clock ticks since the machine started

    @property
    def alive(self) -> bool:
        """Whether it still works: it is neither gone nor waiting to be reaped."""
        now = _read(Path(f"/proc/{self.pid}/stat"))
        return now is not None and now[0] == self and now[1] not in "ZX"

    def send(self, number: signal.Signals, kill: _Kill) -> None:
        """Signal it; nobody is signalled if its number belongs to another process by now.

        A number is not given away while a process group bears it, so what is left of the group
        is reached even when its leader has gone.
        """
        now = _read(Path(f"/proc/{self.pid}/stat"))
        if now is None or now[0] == self:
            with suppress(ProcessLookupError, PermissionError):
                kill(self.pid, number)


def take(handle: IO[str] | IO[bytes]) -> bool:
    """Lock an open file for as long as it is open in any process; False if it is held."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def announce(handle: IO[str]) -> None:
    """Write into a lock that this process took which process it is."""
    handle.truncate(0)
    handle.write(Path("/proc/self/stat").read_text(encoding="utf-8"))
    handle.flush()


def announced(lock: Path, command: Sequence[str]) -> list[str]:
    """Return a command that first does what `announce` does, and then the work."""
    return ["/bin/sh", "-c", _ANNOUNCED, str(lock), *command]


def held(lock: Path) -> bool:
    """Whether any process holds the lock."""
    try:
        with lock.open(encoding="utf-8") as handle:
            # Shared, so that two who look at once do not take each other for the holder.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def holder(lock: Path) -> Process | None:
    """Return the process that announced itself last, whether or not it lives."""
    found = _read(lock)
    return found[0] if found else None


def lives(lock: Path) -> bool:
    """Whether the process that took the lock is there; a child that inherited it is not enough."""
    if not held(lock):
        return False
    process = holder(lock)
    return process is None or process.alive


def end(lock: Path, grace: float = GRACE, kill: _Kill = os.killpg) -> bool:
    """End the holder of a lock, with its process group: asked first, forced after `grace` seconds.

    Returns:
        Whether the lock is free now.
    """
    asked: Process | None = None
    begun = time.monotonic()
    while held(lock):
        waited = time.monotonic() - begun
        if waited > grace + _FORCED:
            return False
        # Not yet announced, in its first milliseconds: look again.
        if process := holder(lock):
            if waited > grace or not process.alive:
                process.send(signal.SIGKILL, kill)
            elif process != asked:
                process.send(signal.SIGTERM, kill)
            asked = process
        time.sleep(_PAUSE)
    if asked:
        asked.send(signal.SIGKILL, kill)  # what it started, and what did not listen
    return True


def sweep(lock: Path) -> None:
    """End what a process left behind in its group; only for one seen alive a moment ago."""
    if process := holder(lock):
        process.send(signal.SIGKILL, os.killpg)


def _read(stat: Path) -> tuple[Process, str] | None:
    """Read a line as in /proc/PID/stat: the process and its state letter. None if not there."""
    try:
        line = stat.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything (proc(5)). Field 3 is the state, 22 the beginning.
    head, _, tail = line.rpartition(") ")
    fields = tail.split()
    if len(fields) < 20:
        return None
    return Process(int(head.partition(" ")[0]), fields[19]), fields[0]
