"""What a search found: the trials, the best of them, and the ranges that it may have outgrown."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from transfer.searching import rows as rows_of
from transfer.searching import space as spaces
from transfer.searching.plans import Plan
from transfer.searching.rows import TrialRow
from transfer.searching.space import AUGMENTATION, Side, Space

_LEAST = 6  # trials, to tell whether a setting makes a difference
_DOUBT = 0.05  # chance of a trend that large where there is none
NAMES = {
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "l2": "L2",
    "dropout": "dropout",
    "frozen_level": "frozen levels",
    AUGMENTATION: "augmentation",
}


@dataclass(frozen=True)
class Edge:
    """The best trial lies at the edge of a range: better ones may lie beyond.

    Attributes:
        setting: whose range it is.
        at: "low" or "high".
        range: as it was searched, (low, high).
        widened: as it would be searched with more room on that side.
        matters: whether the trials do better the closer they are to this edge, as far as can be
            told; else the setting makes no difference, and the best lies there by chance.
    """

    setting: str
    at: Side
    range: tuple[float, float]
    widened: tuple[float, float]
    matters: bool


def edges(rows: Sequence[TrialRow], space: Space) -> tuple[Edge, ...]:
    """Return the ranges at whose edge the best trial lies, those that matter first."""
    best = rows_of.best(rows)
    if best is None:
        return ()
    found: list[Edge] = []
    for name, one in space.ranges().items():
        if (side := one.edge(best.settings[name])) is None:
            continue
        wider = one.widened(side)
        ends = ((one.low, one.high), (wider.low, wider.high))
        found.append(Edge(name, side, *ends, matters=_matters(rows, name, side)))
    return tuple(sorted(found, key=lambda edge: not edge.matters))


def result(rows: Sequence[TrialRow], plan: Plan, seconds: float, ended: str) -> dict[str, Any]:
    """Return the answer of a search as a JSON object.

    Args:
        rows: the trials so far.
        plan: what was asked for.
        seconds: working time so far.
        ended: "trials", "budget" or "stopped"; "" while it goes on.
    """
    best, found = rows_of.best(rows), edges(rows, plan.space)
    return {
        "trials": [dataclasses.asdict(row) for row in rows],
        "best": best.settings if best else None,
        "best_trial": best.number if best else None,
        "best_value": best.value if best else None,
        "change": spaces.settings_of_run(best.settings) if best else None,
        "edges": [
            {**dataclasses.asdict(edge), "range": list(edge.range), "widened": list(edge.widened)}
            for edge in found
        ],
        "space": plan.space.to_json(),
        "planned": plan.trials,
        "ended": ended,
        "seconds": round(seconds, 2),
        "sentence": sentence(rows, found, plan, ended),
    }


def sentence(rows: Sequence[TrialRow], found: Sequence[Edge], plan: Plan, ended: str) -> str:
    """Return what came out, and what to do next."""
    best = rows_of.best(rows)
    if best is None:
        if ended == "budget":
            return "The time was up before any trial was whole. Give it more and search again."
        if ended:
            return "No trial came to a good end. Search again in lower learning rates."
        return "No trial is whole yet."
    count = {state: sum(row.state == state for row in rows) for state in ("pruned", "stopped")}
    words = [
        f"Trial {best.number + 1} of {plan.trials} is the best, with a validation loss of"
        f" {best.value:.3g} at {described(best.settings)}."
    ]
    if early := [f"{number} {state}" for state, number in count.items() if number]:
        words.append(f"Ended early: {' and '.join(early)}.")
    if ended == "budget":
        words.append("The time was up: with more of it the search goes on where it is.")
    telling = [edge for edge in found if edge.matters or edge.setting == "learning_rate"]
    words += [_warning(edge) for edge in telling]
    if ended == "trials" and not telling:
        words.append("It does not lie at the edge of any range that matters.")
    return " ".join(words)


def described(settings: dict[str, Any]) -> str:
    """Return the settings of a trial in words."""
    return ", ".join(
        f"{NAMES[name]} {value if isinstance(value, str) else f'{value:.3g}'}"
        for name, value in settings.items()
    )


def _warning(edge: Edge) -> str:
    low, high = edge.widened
    side = {"low": "lower", "high": "upper"}[edge.at]
    return (
        f"The best {NAMES[edge.setting]} lies at the {side} edge of its range, so a better one may"
        f" lie beyond: widen it to {low:.3g} to {high:.3g}."
    )


def _matters(rows: Sequence[TrialRow], name: str, side: Side) -> bool:
    """Whether the validation loss falls towards that side, by Spearman's rank correlation."""
    # A ruined training counts as the worst; what was pruned had its chance.
    told = [row for row in rows if row.state != "unfinished"]
    losses = [math.inf if row.value is None else row.value for row in told]
    places = [float(row.settings[name]) for row in told]
    if len(told) < _LEAST or len(set(places)) < 2 or len(set(losses)) < 2:
        return False
    ranks = stats.rankdata(losses)
    trend = stats.spearmanr(places, ranks, alternative="greater" if side == "low" else "less")
    return bool(trend.pvalue < _DOUBT)  # pyright: ignore[reportAttributeAccessIssue]
