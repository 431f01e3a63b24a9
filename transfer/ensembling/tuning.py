"""Members that train a network: which trainings there are, and what each member is made of.

All train the same upper part of one network, from the same pretrained weights, with a head in
closed form, on the training pictures; BatchNormalization stays frozen, so that weights can be
averaged without its statistics being wrong.

    seeds      trainings whose order of pictures, changes and dropout are drawn anew
    folds      trainings on different folds of training and validation, which answer as one member:
               the mean of their probabilities. What they say of the pictures of the fold that they
               left out serves the selection, so that all pictures choose
    snapshots  the weights at the end of each cycle of one training whose rate falls by a cosine
               and begins anew (Huang et al. 2017, arXiv 1704.00109)
    averages   the exponential moving average of the weights over the epochs of a seed's training
    soup       one set of weights, the mean of those of the above that lower the loss on the
               validation pictures together (greedy soup: Wortsman et al. 2022, arXiv 2203.05482,
               recipe 1, by the loss instead of the accuracy, which is the same for many mixtures of
               few pictures)

The validation pictures have chosen the best epoch of a seed and the soup, each fold that of its own
training: their answers to them are a little too good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transfer import calibration, crossval, linear
from transfer.checkpoints import Arrays
from transfer.dataset.split import Split
from transfer.ensembling import pool
from transfer.ensembling.bench import Bench
from transfer.ensembling.members import Member, Tuned
from transfer.ensembling.pool import Problem
from transfer.errors import SettingsError

SEEDS, FOLDS, CYCLES = 3, 5, 4
_MIXED = ("seeds", "averages", "snapshots")  # of what a soup is made
SINGULAR = {"seeds": "seed", "folds": "folds", "snapshots": "snapshot", "averages": "average",
            "soup": "soup"}  # fmt: skip


@dataclass(frozen=True)
class Training:
    """One training: `key` names its folder, `name` tells people, `parts` are its pictures."""

    key: str
    name: str
    seed: int
    parts: Split
    cyclic: bool = False


@dataclass(frozen=True)
class Weights:
    """One set of weights of the trained part: `values` in the order of `Bench.variables`."""

    kind: str
    name: str
    values: Arrays


def trainings(kinds: Sequence[str], problem: Problem, parts: Split) -> list[Training]:
    """Return what has to be trained for members of these kinds, in the order of the kinds."""
    found: dict[str, Training] = {}
    for kind in kinds:
        for one in _of_kind(kind, problem, parts):
            found.setdefault(one.key, one)
    return list(found.values())


def _of_kind(kind: str, problem: Problem, parts: Split) -> list[Training]:
    seed = problem.seed
    if kind == "snapshots":
        return [Training("snapshots", "snapshots", seed, parts, cyclic=True)]
    if kind == "folds":
        splits = folds(problem, parts)
        return [
            Training(f"fold-{n}", f"fold {n} of {len(splits)}", seed, one)
            for n, one in enumerate(splits, start=1)
        ]
    some = 1 if kind == "averages" else SEEDS
    return [Training(f"seed-{n}", f"seed {n}", seed + n - 1, parts) for n in range(1, some + 1)]


def folds(problem: Problem, parts: Split) -> list[Split]:
    """Return the splits of which each judges by one fold of training and validation together.

    Groups stay whole; the test pictures are in none of them. There are fewer folds where a class
    has fewer groups.

    Raises:
        SettingsError: a class is in so few groups that a fold would hold all of it.
    """
    labels, groups = problem.labels, problem.groups
    fewest = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
    count = max(2, min(FOLDS, fewest))
    fold_of = crossval.assigned(labels, groups, count, np.random.default_rng([problem.seed, 31]))
    where = np.asarray(problem.positions)
    for fold in range(count):
        if len(lacking := np.setdiff1d(labels, labels[fold_of != fold])):
            name = problem.classes[int(lacking[0])]
            raise SettingsError(
                f"Class '{name}' has too few different pictures for folds: leaving one out would"
                " leave none of it to learn from. Add more of them, or leave the folds out."
            )
    return [
        Split(
            train=tuple(where[fold_of != fold].tolist()),
            val=tuple(where[fold_of == fold].tolist()),
            test=(),
            groups=parts.groups,
        )
        for fold in range(count)
    ]


def members(
    name: str,
    problem: Problem,
    bench: Bench,
    made: dict[str, list[Weights]],
    kinds: Sequence[str],
    left_out: dict[str, tuple[int, ...]],
) -> list[Member]:
    """Return the members of these kinds.

    Args:
        name: of the network.
        problem: what was to be learned.
        bench: judges the weights.
        made: the sets of weights that each training gave, by its key.
        kinds: of `planning.KINDS`.
        left_out: the pictures that each fold's training left out, by its key.
    """
    makers: dict[str, Callable[[], list[Member]]] = {
        "seeds": lambda: [judge.alone(one) for one in some("seeds")],
        "snapshots": lambda: [judge.alone(one) for one in some("snapshots")],
        "averages": lambda: [judge.alone(one) for one in some("averages")],
        "soup": lambda: judge.soup([one for kind in _MIXED for one in some(kind)]),
        "folds": lambda: judge.folds({key: made[key] for key in left_out if key in made}, left_out),
    }

    def some(kind: str) -> list[Weights]:
        return [one for sets in made.values() for one in sets if one.kind == kind]

    judge = _Judge(name, problem, bench)
    return [one for kind in kinds for one in makers[kind]()]


def soup(
    sets: Sequence[Weights], loss_of: Callable[[Arrays], float]
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the mean of some sets of weights, and which: added as long as the loss does not rise.

    They are tried from the best alone to the worst, each once.

    Args:
        sets: at least one.
        loss_of: the loss on pictures that were not learned.
    """
    ranked = sorted(sets, key=lambda one: loss_of(one.values))
    taken, mean = [ranked[0]], ranked[0].values
    lowest = loss_of(mean)
    for one in ranked[1:]:
        n = len(taken)
        tried = [(n * a + b) / (n + 1) for a, b in zip(mean, one.values, strict=True)]
        if (loss := loss_of(tried)) <= lowest:
            taken, mean, lowest = [*taken, one], tried, loss
    return mean, tuple(one.name for one in taken)


