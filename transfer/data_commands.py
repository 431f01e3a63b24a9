"""The commands that look at a data set, and train nothing: options in, a JSON-ready answer out."""

import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from transfer import catalog, commanding, console, weights
from transfer.config import RunConfig
from transfer.dataset import relations
from transfer.health import sentences
from transfer.runs import Run

Answer = dict[str, Any]


def inspect(options: Namespace) -> Answer:
    """Take the data in; say what is there, what was left out, and what may be wrong with it."""
    spec, size = commanding.network(options, None)
    with commanding.loading(options.data, spec, size) as loaded:
        index = commanding.grouped(options)
    parts = relations.shared_out(index, options.seed)
    commanding.tell(index, [*index.warnings, *parts.warnings])
    from transfer import checkup

    with tempfile.TemporaryDirectory() as folder, console.progress() as step:
        run = Run(Path(folder) / "health")
        run.start(RunConfig(index.digest, spec.name, size, seed=options.seed))
        health = checkup.run(run, step, loaded(), ahead=False)
    found = sentences.warnings(health)
    for words in found:
        console.say(f"Look at this: {words}")
    keys = ("duplicates", "conflicts", "leaks", "shortcuts", "suspect_labels", "flaws", "groups")
    return {
        "classes": index.counts(),
        "accepted": len(index.pictures),
        "rejected": [{"file": item.file, "reason": item.reason} for item in index.rejected],
        "splits": parts.counts(),
        **{key: health[key] for key in (*keys, "number")},
        "warnings": [*index.warnings, *parts.warnings, *found],
        "dataset": index.digest,
        "backbone": spec.name,
    }


def advise(options: Namespace) -> Answer:
    """Measure how much data there is and how unlike what the network knows; name the strategy."""
    spec, size = commanding.network(options, None)
    with commanding.loading(options.data, spec, size) as loaded:
        index = commanding.grouped(options)
        commanding.tell(index, index.warnings)
        config = RunConfig(index.digest, spec.name, size, seed=options.seed)
    from transfer import pipeline

    with tempfile.TemporaryDirectory() as folder, console.progress() as step:
        run = Run(Path(folder) / "advice")
        run.start(config)
        answer = pipeline.advise(run, step, loaded())
    for reason in answer["reasons"]:
        console.say(reason)
    console.say(f"Advice: {answer['strategy']}. {catalog.strategy(answer['strategy']).summary}")
    return answer


def forecast(options: Namespace) -> Answer:
    """Measure the learning curve of the data and draw it on to twice the pictures."""
    spec, size = commanding.network(options, None)
    with commanding.loading(options.data, spec, size) as loaded:
        index = commanding.grouped(options)
        commanding.tell(index, index.warnings)
    from transfer import backbones, prospects

    with console.progress() as step:
        network = loaded() or backbones.load(spec, size, weights.obtain(spec, size))
        found, answer = prospects.measure(network, index, options.seed, step)
    for line in found.words():
        console.say(line)
    return answer


def measure(options: Namespace) -> Answer:
    """Measure the data set of a prepared run folder and keep the advice in it: a job of the app."""
    run = _prepared(options)
    from transfer import pipeline

    with console.progress() as step:
        return pipeline.advise(run, step)


def check(options: Namespace) -> Answer:
    """Look for what is wrong with the data set of a prepared run folder: a job of the app."""
    run = _prepared(options)
    from transfer import checkup

    with console.progress() as step:
        return checkup.run(run, step)


def checks(options: Namespace) -> Answer:
    """Check the training of a data set before it begins; keep the answer where a folder is named.

    Without a folder nothing is kept, and so no pictures are named.
    """
    spec, size = commanding.network(options, None)
    with commanding.loading(options.data, spec, size) as loaded:
        index = commanding.grouped(options)
        commanding.tell(index, index.warnings)
        expert = commanding.expert_settings(options)
        config = commanding.settings(options, index, spec, size, epochs=options.epochs, **expert)
    from transfer import checks as checking

    with tempfile.TemporaryDirectory() as folder, console.progress() as step:
        run = Run(options.run or Path(folder) / "checks")
        run.start(config)
        answer = checking.run(run, step, loaded())
    if options.run is None:
        answer["pictures"].update(plain=[], augmented=[])
    for name in checking.LIT:
        console.say(f"{answer[name]['light'].upper():5}  {answer[name]['words']}")
    return answer


def rehearse(options: Namespace) -> Answer:
    """Check the training of a prepared run folder and keep the answer in it: a job of the app."""
    run = _prepared(options)
    from transfer import checks as checking

    with console.progress() as step:
        return checking.run(run, step)


def probe(options: Namespace) -> Answer:
    """Say what the changes that are not kept yet do to the quick check, from kept features."""
    from transfer.health import probing

    answer = probing.answer(options.dataset)
    before, after, change = answer["before"], answer["after"], answer["difference"]
    console.say(
        f"Right on {100 * before['accuracy']:.1f} % before, {100 * after['accuracy']:.1f} % now"
        f" (difference {100 * change['value']:+.1f} points, between {100 * change['low']:+.1f} and"
        f" {100 * change['high']:+.1f}; {answer['pictures']:,} pictures)."
    )
    return answer


def _prepared(options: Namespace) -> Run:
    """Return the run that somebody has prepared, with all loaded that computes."""
    run = Run(options.run)
    run.config()
    commanding.load()
    return run
