"""What a run's folder says of its probabilities, in figures and words: no Streamlit here."""

from dataclasses import dataclass
from typing import Any

from app import charts, shapes, silences, verdicts, words
from transfer import calibration
from transfer.errors import RunError
from transfer.evaluation import Accuracy
from transfer.runs import Run


@dataclass(frozen=True)
class Promise:
    """What happens where it answers only above a threshold.

    `expected` and `test` are (share of pictures that get an answer, share of those that is right):
    on the pictures that chose the threshold, and on pictures never seen, where there are such.
    """

    target: float
    threshold: float
    expected: tuple[Accuracy, Accuracy | None]
    test: tuple[Accuracy, Accuracy | None] | None


def read(run: Run) -> dict[str, Any] | None:
    """Return what was measured, or None where a run of an earlier version has nothing."""
    try:
        told = run.read("calibration")
    except RunError:
        return None
    if told is None or not shapes.fits(told, silences.CALIBRATION):
        return None
    return told if told["parts"] else None


def part(told: dict[str, Any]) -> str:
    """Return the part of the pictures that the page shows: the test, where there is one."""
    return "test" if "test" in told["parts"] else "validation"


def sentence(told: dict[str, Any]) -> str:
    """Say in a sentence how far its percentages can be believed."""
    after = told["parts"][part(told)]["after"]
    off = 100 * after["ece"]
    if off < 3:
        said = f"Its percentages mean what they say: on average they are off by {off:.1f} points."
    elif off < 8:
        said = f"Its percentages nearly mean what they say: on average off by {off:.0f} points."
    else:
        said = f"Its percentages are a rough guide: on average they are off by {off:.0f} points."
    if after["n"] >= calibration.INDICATIVE:
        return said
    return f"{said} On only {words.many(after['n'], 'picture')} much of that may be chance."


def origin(told: dict[str, Any]) -> str:
    """Say what the temperature is, and what it was fitted on."""
    if told["fitted_on"] == "held_out":
        on = "answers on training pictures, each by a classifier that had not learned from it"
    else:
        on = "the validation pictures, so that their own figures after it are a little too good"
    many = words.many(told["pictures"], "picture")
    if not told["helped"]:
        return (
            f"No temperature is needed: one fitted on {many} did not help on others, so the logits"
            " stay as they are."
        )
    return f"Temperature {told['temperature']:.3g}, fitted on {many}: {on}."


def rows(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures before and after, for a table."""
    names = {"held_out": "training, left out", "validation": "validation", "test": "never seen"}
    return [
        {
            "Pictures": f"{names[name]} ({one['after']['n']:,})",
            "": when,
            "NLL (nats)": round(one[when]["nll"], 4),
            "Brier (0 to 2)": round(one[when]["brier"], 4),
            "ECE (points)": round(100 * one[when]["ece"], 1),
        }
        for name in names
        if (one := told["parts"].get(name))
        for when in ("before", "after")
    ]


def diagram(told: dict[str, Any], theme: str) -> dict[str, Any]:
    """Return the reliability diagram in Vega-Lite: how sure it said, how often it was right."""
    one = told["parts"][part(told)]
    now, before = charts.COLOURS["dark" if theme == "dark" else "light"]
    values = [
        {
            "sure": row["sure"],
            **{name: row["right"][name] for name in ("accuracy", "low", "high")},
            "pictures": row["right"]["n"],
            "when": when,
        }
        for when, some in (("before", one["bins_before"]), ("now", one["bins"]))
        for row in some
    ]
    percent = {"format": ".0%"}
    scale = {"domain": [0, 1]}
    x = {"field": "sure", "type": "quantitative", "title": "how sure it says it is"}
    y = {"field": "accuracy", "type": "quantitative", "title": "how often it is right"}
    x |= {"axis": percent, "scale": scale}
    y |= {"axis": percent, "scale": scale}
    only_now = [{"filter": "datum.when == 'now'"}]
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"sure": 0, "accuracy": 0}, {"sure": 1, "accuracy": 1}]},
            "mark": {"type": "line", "strokeDash": [3, 4], "color": "#888888"},
            "encoding": {"x": x, "y": y},
        },
        {
            "transform": only_now,
            "mark": {"type": "rule", "color": now, "strokeWidth": 1.5, "opacity": 0.6},
            "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
        },
        {
            "transform": [{"filter": "datum.when == 'before'"}],
            "mark": {"type": "point", "shape": "diamond", "color": before, "size": 40},
            "encoding": {"x": x, "y": y, "tooltip": _tooltip("before the temperature")},
        },
        {
            "transform": only_now,
            "mark": {"type": "circle", "color": now, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "size": {
                    "field": "pictures",
                    "type": "quantitative",
                    "legend": None,
                    "scale": {"domainMin": 0, "range": [20, 160]},
                },
                "tooltip": _tooltip("now"),
            },
        },
    ]
    return charts.figure(values, layers, theme)


def in_words(told: dict[str, Any]) -> str:
    """Return what the diagram shows, for those who cannot see it."""
    groups = "; ".join(
        f"{row['sure']:.0%} sure: right {row['right']['accuracy']:.0%} of {row['right']['n']}"
        for row in told["parts"][part(told)]["bins"]
    )
    return f"Reliability diagram. {groups}."


def promises(told: dict[str, Any]) -> list[Promise]:
    """Return what was measured for each target share of right answers, the lowest first."""

    def pair(one: dict[str, Any]) -> tuple[Accuracy, Accuracy | None]:
        return Accuracy(**one["share"]), Accuracy(**one["right"]) if one["right"] else None

    return sorted(
        (
            Promise(
                one["target"],
                one["threshold"],
                pair(one["expected"]),
                pair(one["test"]) if one["test"] else None,
            )
            for one in told["answering"]
        ),
        key=lambda one: one.target,
    )


def kept(one: Promise) -> str:
    """Say how often it answers then, and how often it was right on pictures never seen."""
    share, right = one.test or one.expected
    where = "pictures it has never seen" if one.test else "validation pictures"
    if one.threshold > 1:
        return (
            "No threshold can promise that with the pictures there are: it would never answer."
            " Choose a lower share, or add pictures."
        )
    if right is None:
        return f"It would have answered on none of {share.n} {where}."
    about = "" if one.test else "about "
    often = f"{about}{verdicts.percent(share.accuracy, share.n)}"
    answers = f"It answers on {often} of the pictures and says “not sure enough” on the rest."
    if share.accuracy == 1:
        answers = f"It answers on {about and 'nearly '}all of the pictures."
    if not one.test:
        return answers
    return (
        f"{answers} Measured on {words.many(share.n, 'picture')} of those"
        f" {where.removeprefix('pictures ')}: when it answered it was right"
        f" {verdicts.percent(right.accuracy, right.n)} of the time ({verdicts.between(right)})."
    )


def _tooltip(when: str) -> list[dict[str, Any]]:
    names = {"sure": f"sure, {when}", "accuracy": "right"}
    shares = [{"field": key, "title": name, "format": ".0%"} for key, name in names.items()]
    return [*shares, {"field": "pictures", "title": "pictures"}]
