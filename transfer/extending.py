"""Add epochs to a finished fine-tuned run: a new run that starts where the earlier one ended.

The earlier run is only read. The new one begins with the model that shipped, so it is never worse
on the validation pictures. It has the same split, so that its test pictures stay unseen, but
another seed, so that the pictures come in another order and with other changes. The rates warm up
and fall by a cosine anew, from a third of the earlier height: a restart (SGDR, arXiv 1608.03983)
that leaves what was learned in place. Moments of the optimizer are not taken over: they belong to
the last weights, not to the best, and the warm-up makes them anew.
"""

import shutil
from dataclasses import replace

from transfer import catalog, store
from transfer.config import RunConfig
from transfer.errors import SettingsError
from transfer.runs import Run

LOWER = 1 / 3  # of the earlier run's learning rate
_KEPT = ("split", "advice", "honesty")  # what was found out about the same pictures


def config(earlier: Run, epochs: int) -> RunConfig:
    """Return the settings of a run that adds so many epochs, at most, to a finished one.

    Raises:
        SettingsError: the run shipped a classifier that does not learn in epochs.
        RunError: it is not finished.
    """
    shipped, settings = earlier.result()["shipped"], earlier.config()
    if not catalog.strategy(shipped).tunes:
        raise SettingsError(
            f"The run in '{earlier.folder}' ships a linear classifier, which is solved exactly and"
            " not trained in epochs: more of them would change nothing. To let the network itself"
            " learn, train with --strategy finetune_few."
        )
    return replace(
        settings,
        strategy=shipped,
        epochs=epochs,
        budget=None,
        seed=(settings.seed + 1) % 2**31,
        learning_rate=settings.learning_rate * LOWER,
        extends=earlier.folder.name,
    )


def prepare(earlier: Run, new: Run, epochs: int) -> None:
    """Make the folder of the new run ready, or check that it is the same one, begun before.

    Raises:
        TransferError: the earlier run cannot be extended, or the new folder holds something else.
    """
    begin(earlier, new, config(earlier, epochs))


def begin(earlier: Run, new: Run, settings: RunConfig) -> None:
    """Make the folder of a run with these settings ready to begin with the earlier one's model.

    Raises:
        TransferError: the new folder holds something else.
    """
    new.start(settings)
    if new.finished:
        return
    for name in _KEPT:
        if new.read(name) is None and (known := earlier.read(name)) is not None:
            new.write(name, known)
    if not new.start_path.is_file():
        with store.replacing(new.start_path) as partial:
            shutil.copyfile(earlier.model_path, partial)
