"""What was found in a data set, in sentences, the worst first."""

from typing import Any

_CUES = {
    "size": "the size of the pictures in pixels",
    "file_size": "how strongly the files are compressed",
    "format": "the kind of file",
    "camera": "the camera that the files name",
    "time": "the time at which they were taken",
    "colour": "the mean colour and brightness",
    "sharpness": "how sharp or noisy they are",
    "border": "the border of the pictures alone",
}
_SHOWN = 3


def warnings(health: dict[str, Any]) -> list[str]:
    """Return a sentence for each kind of finding that may make the result wrong.

    Args:
        health: what a check of the data set found, as `health.json` holds it.
    """
    found = [
        _leaks(health["leaks"]),
        _conflicts(health["conflicts"]),
        *(_shortcut(one) for one in health["shortcuts"] if one.get("level") != "note"),
        gap(health["number"]),
        _suspects(health["suspect_labels"]),
        _copies(health["duplicates"]),
    ]
    return [words for words in found if words]


def cue(name: str) -> str:
    """Return what a shortcut's cue is, in words."""
    return _CUES.get(name, name)


def gap(number: dict[str, Any] | None) -> str | None:
    """Return what bursts would feign, where that is much; `number` is what `honesty` measured."""
    if not number or not number["warn"]:
        return None
    grouped, ungrouped = number["grouped"]["accuracy"], number["ungrouped"]["accuracy"]
    return (
        "Your pictures come in bursts: with the pictures of one burst kept together a quick test is"
        f" right on {100 * grouped:.0f} %, with bursts torn apart on {100 * ungrouped:.0f} %. The"
        " first figure is the honest one."
    )


def _leaks(found: list[dict[str, Any]]) -> str | None:
    if not found:
        return None
    example = found[0]["files"]
    return (
        f"{_times(found, 'picture')} in several of your train, val and test folders, for example"
        f" '{example[0]}' and '{example[1]}': a test on what was learned by heart says nothing. The"
        " copies to learn from are left out."
    )


def _conflicts(found: list[dict[str, Any]]) -> str | None:
    if not found:
        return None
    first = found[0]
    labels = " and ".join(f"'{label}'" for label in sorted(set(first["labels"]))[:_SHOWN])
    return (
        f"{_times(found, 'picture')} in several classes, for example '{first['files'][0]}' in"
        f" {labels}: keep each in the class that is right."
    )


def _shortcut(found: dict[str, Any]) -> str:
    return (
        "Your classes may differ in how the pictures were made, not only in their subject: from"
        f" {cue(found['cue'])} alone {100 * found['accuracy']:.0f} % can be told"
        f" ({100 * found['low']:.0f} to {100 * found['high']:.0f} %; guessing:"
        f" {100 * found['chance']:.0f} %). Take pictures of all classes in the same way."
    )


def _suspects(found: list[dict[str, Any]]) -> str | None:
    found = [one for one in found if one["flagged"]]
    if not found:
        return None
    first, one = found[0], len(found) == 1
    return (
        f"{len(found)} {'picture looks' if one else 'pictures look'} more like another class than"
        f" like {'its' if one else 'their'} own, first '{first['file']}': '{first['label']}' or"
        f" '{first['suggested']}'?"
    )


def _copies(found: list[dict[str, Any]]) -> str | None:
    if not found:
        return None
    return (
        f"{_times(found, 'picture')} more than once, as copies or nearly so. Copies stay on one"
        " side of every split."
    )


def _times(found: list[dict[str, Any]], noun: str) -> str:
    return f"1 {noun} is" if len(found) == 1 else f"{len(found)} {noun}s are"
