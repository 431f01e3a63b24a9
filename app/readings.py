"""What the curves of a run say, as the core read them, and the run that would go better."""

from dataclasses import dataclass
from typing import Any

from app import shapes, ways
from transfer import toolbox
from transfer.config import RunConfig, flat
from transfer.errors import RunError, SettingsError
from transfer.reading import Reading
from transfer.remedies import Remedy
from transfer.runs import Run

# Level -> (sign, word, class of the style): never told apart by colour alone.
SIGNS = {
    "stop": ("✗", "Stopped", "poor"),
    "warning": ("!", "Worth changing", "fair"),
    "note": ("i", "Good to know", "note"),
    "good": ("✓", "Good", "good"),
}
_SHAPE = {
    "kind": str,
    "level": str,
    "title": str,
    "words": str,
    "evidence": str,
    "remedy": ({"label": str, "settings": dict}, None),
}
_NAMES = {
    "strategy": "What learns",
    "budget": "Time limit in seconds",
    "epochs": "Epochs at most",
    "level": "Changes of the pictures",
    "horizontal_flip": "Mirrored pictures",
    "quarter_turns": "Turned pictures",
    "test_time": "Looks at each picture",
}
_EXPLAINED = {
    "level": (
        _NAMES["level"],
        "How far pictures are changed while it learns (cropped, recoloured), so that it does not"
        " learn them by heart: not at all, lightly or strongly.",
    )
}
_LONGEST = 80  # characters of a run's name


@dataclass(frozen=True)
class Change:
    """A setting that the remedied run has otherwise, in words."""

    what: str
    was: str
    becomes: str


@dataclass(frozen=True)
class Offer:
    """A run that would go better: its settings, its name, and what it changes."""

    config: RunConfig
    name: str
    changes: tuple[Change, ...]


def now(run: Run) -> tuple[str, tuple[Reading, ...]]:
    """Return what is being trained ("": nothing yet) and what its curves say, the worst first."""
    told = _object(run)
    return str(told.get("strategy") or ""), _readings(told.get("readings"))


def mark(run: Run) -> str:
    """Return what is another as soon as the curves were read anew."""
    told = _object(run)
    return " ".join(str(told.get(name)) for name in ("strategy", "epoch", "ended"))


def of_result(result: dict[str, Any], drawn: str = "") -> dict[str, tuple[Reading, ...]]:
    """Return what the curves of each way said, that of the curves that are drawn first."""
    told = result.get("readings")
    every = told if isinstance(told, dict) else {}
    first = drawn if drawn in every else str(result.get("shipped"))
    order = sorted(every, key=lambda name: name != first)
    return {name: said for name in order if ways.known(name) and (said := _readings(every[name]))}


def offer(run: Run, strategy: str, remedy: Remedy) -> Offer | None:
    """Return the run that a remedy asks for; None where this run's settings do not allow it.

    Args:
        run: the one that was read.
        strategy: the way of learning that was read, of the several that a run may try.
        remedy: what to change.
    """
    try:
        old = run.config()
        pinned = {"strategy": strategy} if old.strategy == "all" and strategy else {}
        new = old.changed({**pinned, **remedy.settings})
        if new.extends and new.strategy != old.strategy:  # its model was made for other layers
            new = new.changed({"extends": None})
    except (SettingsError, TypeError):  # of another version
        return None
    return Offer(new, _name(str(run.about()["name"]), old, new), tuple(changes(old, new)))


def changes(old: RunConfig, new: RunConfig) -> list[Change]:
    """Return what new settings have otherwise, in words."""
    mine, theirs = flat(old.to_json()), flat(new.to_json())
    return [
        Change(_what(key), _value(key, value), _value(key, theirs[key]))
        for key, value in mine.items()
        if value != theirs[key] and key != "extends"
    ]


def meanings(old: RunConfig, new: RunConfig) -> dict[str, str]:
    """Return what each setting does that new settings have otherwise: title -> a sentence or two.

    Where the title says it all there is none.
    """
    mine, theirs = flat(old.to_json()), flat(new.to_json())
    known = {one.name: (one.title, one.summary) for one in toolbox.SETTINGS} | _EXPLAINED
    return dict(known[key] for key, value in mine.items() if value != theirs[key] and key in known)


def _name(name: str, old: RunConfig, new: RunConfig) -> str:
    """Return the run's name with what is changed, within the length that a name may have."""
    added = f", {_named(old, new)}"
    kept = name.removesuffix(added)
    added = f"{added} again" if kept != name else added
    return f"{kept[: _LONGEST - len(added)].rstrip()}{added}"


def _named(old: RunConfig, new: RunConfig) -> str:
    if new.learning_rate != old.learning_rate:
        return f"with a {'lower' if new.learning_rate < old.learning_rate else 'higher'} rate"
    if (new.dropout, new.weight_decay) != (old.dropout, old.weight_decay):
        more = (new.dropout, new.weight_decay) > (old.dropout, old.weight_decay)
        return f"with {'more' if more else 'less'} regularisation"
    if new.strategy != old.strategy:
        title = ways.named(new.strategy)
        return f"{title[0].lower()}{title[1:]}"
    if new.epochs != old.epochs:
        return "for longer"
    return "with other settings"


def _what(key: str) -> str:
    if key in _NAMES:
        return _NAMES[key]
    titles = {one.name: one.title for one in toolbox.SETTINGS}
    return titles.get(key) or key.replace("_", " ").capitalize()


def _value(key: str, value: Any) -> str:
    if value is None:
        return "as usual"
    if key == "strategy":
        return ways.named(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _readings(told: Any) -> tuple[Reading, ...]:
    known = shapes.each(told, _SHAPE, _reading)
    return tuple(one for one in known if one.level in SIGNS)


def _reading(told: dict[str, Any]) -> Reading:
    remedy = told["remedy"] and Remedy(told["remedy"]["label"], told["remedy"]["settings"])
    fields = {name: told[name] for name in ("kind", "level", "title", "words", "evidence")}
    return Reading(**fields, remedy=remedy)


def _object(run: Run) -> dict[str, Any]:
    try:
        told = run.read("readings")
    except RunError:  # damaged: the training goes on without it
        return {}
    return told if isinstance(told, dict) else {}
