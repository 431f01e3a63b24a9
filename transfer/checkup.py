"""Check a data set: what may be wrong with it, and how far its number can be trusted."""

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer import features, honesty, pooling, preparing, prospects, store
from transfer.backbones import Backbone
from transfer.dataset import duplicates, groups, library, looks, relations
from transfer.dataset.index import ImageIndex
from transfer.dataset.relations import Relations
from transfer.errors import DataError
from transfer.features import Features
from transfer.health import probe_files, quality, shortcuts, suspects
from transfer.health.probe_files import Source
from transfer.health.shortcuts import Shortcut
from transfer.health.suspects import Suspect
from transfer.reporter import Reporter
from transfer.runs import Run

_LEAST_OF_A_CLASS = 4  # pictures; of fewer nothing is learned
_STEPS = 6

OnStep = Callable[[int, int], None]


def run(
    run: Run,
    on_step: Callable[..., None] | None = None,
    backbone: Backbone | None = None,
    ahead: bool = True,
) -> dict[str, Any]:
    """Check the data set of a prepared run folder; keep what was found in it and return it.

    Args:
        run: a run folder that `Run.start` has prepared.
        on_step: told how far each phase is.
        backbone: the network of the settings, where it has been loaded already.
        ahead: whether what more pictures would give is kept too.

    Raises:
        TransferError: the data, the weights or the run folder cannot be used; says what to do.
    """
    with run.locked():
        if (known := run.read("health")) is not None:
            return known
        reporter, config = Reporter(run, on_step), run.config()
        index = library.open_dataset(config.dataset, minimum_per_class=1)
        network = preparing.network(config, reporter, backbone)
        everyone = range(len(index.pictures))
        reporter.plan({"features": len(everyone), "check": 0})
        kept = features.compute(network, index, everyone, reporter.counter("features"))
        relations.find(index, reporter.counter("copies"))  # kept: the check reads it
        found = check(network, index, kept, config.seed, reporter.counter("check")).to_json()
        top = pooling.top(network.blocks).columns
        folder = str(features.folder(network).relative_to(store.home()))
        source = Source(
            folder, network.blocks[-1].columns.stop, (top.start, top.stop), config.backbone
        )
        probe_files.write_source(run.folder, source)
        if ahead:
            _write_forecast(run, network, config.seed, reporter)
        run.write("health", found)
        reporter.say("finished", 1, 1, "Finished")
        return found


def _write_forecast(run: Run, network: Backbone, seed: int, reporter: Reporter) -> None:
    """Keep what more pictures would give, where there are enough to tell."""
    with contextlib.suppress(DataError):
        index = library.open_dataset(run.config().dataset)
        run.write("forecast", prospects.measure(network, index, seed, reporter.say)[1])


