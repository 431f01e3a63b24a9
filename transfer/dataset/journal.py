"""Keep on disk what has come of each file, so that a new process goes on where one was killed."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_EVERY = 0.05  # seconds between two words on how far it is
STARTED, DECODED = "started", "decoded.jsonl"

Outcome = dict[str, Any]  # of one file: a picture's facts, or the reason why there is none


class Journal:
    """What has come of each file so far, and which files were begun, on disk."""

    def __init__(self, work: Path, total: int, tell: Callable[..., None]) -> None:
        self._total, self._tell, self._lock = total, tell, threading.Lock()
        self._told = 0.0
        self._outcomes: dict[int, Outcome] = {}
        decoded, started = work / DECODED, work / STARTED
        for line in decoded.read_text().splitlines() if decoded.is_file() else ():
            try:
                position, outcome = json.loads(line)
            except ValueError:
                continue  # the last line of a process that was killed
            self._outcomes[position] = outcome
        before = started.read_text().split() if started.is_file() else ()
        self._started = {int(position) for position in before}
        # Line by line to the disk: the next process must see what this one did.
        self._decoded_log = decoded.open("a", buffering=1)
        self._started_log = started.open("a", buffering=1)
        self._decoded_log.write("\n")

    def __contains__(self, position: int) -> bool:
        return position in self._outcomes

    def __getitem__(self, position: int) -> Outcome:
        return self._outcomes[position]

    def was_started(self, position: int) -> bool:
        """Whether an earlier process began with the file."""
        return position in self._started

    def close(self) -> None:
        """Close the files; what they hold stays known."""
        self._decoded_log.close()
        self._started_log.close()

    def start(self, position: int) -> None:
        """Note that a file is being read."""
        with self._lock:
            self._started_log.write(f"{position}\n")

    def add(self, position: int, outcome: Outcome) -> None:
        """Note what came of a file, and tell how far the work is."""
        with self._lock:
            self._outcomes[position] = outcome
            self._decoded_log.write(json.dumps([position, outcome]) + "\n")
            now, done = time.monotonic(), len(self._outcomes)
            if done == self._total or now - self._told > _EVERY:
                self._told = now
                self._tell(done=done, total=self._total)
