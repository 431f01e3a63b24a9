"""What a search was asked to do: its waves of trials, each coarse, then fine. JSON both ways."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from transfer import bounds, catalog
from transfer.config import RunConfig
from transfer.errors import RunError, SettingsError
from transfer.runs import Run
from transfer.searching.space import Space

PLAN, RESULT = "plan", "search"  # what is kept in the folder of a search
COARSE, FINE = "coarse", "fine"
STRATEGIES = tuple(one.name for one in catalog.STRATEGIES if one.tunes)
_COARSE_SHARE = 0.6
_LEAST_COARSE = 3  # trials: the fine round is drawn round the best of them
USUAL_TRIALS = 20
MOST_TRIALS = 1000


@dataclass(frozen=True)
class Wave:
    """So many trials in a space: the first ones all over it, the others round the best of these.

    A search begins with one wave; widening a range adds another.
    """

    space: Space
    trials: int
    coarse: int

    def round_of(self, place: int) -> str:
        """Return the round of the trial at a place in the wave, from 0."""
        return COARSE if place < self.coarse else FINE


@dataclass(frozen=True)
class Plan:
    """All that decides which trials a search makes, and the working seconds that it may take.

    `epochs` are those of each trial; None: a quarter of those of a run, see `search`.
    """

    waves: tuple[Wave, ...]
    epochs: int | None = None
    budget: float | None = None

    @property
    def trials(self) -> int:
        """How many trials there are in all waves."""
        return sum(wave.trials for wave in self.waves)

    @property
    def space(self) -> Space:
        """The widest space so far."""
        return self.waves[-1].space

    def place(self, number: int) -> tuple[int, int]:
        """Return (wave, place in it) of a trial; both and the number count from 0."""
        for wave, one in enumerate(self.waves):
            if number < one.trials:
                return wave, number
            number -= one.trials
        raise IndexError(number)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        waves = [
            {"space": one.space.to_json(), "trials": one.trials, "coarse": one.coarse}
            for one in self.waves
        ]
        return {"waves": waves, "epochs": self.epochs, "budget": self.budget}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Plan":
        """Return the plan that `to_json` wrote."""
        waves = (
            Wave(Space.from_json(one["space"]), one["trials"], one["coarse"])
            for one in value["waves"]
        )
        return cls(tuple(waves), value["epochs"], value["budget"])


def wave(space: Space, trials: int) -> Wave:
    """Return a wave of so many trials, six of ten in its coarse round."""
    return Wave(space, trials, min(trials, max(_LEAST_COARSE, round(_COARSE_SHARE * trials))))


@dataclass(frozen=True)
class Wish:
    """What somebody asks of a search; what is None is as before, or as usual.

    Attributes:
        space: the ranges to begin with.
        trials: how many; of the last wave, where there are several.
        epochs: of each trial.
        budget: working seconds for the whole search; None: no limit.
        widen: settings whose ranges are to be widened where the best trial lies at an edge.
        at_once: widen although trials are missing, which are then not made. Without it the same
            words, said again, go on with what is missing.
    """

    space: Space | None = None
    trials: int | None = None
    epochs: int | None = None
    budget: float | None = None
    widen: tuple[str, ...] = ()
    at_once: bool = False


def begun(wish: Wish) -> Plan:
    """Return the plan of a new search.

    Raises:
        SettingsError: there is nothing yet to widen.
    """
    if wish.widen:
        raise SettingsError(
            "There is no search in this folder yet whose range could be widened."
            " Search first, without --widen."
        )
    first = wave(wish.space or Space(), wish.trials or USUAL_TRIALS)
    return Plan((first,), wish.epochs, wish.budget)


def continued(known: Plan, wish: Wish) -> Plan:
    """Return the plan that goes on with a known one: more trials where more are wanted.

    Raises:
        SettingsError: the search was begun in other ranges or with other epochs.
    """
    first = known.waves[0].space
    wanted = vars(wish.space or first)
    different = [name for name, value in wanted.items() if getattr(first, name) != value]
    if wish.epochs not in (None, known.epochs):
        different.append("epochs")
    if different:
        told = " and another ".join(name.replace("_", " ") for name in different)
        raise SettingsError(
            f"The search in this folder was begun with another {told}."
            " Use the same settings to go on with it, or another folder for a new search."
        )
    last = known.waves[-1]
    last = dataclasses.replace(last, trials=max(last.trials, wish.trials or 0))
    return dataclasses.replace(known, waves=(*known.waves[:-1], last), budget=wish.budget)


def widened(known: Plan, space: Space, wish: Wish) -> Plan:
    """Return the plan with one more wave, in a wider space."""
    more = wave(space, wish.trials or known.waves[-1].trials)
    return dataclasses.replace(known, waves=(*known.waves, more), budget=wish.budget)


def cut(known: Plan, made: int) -> Plan:
    """Return the plan without the trials after the first so many, at least those of the waves."""
    before = known.trials - known.waves[-1].trials
    last, kept = known.waves[-1], max(1, made - before)
    last = dataclasses.replace(last, trials=kept, coarse=min(last.coarse, kept))
    return dataclasses.replace(known, waves=(*known.waves[:-1], last))


def prepare(run: Run, config: RunConfig, wish: Wish) -> Plan:
    """Begin a search in a folder, or go on with the one that is there; return its plan.

    Raises:
        SettingsError: the strategy does not train the network, the search was begun otherwise, or a
            number is out of range.
        RunError: the folder holds something else, or another process works in it.
    """
    if config.strategy not in STRATEGIES:
        raise SettingsError(
            "A search is for finetune_few or finetune_many, but the strategy is"
            f" {config.strategy}. The linear ones have nothing to search: they are solved exactly."
        )
    if run.finished:
        raise RunError(
            f"'{run.folder}' holds a finished training. Name another folder for the search."
        )
    run.start(config)
    with run.locked():
        plan = _settled(run, wish)
        run.write(PLAN, plan.to_json())
    return plan


def _settled(run: Run, wish: Wish) -> Plan:
    _check(wish)
    if (kept := run.read(PLAN)) is None:
        return begun(wish)
    known, found = Plan.from_json(kept), run.read(RESULT) or {}
    # Where trials are still missing, the same words mean to go on: the range is widened already.
    whole = found.get("ended") == "trials" and found["planned"] == known.trials
    if not (wish.widen and (whole or (wish.at_once and found.get("trials")))):
        return continued(known, wish)
    sides = {edge["setting"]: edge["at"] for edge in found["edges"]}
    wanted = [(name, sides[name]) for name in wish.widen if name in sides]
    if not wanted:
        return continued(known, Wish(budget=wish.budget))
    known = known if whole else cut(known, len(found["trials"]))
    return widened(known, known.space.widened(wanted), wish)


def _check(wish: Wish) -> None:
    for name, value, low, high, unit in (
        ("--trials", wish.trials, 1, MOST_TRIALS, "trials"),
        ("--epochs", wish.epochs, 1, 1000, "epochs"),
        ("--budget", wish.budget, 1, 30 * 24 * 3600, "seconds"),
    ):
        if value is not None:
            bounds.within(name, value, low, high, unit)
    known = Space().ranges()
    if unknown := [name for name in wish.widen if name not in known]:
        raise SettingsError(
            f"There is no range called '{unknown[0]}' to widen; there are {', '.join(known)}."
            " Name one of these."
        )
