"""The ways of learning in plain words, with the field's terms: the four cells of the table."""

from dataclasses import dataclass

from transfer import catalog


@dataclass(frozen=True)
class Cell:
    """One cell of the decision table: what is done there, the field's term, for which pictures.

    `similar`: for pictures like those that the network knows; `little`: for few of them.
    """

    strategy: str
    title: str
    term: str
    similar: bool
    little: bool

    @property
    def tunes(self) -> bool:
        """Whether the network itself learns, and not only the classifier on it."""
        return catalog.strategy(self.strategy).tunes


# As in the lectures' table: few pictures above, many below; similar ones left, others right.
CELLS = (
    Cell(
        "linear_top",
        "Read the network's last impression",
        "linear classifier on the last stage",
        similar=True,
        little=True,
    ),
    Cell(
        "linear_stages",
        "Listen to several of its layers",
        "linear classifiers on several stages",
        similar=False,
        little=True,
    ),
    Cell(
        "finetune_few",
        "Retrain its last part",
        "fine-tuning of the last stages",
        similar=True,
        little=False,
    ),
    Cell(
        "finetune_many",
        "Retrain most of it",
        "fine-tuning of most stages",
        similar=False,
        little=False,
    ),
)
_REQUESTS = {"auto": "Follow the advice", "all": "All four ways, compared"}


def cell(strategy: str) -> Cell:
    """Return the cell of one of the four strategies."""
    return next(one for one in CELLS if one.strategy == strategy)


def known(strategy: object) -> bool:
    """Whether it names one of the four."""
    return any(one.strategy == strategy for one in CELLS)


def named(strategy: str) -> str:
    """Return in plain words how much of the network learns.

    Raises:
        SettingsError: there is no such way.
    """
    if known(strategy):
        return cell(strategy).title
    return _REQUESTS.get(strategy) or catalog.strategy(strategy).title


def tunes(strategy: str) -> bool:
    """Whether the network itself learns or may learn: one of the four, or a choice among them."""
    return catalog.strategy(strategy).tunes
