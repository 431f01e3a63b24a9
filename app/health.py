"""What a check of a data set found, in words: one finding a card, the worst first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app import honest, remedies, verdicts, words
from app.checked import Cluster, Flaw, Report, Shortcut, Suspect
from transfer.dataset.index import ImageIndex, Picture

RED, AMBER, NOTE = "red", "amber", "note"
SEVERITIES = (RED, AMBER, NOTE)
SIGNS = {RED: ("✗", "Mend this first"), AMBER: ("!", "Look at this"), NOTE: ("i", "Good to know")}
_PARTS = {"train": "training", "val": "validation", "test": "test"}
_OF_CLASSES = ("few", "imbalance")
_OF_PICTURES = ("unlike", "blurred", "dark", "bright", "flat", "small", "odd_shape")
_ORDER = ("leaks", "conflicts", "shortcut", "gap", "suspects", *_OF_CLASSES, "duplicates",
          *_OF_PICTURES, "bursts")  # fmt: skip
_MANY = 0.05  # a share of all pictures from which on a small flaw is worth a look
_STRONG = 0.9  # what one cue alone tells so often is most of what will be learned
_ADJECTIVES = {
    "dark": "too dark to show much", "bright": "too bright to show much", "blurred": "blurred",
    "small": "very small", "odd_shape": "very long or very tall", "flat": "nearly empty",
    "unlike": "unlike all the others",
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """One picture of a finding: its content, its file's name, and the line below it."""

    sha256: str
    name: str
    caption: str


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    `headline` says it in plain words, `meaning` in one sentence why it matters, `remedy` what to
    do, `why` (Markdown) how it was found. `groups` are its pictures, those that belong together in
    one group. `find` is the filter of the page for mending that has them, where one has.
    """

    kind: str
    severity: str
    headline: str
    meaning: str
    remedy: str
    why: str
    groups: tuple[tuple[Shown, ...], ...] = ()
    find: str | None = None

    @property
    def pictures(self) -> tuple[str, ...]:
        """The contents (SHA-256) of all its pictures."""
        return tuple(dict.fromkeys(one.sha256 for group in self.groups for one in group))

    @property
    def paired(self) -> bool:
        """Whether its pictures are to be seen beside each other."""
        return any(len(group) > 1 for group in self.groups)


class _Album:
    """Finds the pictures of a data set by the names of their files."""

    def __init__(self, index: ImageIndex) -> None:
        self._named: dict[str, list[Picture]] = {}
        for picture in index.pictures:
            self._named.setdefault(picture.name, []).append(picture)

    def shown(self, name: str, label: str | None, caption: str) -> tuple[Shown, ...]:
        """Return a picture to be shown, or nothing where it is gone."""
        there = self._named.get(name, [])
        right = [picture for picture in there if picture.label == label] or there
        return tuple(Shown(one.sha256, name, caption or one.label) for one in right[:1])

    def cluster(self, found: Cluster) -> tuple[Shown, ...]:
        """Return the pictures of a cluster; where they are in several parts, it says in which."""
        parts = found.splits if len(set(found.splits)) > 1 else (None,) * len(found.splits)
        rows = zip(found.files, found.labels, parts, strict=True)
        return tuple(
            one
            for name, label, part in rows
            for one in self.shown(name, label, _place(label, part))
        )

    def files(self, names: Iterable[str]) -> tuple[tuple[Shown, ...], ...]:
        """Return pictures that do not belong together: a group of its own for each."""
        return tuple(filter(None, (self.shown(name, None, "") for name in names)))


def findings(report: Report, index: ImageIndex) -> tuple[Finding, ...]:
    """Return what was found, the worst first."""
    album = _Album(index)
    found = [
        *_leaks(report.leaks, album),
        *_conflicts(report.conflicts, album),
        *(_shortcut(one, index) for one in report.shortcuts),
        *_gap(report, album),
        *_suspects(report.suspects, album),
        *_duplicates(report, album, len(index.pictures)),
        *(_flaw(one, album, index) for one in report.flaws if one.files or one.labels),
    ]
    places = {kind: place for place, kind in enumerate(_ORDER)}
    return tuple(
        sorted(
            found,
            key=lambda one: (SEVERITIES.index(one.severity), places.get(one.kind, len(places))),
        )
    )


def title(found: Sequence[Finding], pictures: int) -> str:
    """Return how many things there are to look at, as a sentence."""
    if serious := sum(one.severity != NOTE for one in found):
        return f"{words.many(serious, 'thing')} to look at before you train."
    return f"Nothing {'serious' if found else 'wrong'} was found in {verdicts.pictures(pictures)}."


def line(found: Sequence[Finding]) -> str:
    """Return the same in a few words, for another page."""
    if serious := sum(one.severity != NOTE for one in found):
        return f"Checked: {words.many(serious, 'thing')} to look at"
    return f"Checked: nothing {'serious' if found else 'wrong'} was found"


def in_order(report: Report, found: Sequence[Finding]) -> tuple[str, ...]:
    """Return what was looked at and found in order."""
    there = {one.kind for one in found}
    parts = {
        "leaks": "leaks", "conflicts": "conflicts", "shortcuts": "shortcut",
        "suspect_labels": "suspects", "duplicates": "duplicates",
    }  # fmt: skip
    looked = [kind for part, kind in parts.items() if part in report.parts]
    looked += ["gap"] if report.number and report.number.ungrouped else []
    looked += ["bursts"] if report.groups and "gap" not in there else []
    looked += (*_OF_CLASSES, *_OF_PICTURES) if "flaws" in report.parts else ()
    return tuple(remedies.kind(kind).fine for kind in looked if kind not in there)


def _leaks(found: Sequence[Cluster], album: _Album) -> list[Finding]:
    if not found:
        return []
    parts = {split for one in found for split in one.splits if split}
    folders = [f"your {name} folder" for split, name in _PARTS.items() if split in parts]
    where = " and in ".join(folders) if len(folders) == 2 else "several of your folders"
    one = "1 picture is" if len(found) == 1 else f"{len(found):,} pictures are"
    return [_finding("leaks", RED, f"{one} in {where}", map(album.cluster, found))]


def _conflicts(found: Sequence[Cluster], album: _Album) -> list[Finding]:
    if not found:
        return []
    names = Counter(tuple(sorted(set(one.labels))) for one in found)
    most = words.and_so_on([verdicts.quoted(name) for name in names.most_common(1)[0][0]])
    if len(found) == 1:
        headline = f"The same picture is called {most}"
    elif len(names) == 1:
        headline = f"{len(found):,} pictures are called {most}"
    else:
        headline = f"{len(found):,} pictures are in several classes, most often {most}"
    return [_finding("conflicts", RED, headline, map(album.cluster, found))]


def _duplicates(report: Report, album: _Album, pictures: int) -> list[Finding]:
    told = {frozenset(one.files) for one in (*report.leaks, *report.conflicts)}
    found = [one for one in report.duplicates if frozenset(one.files) not in told]
    if not found:
        return []
    spare = sum(len(one.files) - 1 for one in found)
    near = sum(one.kind == "near" for one in found)
    headline = (
        "1 picture is here more than once"
        if len(found) == 1
        else f"{len(found):,} pictures are here more than once"
    )
    if spare > pictures / 2:
        headline = f"Your {pictures:,} pictures show only {pictures - spare:,} different things"
    elif near == len(found):
        headline += ", slightly changed"
    elif near:
        headline += f", {near:,} of them slightly changed"
    severity = AMBER if spare >= _MANY * pictures else NOTE
    return [_finding("duplicates", severity, headline, map(album.cluster, found))]


def spare(report: Report, index: ImageIndex) -> tuple[str, ...]:
    """Return the files that can go where one of each set of copies is kept: the largest.

    Copies in several classes or parts are left: which is right is for a person to say.
    """
    told = {frozenset(one.files) for one in (*report.leaks, *report.conflicts)}
    pictures = {picture.name: picture for picture in index.pictures}
    found: list[str] = []
    for one in report.duplicates:
        here = [pictures[name] for name in one.files if name in pictures]
        if frozenset(one.files) in told or len({picture.label for picture in here}) != 1:
            continue
        best = max(here, key=lambda picture: (picture.width * picture.height, picture.name))
        found += [picture.name for picture in here if picture is not best]
    return tuple(found)


def _shortcut(one: Shortcut, index: ImageIndex) -> Finding:
    cue, n = remedies.cue(one.cue), len(index.pictures)
    share, chance = verdicts.percent(one.accuracy, n), verdicts.percent(one.chance, n)
    whose = "Your classes differ"
    if one.labels and len(one.labels) < len(index.classes):
        names = words.and_so_on([verdicts.quoted(name) for name in one.labels])
        differs = "differs" if len(one.labels) == 1 else "differ"
        whose = f"{names} {differs} from the other classes"
    others = f"chance:\u00a0{chance}"
    if one.compared is not None:
        others += f"; {cue.compared_with}: {verdicts.percent(one.compared, n)}"
    where = "" if one.note else ", not only in subject"
    headline = (
        f"{whose} in {cue.difference}{where}: from {cue.told_from} alone one can tell {share}"
        f" ({others})"
    )
    said = remedies.kind("shortcut")
    if one.note:
        return Finding(
            "shortcut", NOTE, headline, remedies.MAY_BELONG, cue.remedy, said.why + remedies.NOTED
        )
    severity = RED if one.accuracy >= _STRONG else AMBER
    return Finding("shortcut", severity, headline, said.meaning, cue.remedy, said.why)


def _gap(report: Report, album: _Album) -> list[Finding]:
    number = report.number
    copies = [frozenset(one.files) for one in report.duplicates]
    bursts = [
        files
        for files in (report.groups.bursts if report.groups else ())
        if not any(copied.issuperset(files) for copied in copies)  # told of as copies
    ]
    pictures = (album.files(files) for files in bursts)
    shown = [tuple(one for group in burst for one in group) for burst in pictures]
    if number and number.warn:
        headline = honest.bursts(number, "bursts" if bursts else "groups")
        return [_finding("gap", AMBER, headline, shown, "bursts" if bursts else None)]
    if not bursts:
        return []
    inside = verdicts.pictures(sum(map(len, bursts)))
    headline = f"{inside} come in {words.many(len(bursts), 'burst')}"
    return [_finding("bursts", NOTE, headline, shown)]


def _suspects(found: Sequence[Suspect], album: _Album) -> list[Finding]:
    sure = sum(one.flagged for one in found)
    if not sure:
        return []
    looks = "picture looks" if sure == 1 else "pictures look"
    groups = (
        album.shown(
            one.file,
            one.label,
            f"{one.label}; {'looks' if one.flagged else 'less sure: looks'} like"
            f" {verdicts.quoted(one.suggested)}",
        )
        for one in found
    )
    headline = f"{sure:,} {looks} more like another class"
    if others := len(found) - sure:  # they are shown as well
        headline += f", and {others:,} perhaps"
    return [_finding("suspects", AMBER, headline, groups, "suspect_labels")]


def _flaw(one: Flaw, album: _Album, index: ImageIndex) -> Finding:
    counts = index.counts()
    classes = list(dict.fromkeys(name for name in one.labels if name in counts))
    if one.kind in _OF_CLASSES and (classes or not one.files):
        return _of_classes(one.kind, classes, counts)
    are = "1 picture is" if len(one.files) == 1 else f"{len(one.files):,} pictures are"
    what = _ADJECTIVES.get(one.kind, one.kind.replace("_", " "))
    severity = AMBER if len(one.files) >= _MANY * len(index.pictures) else NOTE
    return _finding(one.kind, severity, f"{are} {what}", album.files(one.files))


def _of_classes(kind: str, classes: list[str], counts: dict[str, int]) -> Finding:
    if kind == "few" and len(classes) != 1:
        names = words.and_so_on([verdicts.quoted(name) for name in classes or list(counts)])
        headline = f"There are few pictures of {names}"
    elif kind == "few":
        headline = f"There are only {verdicts.pictures(counts[classes[0]])} of"
        headline += f" {verdicts.quoted(classes[0])}"
    else:
        least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        times = counts[most] / max(1, counts[least])
        often = f"{times:.0f}" if times >= 3 else f"{times:.1f}"
        headline = (
            f"There are {often} times as many pictures of {verdicts.quoted(most)} as of"
            f" {verdicts.quoted(least)}"
        )
    return _finding(kind, AMBER, headline, (), None)


def _finding(
    kind: str,
    severity: str,
    headline: str,
    groups: Iterable[tuple[Shown, ...]],
    find: str | None = "",
) -> Finding:
    said = remedies.kind(kind)
    return Finding(
        kind,
        severity,
        headline,
        said.meaning,
        said.remedy,
        said.why,
        tuple(group for group in groups if group),
        kind if find == "" else find,
    )


def _place(label: str, part: str | None) -> str:
    """Return under which name, and in which part, a picture stands."""
    return ", ".join(filter(None, [label, _PARTS.get(part or "")]))
