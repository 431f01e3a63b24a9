"""Ask what the changes to a data set do to its quick check, in a process that ends with it.

The answer lies on the disk (see `transfer.health.probe_files`); this only sees to it that one
process a data set works on the answer to the changes as they are now.
"""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app import jobs, words
from transfer import store
from transfer.dataset import versions
from transfer.health import probe_files

_UNKNOWN = (
    "The quick check ended without an answer. Your changes are kept all the same. Make another"
    " change, or load the page again, and it is asked anew."
)

_NONE = "No clear difference yet"
_HONEST = "Right labels are worth having all the same: they make the test honest."

Word = Literal["unchecked", "working", "ready", "failed"]


@dataclass(frozen=True)
class Standing:
    """How the quick check stands: "unchecked" where no features are kept; `error` a sentence."""

    word: Word
    answer: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Work:
    """A process that works on the answer to some changes."""

    process: subprocess.Popen[bytes]
    wanted: str


_working: dict[tuple[Path, str], _Work] = {}
_failed: dict[tuple[Path, str], tuple[str, str]] = {}  # which changes, and why
_guard = threading.Lock()


def standing(digest: str) -> Standing:
    """Return how the quick check of a data set stands; ask for it where nobody has.

    Raises:
        DataError: the data set is no longer there, or its list of changes is damaged.
    """
    wanted = probe_files.fingerprint(versions.draft(digest))
    if answer := probe_files.read_answer(digest, wanted):
        return Standing("ready", answer)
    if probe_files.read_source(digest) is None:
        return Standing("unchecked")
    key = (store.home().absolute(), digest)
    with _guard:
        _see(key)
        if (failed := _failed.get(key)) and failed[0] == wanted:
            return Standing("failed", error=failed[1])
        work = _working.get(key)
        if work is None or work.wanted != wanted:
            if work:
                work.process.kill()
                work.process.communicate()  # reaped, and its output closed
            _working[key] = _Work(_started(digest), wanted)
    # It may have ended a moment ago, after the first look.
    answer = probe_files.read_answer(digest, wanted)
    return Standing("ready", answer) if answer else Standing("working")


def headline(answer: dict[str, Any], changed: bool) -> str:
    """Return what difference the changes made, or how right the quick check is, in a few words."""
    if changed:
        return f"{_verdict(answer['difference'])}."
    return f"The quick check is right on {_percent(answer['after']['accuracy'])}."


def figures(answer: dict[str, Any], changed: bool) -> str:
    """Return the figures behind the headline, in one line."""
    pictures = words.many(answer["pictures"], "picture")
    if not changed:
        now = answer["after"]
        return (
            f"Between {100 * now['low']:.0f} and {_percent(now['high'])}, measured on {pictures}."
            " Change something, and it says what difference that made."
        )
    before, now = (_percent(answer[key]["accuracy"]) for key in ("before", "after"))
    then, classes = answer["class_count"]
    told = (f" with {then} classes", f" with {classes}") if then != classes else ("", "")
    return f"Quick check: right on {before} before{told[0]}, {now} now{told[1]}, of {pictures}."


def caution(answer: dict[str, Any]) -> str | None:
    """Return what has to stand beside the headline of a change that put labels right."""
    untouched = answer["untouched"]
    if not untouched:
        return None
    if not _sign(answer["difference"]):
        return _HONEST
    if _sign(untouched["difference"]) == _sign(answer["difference"]):
        return None
    verdict = _verdict(untouched["difference"])
    return f"On the pictures that you left in their class: {verdict[0].lower()}{verdict[1:]}."


def remarks(answer: dict[str, Any]) -> list[str]:
    """Return how sure the difference is, and what else is to be known to judge it."""
    found = [f"{_interval(answer['difference'])} (*paired, 95 %*)."]
    then, now = answer["class_count"]
    if then != now:
        more, harder = ("more", "harder") if now > then else ("fewer", "easier")
        found.append(
            f"There are {more} classes to tell apart than before ({now} instead of {then}), which"
            f" alone makes it {harder}."
        )
    if untouched := answer["untouched"]:
        pictures = words.many(untouched["pictures"], "picture")
        before, after = (_percent(untouched[key]["accuracy"]) for key in ("before", "after"))
        found.append(
            f"On the {pictures} that you left in their class, it was right on {before} before and"
            f" is on {after} now. {_interval(untouched['difference'])}. That is the fairer figure:"
            " the others count as right once they have the class that the check saw in them."
        )
    if unseen := answer["unseen"]:
        verbs = ("was", "does") if unseen == 1 else ("were", "do")
        pictures = words.many(unseen, "picture")
        found.append(f"{pictures} {verbs[0]} not checked yet and {verbs[1]} not count here.")
    return found


def _verdict(difference: dict[str, float]) -> str:
    """Return 'Better by about 4 points'."""
    if not _sign(difference):
        return _NONE
    points = round(abs(100 * difference["value"]))
    much = f"about {words.many(points, 'point')}" if points else "less than 1 point"
    return f"{'Better' if _sign(difference) > 0 else 'Worse'} by {much}"


def _sign(difference: dict[str, float]) -> int:
    """Return 1 where it is shown to be better, -1 where worse, 0 where neither is shown."""
    return (difference["low"] > 0) - (difference["high"] < 0)


def _interval(difference: dict[str, float]) -> str:
    value, low, high = (_signed(difference[key]) for key in ("value", "low", "high"))
    return (
        f"The difference is {value} points; by luck alone it could come out anywhere between {low}"
        f" and {high}"
    )


def _percent(share: float) -> str:
    """Return a whole number of percent; what is not all is never shown as 100 %, nor some as 0."""
    whole = round(100 * share)
    return f"{min(max(whole, 1), 99) if 0 < share < 1 else whole} %"


def _signed(share: float) -> str:
    """Return points with their sign, zero without one."""
    text = f"{100 * share:+.1f}"
    return text if float(text) else "0"


def _see(key: tuple[Path, str]) -> None:
    """Note how a process has ended; the lock is held."""
    work = _working.get(key)
    if work is None or work.process.poll() is None:
        return
    output, _ = work.process.communicate()
    del _working[key]
    if work.process.returncode == 0 and probe_files.read_answer(key[1], work.wanted):
        _failed.pop(key, None)
        return
    try:
        error = str(json.loads(output.splitlines()[-1])["error"])
    except (IndexError, ValueError, KeyError, TypeError):
        error = _UNKNOWN
    _failed[key] = (work.wanted, error)


def _started(digest: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "transfer", "probe", digest, "--json"],
        cwd=jobs.ROOT,
        env=jobs.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
