"""The sections of a report on how sure it is and when that is deserved, and on an ensemble."""

from typing import Any

import numpy as np

from transfer.evaluation import Accuracy, wilson
from transfer.reporting import about_silence, drawing
from transfer.reporting.about_results import as_accuracy
from transfer.reporting.document import Block, Chart, Section, Table, Text
from transfer.reporting.drawing import Bar
from transfer.reporting.material import Material
from transfer.reporting.numbers import interval, percent

_BINS = 10
# What may stand in the result or in the run folder under these names, and what it is about.
_KEPT = {"calibration": "Calibration", "refusal": "None of these", "test_time": "Several views"}
_FEW = 200  # pictures; below, the calibration error is a rough guide
_LEAST = 1e-12
_NAMES = {"nll": "NLL", "ece": "calibration error (ECE)", "brier": "Brier score",
          "auroc": "AUROC", "temperature": "temperature"}  # fmt: skip


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
    for name, title in _KEPT.items():
        kept = found.result.get(name) or found.kept(name)
        if plainly := about_silence.blocks(name, kept):
            blocks += plainly
        elif rows := _flat(kept):
            blocks.append(Table((title, "Value"), rows))
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
    """Return the members of an ensemble, their shares and the gain; None where it is none."""
    block = found.result.get("ensemble")
    if not isinstance(block, dict):
        return None
    members = [one for one in block.get("members") or [] if isinstance(one, dict)]
    rows, bars = [], []
    for number, one in enumerate(members, start=1):
        name = str(one.get("name") or one.get("run") or one.get("backbone") or number)
        name = name.rstrip("/").rpartition("/")[2]
        share = next((a for key in ("test", "validation", "accuracy")
                      if (a := as_accuracy(one.get(key)))), as_accuracy(one))  # fmt: skip
        plain = one.get("accuracy")
        told = interval(share) if share else percent(plain) if isinstance(plain, float) else ""
        rows.append((name, _number(one.get("weight")), told))
        if share:
            bars.append(Bar(name, share))
    blocks: list[Block] = [
        Table(("Member", "Weight", "Right"), tuple(rows), numbers=(1,)),
    ]
    if bars:
        bars.append(Bar("Together", found.overall))
        words = "; ".join(f"{bar.name}: {interval(bar.share)}" for bar in bars)
        blocks.append(Chart(drawing.whiskers(bars), words))
    rest = {key: value for key, value in block.items() if key != "members"}
    if more := _flat(rest):
        blocks.append(Table(("Of the ensemble", "Value"), more))
    return Section("The ensemble", tuple(blocks))


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


def _flat(value: Any, before: str = "") -> tuple[tuple[str, str], ...]:
    """Return what can be read of a block of another version: its numbers and words, named."""
    if not isinstance(value, dict):
        return ()
    rows: list[tuple[str, str]] = []
    for key, one in value.items():
        name = f"{before}{_NAMES.get(key, str(key).replace('_', ' '))}"
        if share := as_accuracy(one):
            rows.append((name, interval(share)))
        elif isinstance(one, dict):
            rows += _flat(one, f"{name}, ")
        elif isinstance(one, bool):
            rows.append((name, "yes" if one else "no"))
        elif isinstance(one, int | float | str):
            rows.append((name, _number(one)))
    return tuple(rows)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