class _Judge:
    """Makes members of sets of weights, by what they say of pictures that they had not learned."""

    def __init__(self, name: str, problem: Problem, bench: Bench) -> None:
        self._name, self._problem, self._bench = name, problem, bench
        self._val = tuple(np.asarray(problem.positions)[problem.judging].tolist())
        self._labels = problem.labels[problem.judging]

    def alone(self, one: Weights) -> Member:
        said = self._bench.answers(one.values, self._val)
        return self._member(one.kind, one.name, said, [one.values])

    def soup(self, sets: list[Weights]) -> list[Member]:
        if len(sets) < 2:
            return []

        def loss_of(values: Arrays) -> float:
            return linear.calibrated(self._bench.answers(values, self._val), self._labels)[0]

        mean, names = soup(sets, loss_of)
        if len(names) < 2:  # that set is a member already, or would be nothing new
            return []
        said = self._bench.answers(mean, self._val)
        return [self._member("soup", f"soup of {len(names)}", said, [mean])]

    def folds(
        self, sets: dict[str, list[Weights]], left_out: dict[str, tuple[int, ...]]
    ) -> list[Member]:
        if len(sets) < len(left_out):
            return []
        row_of = {position: row for row, position in enumerate(self._problem.positions)}
        said = np.empty((len(row_of), len(self._problem.classes)), np.float32)
        for key, positions in left_out.items():
            rows = [row_of[one] for one in positions]
            said[rows] = self._bench.answers(sets[key][0].values, positions)
        every = [sets[key][0].values for key in left_out]
        return [self._member("folds", f"{len(every)} folds", said, every)]

    def _member(self, kind: str, name: str, said: np.ndarray, every: list[Arrays]) -> Member:
        """Return a member that answers with the mean of networks, at its one temperature."""
        whole = len(said) == len(self._problem.labels)
        labels = self._problem.labels if whole else self._labels
        _, factor = linear.calibrated(said, labels)
        held_out = calibration.sharpened(said, factor)
        full = f"{self._name} retrained, {name}"
        validation = held_out[self._problem.judging] if whole else held_out
        return Member(
            name=full,
            run=full,
            held_out=held_out,
            validation=pool.accuracy(self._problem.judged(), validation),
            solution=Tuned(
                self._bench.lower,
                tuple(self._bench.upper(values, factor) for values in every),
                self._bench.size,
            ),
            refitted=whole,
            kind=SINGULAR[kind],
        )
