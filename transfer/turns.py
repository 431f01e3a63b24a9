"""How long this process waits for its turn, since others are at work on the machine too."""

import time
from collections import deque
from pathlib import Path

_TURNS = Path("/proc/self/schedstat")
_SECONDS = 20.0  # of the past that count: a load comes and goes
_LEAST_RAN = 0.3  # seconds within them that say something; a main thread may only wait for others
_SLOWEST = 30.0


class Turns:
    """How many times as long as alone the main thread took lately; look often."""

    def __init__(self, told: Path = _TURNS) -> None:
        self._told = told
        # When; nanoseconds ran and waited. At first the whole life of the process counts.
        self._seen = deque([(time.monotonic(), 0, 0)])
        self._last = 1.0

    def slowdown(self) -> float:
        """Return it, by how long it ran and how long it was ready and waited (proc(5), schedstat).

        1 where the kernel does not say; what it was before where too little was seen. Waiting for a
        disk or a GPU does not count.
        """
        now = time.monotonic()
        try:
            ran, waited = map(int, self._told.read_text().split()[:2])
        except (OSError, ValueError):
            return self._last
        self._seen.append((now, ran, waited))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _SECONDS:
            self._seen.popleft()
        _, ran_before, waited_before = self._seen[0]
        if (ran - ran_before) / 1e9 >= _LEAST_RAN:
            self._last = min(1.0 + (waited - waited_before) / (ran - ran_before), _SLOWEST)
        return self._last
