"""How the time of a budget is shared among the fine-tunings of one run."""

import math
import time
from collections.abc import Sequence

from transfer import catalog
from transfer.judging import Candidate

_RESERVE = 5.0  # seconds of a budget kept for saving the model
_LEAST = 15.0  # seconds: less is not worth beginning a fine-tuning for
_ANSWER = 0.05  # seconds a picture, where nothing has been measured yet
_SLOWER = 4.0  # than the runtime of the features an answer of the model itself is, at most
_SLACK = 1.5  # answers may take so many times as long as they did


def deadline(
    strategy: str,
    later: Sequence[str],
    before: Sequence[Candidate],
    pictures: int,
    forward: float | None,
    end: float,
) -> float:
    """Return when the training in one way has to end, in `time.monotonic()` seconds.

    Args:
        strategy: what is trained now; linear ones are quick and need no share.
        later: the strategies that come after it.
        before: those that are finished: how long the first took to answer is known.
        pictures: how many each solution answers for at the end.
        forward: seconds that the features of a picture took on this machine, where known.
        end: when all has to be done; infinite where there is no budget.
    """
    if not catalog.strategy(strategy).tunes or end == math.inf:
        return end
    if before:
        answer = before[0].validation.seconds / len(before[0].validation.right)
    else:
        answer = _SLOWER * forward if forward else _ANSWER
    rounds = 1 + sum(catalog.strategy(name).tunes for name in later)
    left = end - time.monotonic() - _RESERVE - _SLACK * answer * pictures * rounds
    share = max(left / rounds, _LEAST if rounds > 1 else 0.0)
    return min(time.monotonic() + share, end)
