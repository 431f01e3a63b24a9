"""What several views of each picture would bring to a run, in figures and words: no Streamlit."""

import html
from dataclasses import dataclass, replace
from typing import Any

from app import jobs, shapes, verdicts, words, workshop
from transfer.config import RunConfig
from transfer.errors import RunError
from transfer.evaluation import Accuracy
from transfer.runs import Run

TITLES = {
    "none": "The picture as it is",
    "flip": "And its mirror image",
    "ten-crops": "Ten crops",
    "multi-scale": "Five scales by ten crops",
}
_ROW = {"kind": str, "views": int, "milliseconds": float}
_JUDGED = {"accuracy": shapes.ACCURACY, "gain": float, "low": float, "high": float, "p": float}
_SHAPE = {"part": (str, None), "pictures": int, "mirror": bool, "kinds": [_ROW]}
_LONGEST = 80  # characters of a run's name


@dataclass(frozen=True)
class Gain:
    """What one kind of views brings, in shares of 1, and costs, in milliseconds a picture.

    `accuracy`, and `gain` with its paired 95 % interval, are None where nothing could judge it.
    """

    kind: str
    views: int
    milliseconds: float
    accuracy: Accuracy | None = None
    gain: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Measured:
    """All kinds, the picture alone first; judged by so many `pictures` of a part."""

    part: str | None
    pictures: int
    mirror: bool
    gains: tuple[Gain, ...]


def read(run: Run) -> Measured | None:
    """Return what was measured, or None."""
    try:
        told = run.read("test_time")
    except RunError:
        return None
    if told is None or not shapes.fits(told, _SHAPE):
        return None
    gains = tuple(_gain(row) for row in told["kinds"] if row["kind"] in TITLES)
    return Measured(told["part"], told["pictures"], told["mirror"], gains)


def job(run: Run) -> jobs.Job | None:
    """Return the job that measures it, or did."""
    return jobs.latest("views", run.folder.name)


def begin(run: Run) -> None:
    """Put the measuring into the queue."""
    jobs.submit("views", run.folder.name)


def made(run: Run, found: Measured, kind: str) -> Run:
    """Start a new run like this one whose model looks at such views; this one stays as it is.

    Raises:
        TransferError: the run cannot be made.
    """
    config = viewed(run.config(), found, kind)
    added = f", {TITLES[kind].lower()}"
    name = str(run.about()["name"])[: _LONGEST - len(added)].rstrip()
    return workshop.remedied(config, f"{name}{added}")


def viewed(config: RunConfig, found: Measured, kind: str) -> RunConfig:
    """Return the settings with such views, mirrored where that was measured."""
    return replace(config, test_time=kind, horizontal_flip=found.mirror)


def possible(run: Run) -> bool:
    """Whether it is worth measuring: not where the model looks at several views already."""
    try:
        return run.config().test_time == "none"
    except RunError:
        return False


def sentence(found: Measured) -> str:
    """Say what the best kind would bring, and whether that may be chance."""
    judged = [one for one in found.gains if one.gain and one.kind != "none"]
    plain = next((one for one in found.gains if one.kind == "none"), None)
    if not judged or plain is None:
        return "There are no pictures left by which this could be judged; only its cost is known."
    best = max(judged, key=lambda one: one.gain or (0.0, 0.0, 0.0))
    gain, low, _ = best.gain or (0.0, 0.0, 0.0)
    if gain <= 0:
        return "None of them would have been right more often: the picture as it is does best."
    dearer = best.milliseconds / max(plain.milliseconds, 0.01)
    chance = "" if low > 0 else " That may be chance."
    return (
        f"“{TITLES[best.kind]}” would have been right {100 * gain:.1f} points more often, and takes"
        f" {dearer:.1f} times as long.{chance}"
    )


def caution(found: Measured) -> str:
    """Say by what it was judged."""
    if found.part is None:
        return ""
    which = "validation pictures" if found.part == "validation" else "pictures never seen before"
    told = f"Judged by {words.many(found.pictures, 'of the ' + which, 'of the ' + which)}."
    if found.part == "test":
        told += (
            " The model has learned from the validation pictures, so these had to judge; whoever"
            " chooses by them makes their figure a little too kind."
        )
    if not found.mirror:
        told += " Nothing is mirrored: that may not keep the class."
    return told


def table(found: Measured) -> str:
    """Return gain and cost of each kind as HTML."""
    body = "".join(_row(one) for one in found.gains)
    return (
        '<div class="scroll"><table class="plain"><thead><tr><th scope="col">It looks at</th>'
        '<th scope="col" class="right">Views</th><th scope="col" class="right">Right</th>'
        '<th scope="col" class="right">Gain in points</th><th scope="col" class="right">'
        f"Milliseconds a picture</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(one: Gain) -> str:
    right = verdicts.percent(one.accuracy.accuracy, one.accuracy.n) if one.accuracy else "unknown"
    right = right.replace(" ", "\u00a0")  # never "100" above "%" on a narrow screen
    gain = ""
    if one.gain and one.kind != "none":
        points, low, high = (100 * value for value in one.gain)
        gain = f"{points:+.1f} ({low:+.1f} to {high:+.1f})"
    return (
        f'<tr><th scope="row">{html.escape(TITLES[one.kind])}</th><td class="right">{one.views}'
        f'</td><td class="right">{right}</td><td class="right">{gain}</td>'
        f'<td class="right">{one.milliseconds:.0f}</td></tr>'
    )


def _gain(row: dict[str, Any]) -> Gain:
    plain = Gain(row["kind"], row["views"], float(row["milliseconds"]))
    if not shapes.fits(row, _JUDGED):
        return plain
    gain = (float(row["gain"]), float(row["low"]), float(row["high"]))
    return replace(plain, accuracy=Accuracy(**row["accuracy"]), gain=gain)
