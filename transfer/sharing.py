"""How the time of a budget is shared among the fine-tunings of one run."""

import math
import time
from collections.abc import Sequence

from transfer import catalog
from transfer.answering import Answering
from transfer.tempo import Tempo

_GUESS = Answering(building=2.0, picture=0.05)  # where nothing has been measured
LEAST = 15.0  # seconds: less is not worth beginning a fine-tuning for
_MARGIN = 2.0  # seconds: the process itself starts and ends
_SLACK = 1.5  # what comes after a training may take so many times as long as is reckoned
# Graphs that are built after a training: one answers, one tells what is familiar; calibrating, the
# start of reading pictures, and saving together take as long as two (measured: 1.6 to 1.9).
_GRAPHS = 4
_JUDGED = 4  # validations when the training ends: of the epoch, of two ways back, of the factor


class Share:
    """The time of one fine-tuning, in whose course it is seen what has to be kept back.

    Args:
        strategy: what is trained now; linear ones are quick and need no share.
        later: the strategies that come after it.
        pictures: how many each solution answers for at the end, all views counted.
        judged: validation pictures.
        end: when all has to be done, in `time.monotonic()` seconds; infinite without a budget.
        answering: how long the network took to answer, before the training.
        tempo: of the training.
    """

    def __init__(
        self,
        strategy: str,
        later: Sequence[str],
        pictures: int,
        judged: int,
        end: float,
        answering: Answering | None,
        tempo: Tempo,
    ) -> None:
        self._limited = catalog.strategy(strategy).tunes and end < math.inf
        self._rounds = 1 + sum(catalog.strategy(name).tunes for name in later)
        self._pictures, self._judged, self._end = pictures, judged, end
        self._answering, self._tempo = answering or _GUESS, tempo
        self._began = time.monotonic()

    def reserve(self) -> float:
        """Return the seconds that what comes after a training will take, by all that is known."""
        one = self._answering
        validation = self._tempo.between
        if validation is None:
            validation = self._judged * one.picture
        after = _GRAPHS * one.building + self._pictures * one.picture
        return _MARGIN + _SLACK * (self._tempo.slowdown * after + _JUDGED * validation)

    def ends(self) -> float:
        """Return when the training has to end, in `time.monotonic()` seconds; ask again."""
        if not self._limited:
            return self._end
        batch = self._tempo.a_step or 0.0  # the one at hand is brought to its end
        left = self._end - self._began - self._rounds * (self.reserve() + batch)
        share = max(left / self._rounds, LEAST if self._rounds > 1 else 0.0)
        return min(self._began + share, self._end)
