"""A search as a whole: a prepared folder in, trials made, pruned and compared, a result out."""

from typing import Any

from transfer import pipeline
from transfer.backbones import Backbone
from transfer.errors import RunError
from transfer.reporter import OnStep
from transfer.runs import Run
from transfer.searching import plans
from transfer.searching.plans import Plan
from transfer.searching.rounds import Rounds
from transfer.searching.trials import Trainer


def run(
    run: Run, on_step: OnStep | None = None, backbone: Backbone | None = None
) -> dict[str, Any]:
    """Make the trials of a prepared folder, or go on where a killed process left off.

    Only training and validation pictures are looked at: the test stays unseen.

    Args:
        run: a folder that `plans.prepare` has prepared.
        on_step: told how far it is.
        backbone: the network of the settings, where it has been loaded already.

    Returns:
        The result, see `results.result`; it is in the folder, too, and grows with each trial.

    Raises:
        TransferError: the data, the weights or the folder cannot be used; says what to do.
    """
    with run.locked():
        if (kept := run.read(plans.PLAN)) is None:
            raise RunError(
                f"There is no search in '{run.folder}'. Begin one there:"
                f" python -m transfer search DATA --run '{run.folder}'"
            )
        plan = Plan.from_json(kept)

        def begin() -> Trainer:
            task = pipeline.prepared(run, on_step, backbone)
            return Trainer(task, run.trials_folder, plan.epochs)

        return Rounds(run, plan, on_step or (lambda *_: None)).work(begin)
