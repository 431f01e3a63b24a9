"""The sections of a report on how sure it is and when that is deserved, and on an ensemble."""

from typing import Any

import numpy as np

from transfer.evaluation import Accuracy, wilson
from transfer.reporting import about_silence, drawing
from transfer.reporting.about_results import as_accuracy
from transfer.reporting.document import Block, Chart, Section, Table, Text
from transfer.reporting.drawing import Bar
from transfer.reporting.material import Material
from transfer.reporting.numbers import interval
from transfer.wording import MEMBER_KINDS, many, percent

_BINS = 10
_FEW = 200  # pictures; below, the calibration error is a rough guide
_LEAST = 1e-12


def certainty(found: Material) -> Section | None:
    """Return how right it is when it is so sure, and the loss; None without single answers."""
    blocks: list[Block] = []
    if found.answers is not None and found.labels is not None:
        probabilities, labels = found.answers[1].astype(np.float64), found.labels
        sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        bins = binned(sure, right)
        blocks.append(_scores(probabilities, labels, bins))
        words = "; ".join(
            f"{percent(x)} sure: right on {percent(one.accuracy)} of {one.n}" for x, one in bins
        )
        blocks.append(
            Chart(
                drawing.reliability(bins),
                words,
                "On the dotted line it is right as often as it is sure; below it, too sure."
                " Bars: 95 % intervals; the numbers are pictures.",
            )
        )
    for told in (about_silence.calibration, about_silence.answering,
                 about_silence.none_of_these, about_silence.views):  # fmt: skip
        blocks += told(found)
    return Section("How sure it is, and whether rightly", tuple(blocks)) if blocks else None


def binned(sure: np.ndarray, right: np.ndarray) -> list[tuple[float, Accuracy]]:
    """Return for each tenth of certainty that occurs (how sure on average, how often right).

    Args:
        sure: the probability of each answer [n].
        right: whether it is right, bool [n].
    """
    tenth = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    parts = [tenth == number for number in range(_BINS)]
    return [
        (float(sure[p].mean()), wilson(int(right[p].sum()), int(p.sum()))) for p in parts if p.any()
    ]


def ensemble(found: Material) -> Section | None:
    """Return the members of an ensemble, their shares, the gain and the cost; None without one."""
    block = found.result.get("ensemble")
    if not isinstance(block, dict):
        return None
    members: list[dict[str, Any]] = block["members"]
    best = members[block["best"]]
    told = [one for one in members if one["weight"] > 0 or one is best]
    told.sort(key=lambda one: -one["weight"])
    shares = {id(one): as_accuracy(one.get(block["part"])) for one in told}
    rows = [
        (
            one["name"] + (" (best alone)" if one is best else ""),
            MEMBER_KINDS.get(str(one.get("kind")), ""),
            f"{one['weight']:.0%}".replace("%", " %"),
            interval(share) if (share := shares[id(one)]) else "",
            _cost(one),
        )
        for one in told
    ]
    rows.append(("Together", "", "", interval(found.overall), _cost(block)))
    bars = [Bar(one["name"], share) for one in told if (share := shares[id(one)])]
    bars.append(Bar("Together", found.overall))
    words = "; ".join(f"{bar.name}: {interval(bar.share)}" for bar in bars)
    return Section("The ensemble", (
        Text(tuple(_gained(block, best, len(members) - len(told)))),
        Table(("Member", "What it is", "Share", "Right", "A picture costs"), tuple(rows),
              numbers=(2,)),
        Chart(drawing.whiskers(bars), words),
    ))  # fmt: skip


def _gained(block: dict[str, Any], best: dict[str, Any], others: int) -> list[str]:
    gain = block["gain"]
    low, high = 100 * gain["low"], 100 * gain["high"]
    words = [
        f"Against {best['name']}, which the pictures that chose would have picked alone:"
        f" {100 * gain['points']:+.1f} points ({low:+.1f} to {high:+.1f}; McNemar's exact test:"
        f" p = {gain['p']:.2g}), on the {block['part']} pictures. Together only they were right on"
        f" {gain['only_ensemble']:,}, alone only that one on {gain['only_member']:,}.",
        f"Members and weights were chosen greedily, with replacement, by {block['chosen_by']:,}"
        " pictures that were not learned (Caruana and others, 2004), never by the test pictures.",
    ]
    if others:
        words.append(
            f"{many(others, 'other member was', 'other members were')} tried and left out."
        )
    if block.get("left_out"):
        words.append(f"There was no time for: {', '.join(block['left_out'])}.")
    return words


def _cost(one: dict[str, Any]) -> str:
    if one.get("milliseconds") is None:
        return ""
    return f"{one['milliseconds']:.0f} ms, {one['megabytes']:.1f} MB"


def _scores(
    probabilities: np.ndarray, labels: np.ndarray, bins: list[tuple[float, Accuracy]]
) -> Text:
    own = probabilities[np.arange(len(labels)), labels]
    nll = float(-np.log(np.maximum(own, _LEAST)).mean())
    targets = np.eye(probabilities.shape[1])[labels]
    brier = float(((probabilities - targets) ** 2).sum(axis=1).mean())
    error = sum(one.n * abs(sure - one.accuracy) for sure, one in bins) / len(labels)
    rough = " (a rough guide: there are few pictures)" if len(labels) < _FEW else ""
    return Text((
        f"On these pictures: negative log-likelihood {nll:.3f} nats, Brier score {brier:.3f},"
        f" expected calibration error {percent(error)}{rough}. Of all three, less is better.",
    ))  # fmt: skip
