"""The sections of a report on the pictures: what there is, how it was parted, what is wrong."""

import contextlib
from collections import Counter
from typing import Any

from transfer.evaluation import Accuracy
from transfer.health import sentences
from transfer.reporting import drawing
from transfer.reporting.document import Block, Chart, Section, Table, Text
from transfer.reporting.material import Material
from transfer.reporting.numbers import interval
from transfer.wording import many, percent

_PARTS = ("train", "val", "test")
_WORDS = {"train": "training", "val": "validation", "test": "test"}
_MOST_LISTED = 10
_SIZES = {"little": "few", "lots": "many"}
_LIKE = {"similar": "like everyday photographs", "different": "unlike everyday photographs"}


def data(found: Material) -> Section:
    """Return how many pictures there are of each class, and which learned, chose and judged."""
    counts = {part: found.result["splits"].get(part, 0) for part in _PARTS}
    said = ", ".join(f"{counts[part]:,} {_WORDS[part]}" for part in _PARTS)
    blocks: list[Block] = [
        Text((
            f"‘{found.dataset}’: {many(sum(counts.values()), 'picture')} in"
            f" {many(len(found.classes), 'class', 'classes')}: {said}.",
        )),
        *_by_class(found),
        Text((
            "Training pictures are learned from. Validation pictures choose among what was tried."
            " Test pictures only report: nothing was chosen by them. Copies of a picture, and"
            " pictures that belong together, are on one side.",
        ), quiet=True),
    ]  # fmt: skip
    left_out = found.index.rejected if found.index else ()
    if left_out:
        named = [f"{one.file}: {one.reason}" for one in left_out[:_MOST_LISTED]]
        more = len(left_out) - len(named)
        rest = (f"... and {more:,} more.",) if more else ()
        blocks.append(Text((f"Left out: {many(len(left_out), 'file')}.", *named, *rest), True))
    if remarks := found.result.get("warnings"):
        blocks.append(Text(tuple(str(one) for one in remarks)))
    return Section("The pictures", tuple(blocks))


def health(found: Material) -> Section:
    """Return what a check of the data set found, and what bursts would have feigned."""
    report, words = found.health(), []
    if report is None:
        words.append("The data set was not checked for copies, wrong labels and shortcuts.")
    else:
        with contextlib.suppress(KeyError, TypeError, IndexError):  # of another version
            words += sentences.warnings(report) or ["The check found nothing serious."]
    honest = found.result.get("honesty") or {}
    if again := honest.get("repeated"):
        words.append(
            "Judged again by repeated cross-validation on the pictures that it learned and chose"
            f" by, a linear classifier is right on {interval(_accuracy(again))}."
        )
    if (gap := sentences.gap(honest or None)) and gap not in words:
        words.append(gap)
    for pair in honest.get("apart") or []:
        words.append(f"‘{pair[0]}’ and ‘{pair[1]}’ cannot be told apart yet.")
    return Section("What may be wrong with them", (Text(tuple(words)),))


def advice(found: Material) -> Section | None:
    """Return what was advised and by which measurements; None where nothing was measured."""
    value = found.kept("advice")
    if not isinstance(value, dict):
        return None
    blocks: list[Block] = []
    with contextlib.suppress(KeyError, TypeError):
        size, like = value["size"], value["similarity"]
        blocks.append(
            Text((
                f"There are {_SIZES.get(size['verdict'], size['verdict'])} pictures"
                f" (confidence {percent(size['confidence'])}), and they are"
                f" {_LIKE.get(like['verdict'], like['verdict'])}"
                f" (confidence {percent(like['confidence'])}). The advice: {value['strategy']}.",
                *map(str, value["reasons"]),
            ))
        )  # fmt: skip
        blocks += _profile(like["stage_profile"])
        blocks += _growth(size["curve"])
    return Section("The advice and its evidence", tuple(blocks)) if blocks else None


def _by_class(found: Material) -> list[Block]:
    split = found.kept("split")
    if found.index is None or not isinstance(split, dict):
        return []
    labels = [picture.label for picture in found.index.pictures]
    counts = {part: Counter(labels[i] for i in split.get(part, ())) for part in _PARTS}
    rows = tuple((name, *(f"{counts[part][name]:,}" for part in _PARTS)) for name in found.classes)
    return [Table(("Class", "Training", "Validation", "Test"), rows, numbers=(1, 2, 3))]


def _profile(stages: list[dict[str, Any]]) -> list[Block]:
    points = [(float(one["stage"]), float(one["accuracy"])) for one in stages]
    errors = [_double(one.get("standard_error")) for one in stages]
    line = drawing.Line("stages", points, errors)
    words = ", ".join(f"stage {x:g}: {percent(y)}" for x, y in points)
    chart = drawing.curves([line], "stage of the network, from edges to objects",
                           "right, by a classifier on this stage alone", percent=True)  # fmt: skip
    return [Chart(chart, words, "Which stage knows these pictures (bars: two standard errors)")]


def _growth(steps: list[dict[str, Any]]) -> list[Block]:
    points = [(float(one["images"]), float(one["accuracy"])) for one in steps]
    if len(points) < 2:
        return []
    errors = [_double(one.get("standard_error")) for one in steps]
    chart = drawing.curves([drawing.Line("pictures", points, errors)], "pictures learned from",
                           "right on pictures left out", percent=True)  # fmt: skip
    words = ", ".join(f"{x:g} pictures: {percent(y)}" for x, y in points)
    return [Chart(chart, words, "Would more pictures help? (bars: two standard errors)")]


def _double(value: float | None) -> float | None:
    return None if value is None else 2 * float(value)


def _accuracy(value: dict[str, Any]) -> Accuracy:
    return Accuracy(value["accuracy"], value["low"], value["high"], int(value["n"]))
