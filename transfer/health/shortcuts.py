"""The shortcut alarm: cues that tell the classes apart without showing the subject.

For each cue a small forest of trees (for what may be drawn into a corner, a linear discriminant)
learns the label from it alone, and answers for pictures of which it has seen nothing, nor of their
groups. What may as well belong to the subject, as the colour of a fruit does, is no alarm but a
note. Geirhos et al., "Shortcut learning in deep neural
networks" (2020), name what is looked for; Torralba and Efros, "Unbiased look at dataset bias"
(CVPR 2011), measure it in the same way.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.model_selection import StratifiedGroupKFold

from transfer import evaluation
from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import Looks
from transfer.health import corners, cues, learners
from transfer.health.cues import Cue

ALARM, NOTE = "alarm", "note"
_MOST, _LEAST = 1200, 20  # pictures that are looked at: in all, but so many of each class
_MOST_READ = 400  # of which the stored pictures are read
_MOST_CLASSES = 100
_GROUPS, _FOLDS = 3, 5  # a class of fewer groups cannot be held out; folds at most
_SOFT = -0.5  # steepness from which on a picture was blurred or enlarged, whatever it shows
_RISK = 0.05  # of one alarm by chance, over all cues and classes of a data set
_CHANCE = 0.5
# The accuracy that a cue needs to be worth an alarm. What lies in the file alone has nothing to do
# with the subject; size, shape and compression have a little, the rest is part of the picture.
_NEEDED = {"format": 0.7, "camera": 0.7, "time": 0.75, "size": 0.75, "file_size": 0.8}
_NEEDED_OF_PIXELS = 0.8
_GAIN, _REST = 0.08, 0.4  # points more than the control, and the share of its mistakes that is left
_REST_OF_BORDER = 0.55  # its control is the same at another place
_WIDE, _WIDE_REST = 0.15, 0.55  # the same where it falls far behind: not every picture has the cue
_SURE, _SURE_REST = 0.97, 0.15  # the same where the control, too, is nearly always right
_CLEAR = 1.64  # standard errors of that gain
_SUFFICES = {"colour": 0.995, "sharpness": 0.995}  # whatever else tells the classes apart
_SURFACE = 0.7  # `cues.surface` from which on the whole picture is the subject
# Of what the cue tells beyond chance: so much has to be told elsewhere, too.
_AROUND = {"colour": 0.5, "border": 0.7}
_NEEDED_OF_BYTES = 0.86  # on one surface, where bytes follow from detail less exactly
_NOTED = 0.9  # accuracy from which on a cue that may belong to the subject is worth a note
_MAY_BELONG = frozenset({"colour", "sharpness", "file_size"})
_ALSO = frozenset({"colour", "sharpness"})  # even where the rest of the picture tells as much
_ALIKE = 0.75  # of the strongest class's share: classes that the alarm names


@dataclass(frozen=True)
class Shortcut:
    """A cue that tells classes apart without showing the subject.

    `cue` is one of `cues.NAMES`; `labels` are the classes that it tells from all others. `accuracy`
    says how often it is right on whether a picture is of such a class or of another one, both
    counted alike, so that guessing gives `chance`, one half; with its 95 % interval. With two
    classes that is the balanced accuracy. `compared` is the same from the control: for the border
    as much of the middle, for colour, sharpness and file size what is left of the picture without
    them; None where there is none. `level` is `ALARM`, or `NOTE` where the cue may as well belong
    to the subject: it is no more than the rest of the picture tells, or is not found where the
    subject is not.
    """

    cue: str
    accuracy: float
    low: float
    high: float
    chance: float
    compared: float | None
    labels: tuple[str, ...]
    level: str = ALARM


@dataclass(frozen=True)
class Measured:
    """What one cue told of one class against the others: right answers [n] of it and its control.

    The arrays are booleans, in the order of the pictures that were looked at; `own` says which of
    them are of the class; `few` is the number of groups of the class and of the others; `subject`
    whether the cue is only where the subject is.
    """

    cue: str
    label: str
    right: np.ndarray
    control: np.ndarray | None
    own: np.ndarray
    few: tuple[int, int]
    subject: bool = False

    @property
    def accuracy(self) -> float:
        """The balanced accuracy of the cue."""
        return _balanced(self.right, self.own)

    @property
    def compared(self) -> float | None:
        """The balanced accuracy of the control."""
        return None if self.control is None else _balanced(self.control, self.own)


def find(
    index: ImageIndex, looks: Looks, groups: np.ndarray, seed: int, probe: float | None = None
) -> tuple[Shortcut, ...]:
    """Return the cues that are worth an alarm or a note: alarms first, the strongest first.

    Args:
        index: the data set.
        looks: of all its pictures.
        groups: int [n]; pictures of one group are held out together.
        seed: draws the pictures that are looked at, the folds and the trees.
        probe: the accuracy of a classifier on the features of a network, where it is known. With
            two classes it is what a cue that has no control of its own is compared with.
    """
    measured = measure(index, looks, groups, seed)
    errors = float(norm.isf(_RISK / max(1, len(measured))))
    levels = [(one, _level(one, errors)) for one in sorted(measured, key=lambda one: one.accuracy)]
    alarms = []
    for name in cues.NAMES:
        for level in (ALARM, NOTE):
            # Some are looked at in several ways: of each class the one that tells most counts.
            found = {one.label: one for one, its in levels if (one.cue, its) == (name, level)}
            if found:
                alarms.append(_summary(list(found.values()), level, index.classes, probe))
                break
    return tuple(sorted(alarms, key=lambda one: (one.level != ALARM, -one.accuracy)))


def measure(index: ImageIndex, looks: Looks, groups: np.ndarray, seed: int) -> tuple[Measured, ...]:
    """Return what each cue tells of each class, alarm or not; of two classes only of the first.

    For the arguments see `find`. Classes of fewer than three groups are passed over.
    """
    rng = np.random.default_rng(seed)
    numbers = index.class_numbers()
    chosen = _drawn(numbers, groups, rng)
    if len(np.unique(numbers[chosen])) < 2:
        return ()
    surface = cues.surface(looks.thumbs[chosen], numbers[chosen]) >= _SURFACE
    read = cues.read(index, looks, chosen, rng)
    measured = _measured(index, read, chosen, groups, seed, surface)
    fine = chosen[_part(numbers[chosen], _MOST_READ)]
    try:
        seen = corners.read(index, fine)
    except OSError:  # the small copies are known even where the pictures are not at hand
        return measured
    return measured + _measured(index, _close(seen), fine, groups, seed)


def _close(seen: corners.Seen) -> tuple[Cue, ...]:
    """Return what is seen only in the pictures themselves."""
    outer, inner, innermost = np.moveaxis(seen.ink, 2, 0)
    found = [Cue("sharpness", np.minimum(seen.steepness, _SOFT)[:, None])]
    for corner in range(seen.ink.shape[1]):
        # As it is, and beside what is further inside, where the same surface goes on. What was put
        # into a corner shows in both; a subject that reaches into one of the two places does not.
        here, there, beyond = outer[:, corner], inner[:, corner], innermost[:, corner]
        found.append(Cue("border", here, there, here - there, template=True))
        found.append(Cue("border", here - there, there - beyond, here, template=True))
    return tuple(one for one in found if np.ptp(one.values, axis=0).any())


def _measured(
    index: ImageIndex,
    read: tuple[Cue, ...],
    chosen: np.ndarray,
    groups: np.ndarray,
    seed: int,
    surface: bool = False,
) -> tuple[Measured, ...]:
    """Return what cues of the chosen pictures tell of each class; `surface`: all is subject."""
    names, labels = np.unique(index.class_numbers()[chosen], return_inverse=True)
    held = groups[chosen]
    fewest = min(len(np.unique(held[labels == k])) for k in range(len(names)))
    folds = _folds(labels, held, min(fewest, _FOLDS), seed)
    measured = []
    for cue in read:
        right = _right(cue, cue.values, labels, folds, seed)
        wanted = _tells(cue, right, labels)
        control = around = None
        if wanted and cue.control is not None:
            control = _right(cue, cue.control, labels, folds, seed)
        if wanted and cue.around is not None:
            around = _right(cue, cue.around, labels, folds, seed)
        for k in range(1 if len(names) == 2 else len(names)):
            own = labels == k
            few = len(np.unique(held[own])), len(np.unique(held[~own]))
            other = None if control is None else control[:, k]
            label = index.classes[names[k]]
            subject = surface and cue.name in _ALSO and cue.control is not None
            if surface and cue.name == "file_size":
                subject = _balanced(right[:, k], own) < _NEEDED_OF_BYTES
            if around is not None:
                gain = _balanced(right[:, k], own) - _CHANCE
                subject |= _balanced(around[:, k], own) - _CHANCE < _AROUND[cue.name] * gain
            measured.append(Measured(cue.name, label, right[:, k], other, own, few, subject))
    return tuple(measured)


def _part(numbers: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the first pictures of each class, about `most` in all."""
    classes = np.unique(numbers)
    each = max(_LEAST, most // len(classes))
    return np.concatenate([np.flatnonzero(numbers == k)[:each] for k in classes])


def _drawn(numbers: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the positions that are looked at: about as many of each class."""
    classes = [k for k in np.unique(numbers) if len(np.unique(groups[numbers == k])) >= _GROUPS]
    if len(classes) > _MOST_CLASSES:
        classes = sorted(rng.choice(classes, _MOST_CLASSES, replace=False))
    most = max(_LEAST, _MOST // max(1, len(classes)))
    parts = [rng.permutation(np.flatnonzero(numbers == k))[:most] for k in classes]
    return np.concatenate(parts) if parts else np.zeros(0, int)


def _folds(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Return the held out pictures of each fold; groups stay whole, classes are spread evenly."""
    folds = StratifiedGroupKFold(max(count, 2), shuffle=True, random_state=seed)
    return [held for _, held in folds.split(np.zeros((len(labels), 1)), labels, groups)]


def _right(
    cue: Cue, values: np.ndarray, labels: np.ndarray, folds: list[np.ndarray], seed: int
) -> np.ndarray:
    """Return whether each class was rightly affirmed or denied of each picture, bool [n, classes].

    With balanced classes a class is more likely than not to be meant, against all others counted
    alike, where its probability is above one in the number of classes.
    """
    count = int(labels.max()) + 1
    chances = np.full((len(labels), count), 1 / count)
    values = values.astype(np.float32)
    for held in folds:
        learn = np.ones(len(labels), bool)
        learn[held] = False
        if not len(held) or not learn.any():
            continue
        learned = np.unique(labels[learn])
        known = values[learn], labels[learn], values[held]
        told = learners.discriminant(*known) if cue.template else learners.forest(*known, seed)
        chances[np.ix_(held, learned)] = told
    return (chances > 1 / count + 1e-6) == (labels[:, None] == np.arange(count))


def _tells(cue: Cue, right: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a cue tells enough of any class to ask what else would."""
    found = (_balanced(right[:, k], labels == k) for k in range(right.shape[1]))
    return max(found) >= _NEEDED.get(cue.name, _NEEDED_OF_PIXELS)


def _level(one: Measured, errors: float) -> str | None:
    """Return whether a cue is worth an alarm or a note; larger than chance by `errors` of these."""
    by_chance = _CHANCE * np.sqrt(sum(0.25 / n for n in one.few))
    needed = _NEEDED.get(one.cue, _NEEDED_OF_PIXELS)
    if one.accuracy < needed or one.accuracy - _CHANCE < errors * by_chance:
        return None
    if _is_more(one):
        return ALARM if not one.subject else NOTE if one.cue in _MAY_BELONG else None
    return NOTE if one.cue in _ALSO and one.accuracy >= _NOTED else None


def _is_more(one: Measured) -> bool:
    """Whether a cue tells more than its control, where it has one."""
    if one.control is None or one.compared is None:
        return True
    if one.accuracy >= _SUFFICES.get(one.cue, 2.0):
        return True
    gain, left = one.accuracy - one.compared, 1 - one.accuracy
    rest = _REST_OF_BORDER if one.cue == "border" else _REST
    large = gain >= _GAIN and left <= rest * (1 - one.compared)
    wide = gain >= _WIDE and left <= _WIDE_REST * (1 - one.compared)
    sure = one.accuracy >= _SURE and left <= _SURE_REST * (1 - one.compared)
    return (
        gain > 0
        and (large or wide or sure)
        and gain >= _CLEAR * _error_of_gain(one.right, one.control, one)
    )


def _error_of_gain(right: np.ndarray, control: np.ndarray, one: Measured) -> float:
    """Return the standard error of the difference of two balanced accuracies, paired."""
    differs = right.astype(float) - control
    parts = zip((one.own, ~one.own), one.few, strict=True)
    return 0.5 * float(np.sqrt(sum(differs[of].var() / n for of, n in parts)))


def _summary(
    found: list[Measured], level: str, classes: tuple[str, ...], probe: float | None
) -> Shortcut:
    found = sorted(found, key=lambda one: one.accuracy)
    best = found[-1].accuracy - _CHANCE
    named = [one for one in found if one.accuracy - _CHANCE >= _ALIKE * best]
    intervals = np.mean([_interval(one) for one in named], axis=0)
    controls = [one.compared for one in named if one.compared is not None]
    compared = float(np.mean(controls)) if controls else None
    two = len(classes) == 2
    if compared is None and two and found[0].cue not in _ALSO:
        compared = probe
    return Shortcut(
        named[0].cue,
        float(np.mean([one.accuracy for one in named])),
        float(intervals[0]),
        float(intervals[1]),
        _CHANCE,
        compared,
        classes if two else tuple(one.label for one in reversed(named)),
        level,
    )


def _interval(one: Measured) -> tuple[float, float]:
    """Return the interval of the mean of two shares from theirs (MOVER, Zou and Donner 2008)."""
    low = high = 0.0
    for of, n in zip((one.own, ~one.own), one.few, strict=True):
        share = evaluation.wilson(round(float(one.right[of].mean()) * n), n)
        low += (share.accuracy - share.low) ** 2
        high += (share.high - share.accuracy) ** 2
    return one.accuracy - 0.5 * low**0.5, one.accuracy + 0.5 * high**0.5


def _balanced(right: np.ndarray, own: np.ndarray) -> float:
    return 0.5 * float(right[own].mean() + right[~own].mean())