@dataclass(frozen=True)
class Checkup:
    """What was found, each list the worst first; `to_json` is what `health.json` holds."""

    index: ImageIndex
    related: Relations
    flaws: tuple[quality.Flaw, ...]
    shortcuts: tuple[Shortcut, ...]
    doubtful: tuple[Suspect, ...]
    number: dict[str, Any] | None
    guess: groups.Guess | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return all findings as a JSON object; files by the names that the user knows."""
        index, copies = self.index, self.related.duplicates
        return {
            "dataset": index.digest,
            "duplicates": self._clusters(copies.clusters()),
            "conflicts": self._clusters(duplicates.conflicts(index, copies)),
            "leaks": self._clusters(duplicates.leaks(index, copies)),
            "shortcuts": [_plain(vars(one)) for one in self.shortcuts],
            "suspect_labels": [self._suspect(one) for one in self._listed()],
            "flaws": [self._flaw(one) for one in self.flaws],
            "groups": self._groups(),
            "number": self.number,
            "seconds": round(self.seconds, 2),
        }

    def _clusters(self, found: Iterable[tuple[int, ...]]) -> list[dict[str, Any]]:
        pictures, ids = self.index.pictures, self.related.duplicates.ids
        near = {int(ids[p.first]) for p in self.related.duplicates.pairs if p.kind == "near"}
        return [
            {
                "kind": "near" if int(ids[cluster[0]]) in near else "exact",
                "files": [pictures[i].name for i in cluster],
                "labels": [pictures[i].label for i in cluster],
                "splits": [pictures[i].split for i in cluster],
            }
            for cluster in found
        ]

    def _listed(self) -> tuple[Suspect, ...]:
        """Return the first tenth of the list, and what is flagged behind it."""
        least = math.ceil(len(self.doubtful) / 10)
        flagged = [place for place, one in enumerate(self.doubtful, start=1) if one.flagged]
        return self.doubtful[: max([least, *flagged[-1:]])]

    def _suspect(self, one: Suspect) -> dict[str, Any]:
        return {
            "file": self.index.pictures[one.position].name,
            "label": one.label,
            "suggested": one.suggested,
            "own": round(one.own, 4),
            "other": round(one.other, 4),
            "score": round(one.score, 4),
            "flagged": one.flagged,
        }

    def _flaw(self, flaw: quality.Flaw) -> dict[str, Any]:
        return {
            "kind": flaw.kind,
            "files": [self.index.pictures[i].name for i in flaw.positions],
            "values": [round(float(value), 4) for value in flaw.values],
            "labels": list(flaw.labels),
        }

    def _groups(self) -> dict[str, Any]:
        found = self.related.groups
        return {
            "count": len(np.unique(found.ids)),
            "bursts": [
                {"files": [self.index.pictures[i].name for i in burst]} for burst in found.bursts
            ],
            "named": found.named,
            "guess": vars(self.guess) if self.guess else None,
        }


def check(
    backbone: Backbone,
    index: ImageIndex,
    kept: Features,
    seed: int,
    on_step: OnStep | None = None,
) -> Checkup:
    """Look for copies, flaws, shortcuts and suspect labels, and measure the number both ways.

    All pictures are looked at, those of the user's test folder too: a wrong label there makes a
    wrong number.

    Args:
        backbone: the network whose features are kept.
        index: the data set.
        kept: the features of all its pictures.
        seed: draws samples.
        on_step: told of (steps done, steps in all).
    """
    began = time.monotonic()
    tell = on_step or (lambda _done, _total: None)
    tell(0, _STEPS)
    looked = looks.compute(index)
    related = relations.find(index)
    tell(1, _STEPS)
    top = kept.of(pooling.top(backbone.blocks), range(len(index.pictures)))
    known = _Learnable(backbone, index, kept, related.groups.ids)
    cues = shortcuts.find(index, looked, related.groups.ids, seed, known.accuracy)
    tell(3, _STEPS)
    flaws = quality.find(index, looked, top)
    tell(4, _STEPS)
    doubtful, number = known.suspects(), known.number(seed)
    tell(5, _STEPS)
    guess = None if related.groups.named else groups.guess(index, looked)
    tell(_STEPS, _STEPS)
    seconds = time.monotonic() - began
    return Checkup(index, related, flaws, cues, doubtful, number, guess, seconds)


class _Learnable:
    """The pictures of the classes that are large enough to be learned, and probes on them."""

    def __init__(self, backbone: Backbone, index: ImageIndex, kept: Features, groups: np.ndarray):
        names = [name for name, n in index.counts().items() if n >= _LEAST_OF_A_CLASS]
        self.classes = tuple(names) if len(names) > 1 else ()
        here = [i for i, one in enumerate(index.pictures) if one.label in self.classes]
        self.positions = np.array(here, np.int64)
        numbers = {name: number for number, name in enumerate(self.classes)}
        self.labels = np.array([numbers[index.pictures[i].label] for i in here], np.int64)
        self.groups = groups[self.positions]
        stages = pooling.means(backbone.blocks)[-suspects.STAGES :]
        self.blocks = [kept.of(block, here) for block in stages]
        self.held_out: np.ndarray | None = None
        self.accuracy: float | None = None
        if self.classes:
            self.held_out = suspects.opinion(
                self.blocks, self.labels, len(self.classes), self.groups
            )
            self.accuracy = float((self.held_out.argmax(axis=1) == self.labels).mean())

    def suspects(self) -> tuple[Suspect, ...]:
        if self.held_out is None:
            return ()
        return suspects.find(self.held_out, self.labels, self.classes, self.positions.tolist())

    def number(self, seed: int) -> dict[str, Any] | None:
        if not self.classes:
            return None
        return honesty.measure(self.blocks[-1], self.labels, self.classes, self.groups, seed)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return JSON's own types, rounded."""
    return {
        key: round(value, 4) if isinstance(value, float)
        else list(value) if isinstance(value, tuple)
        else value
        for key, value in values.items()
    }  # fmt: skip
