"""The commands that search for settings: options in, a JSON-ready answer out."""

from argparse import Namespace
from typing import Any

from transfer import commanding, console, toolbox
from transfer.runs import Run
from transfer.searching import plans, space
from transfer.searching.plans import Wish

Answer = dict[str, Any]


def search(options: Namespace) -> Answer:
    """Try settings at random, coarse then fine; again: go on, or answer."""
    run, wish = Run(options.run), _wish(options)
    earlier = run.config() if run.exists else None
    spec, size = commanding.network(options, earlier)
    with commanding.loading(options.data, spec, size) as loaded:
        index = commanding.grouped(options)
        config = commanding.settings(options, index, spec, size)
        commanding.tell(index, index.warnings)
    plans.prepare(run, config, wish)
    run.clear_stop()
    return _searched(run, loaded())


def seek(options: Namespace) -> Answer:
    """Make the trials that a prepared search folder says: a job of the app."""
    run = Run(options.run)
    run.config()
    commanding.load()
    return _searched(run, None)


def _searched(run: Run, backbone: Any) -> Answer:
    from transfer.searching import search as searching  # loads TensorFlow

    with console.progress() as step:
        found = searching.run(run, step, backbone)
    console.say(found["sentence"])
    if found["best"]:
        console.say(f"A run in the best settings: train ... {_as_options(found['best'])}")
    if names := [edge["setting"] for edge in found["edges"] if edge["matters"]]:
        more = " ".join(f"--widen {name}" for name in names)
        console.say(f"The same command with {more} goes on beyond the edge.")
    return {"run": str(run.folder), **found}


def _as_options(best: Answer) -> str:
    """Return the settings of a trial as options of `train`."""
    words = []
    for name, value in best.items():
        if name == space.AUGMENTATION:
            words.append(f"--augment level={value}")
        else:
            words.append(f"{toolbox.setting(name).option} {value}")
    return " ".join(words)


def _wish(options: Namespace) -> Wish:
    return Wish(
        space=space.parsed(options.range) if options.range else None,
        trials=options.trials,
        epochs=options.epochs,
        budget=options.budget,
        widen=tuple(name.replace("-", "_") for name in options.widen),
    )
