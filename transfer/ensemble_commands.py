"""The command `ensemble`: finished runs, or networks, that answer together as one model."""

from argparse import Namespace
from typing import Any

from transfer import commanding, console
from transfer.ensembling import planning
from transfer.errors import SettingsError
from transfer.runs import Run

Answer = dict[str, Any]


def ensemble(options: Namespace) -> Answer:
    """Join finished runs, or members made on networks, to one classifier; again: go on."""
    run = Run(options.to)
    if options.data is None:
        _refuse_alone(options)
        planning.of_runs(run, [Run(folder) for folder in options.runs], options.seed)
    elif options.runs:
        raise SettingsError(
            "Either name finished runs, or give --data for an ensemble that makes its members"
            " itself; not both."
        )
    else:
        index = commanding.grouped(options)
        names = options.backbone or planning.here()
        planning.of_networks(run, index.digest, names, options.budget, options.seed, options.member)
        commanding.tell(index, index.warnings)
    if run.finished:
        console.say("This ensemble is finished already; nothing was done again.")
        return outcome(run.result())
    run.clear_pause()
    commanding.load()
    from transfer.ensembling import building

    with console.progress() as step:
        return outcome(building.build(run, step))


def outcome(result: Answer) -> Answer:
    """Tell the result in words, and return the fields that other programs read."""
    block = result["ensemble"]
    part = block["part"]
    for one in sorted(block["members"], key=lambda one: -one["weight"]):
        share = one[part] or one["validation"]
        console.say(
            f"{100 * one['weight']:5.1f} % {one['name']}: right on {100 * share['accuracy']:.1f} %"
        )
    share, gain = result[part], block["gain"]
    which = "never seen" if part == "test" else "validation"
    console.say(
        f"Together: right on {100 * share['accuracy']:.1f} % of {share['n']} {which} pictures (95 %"
        f" interval {100 * share['low']:.1f} to {100 * share['high']:.1f} %), {gain['points']:+.1f}"
        f" points against the best member alone ({gain['low']:+.1f} to {gain['high']:+.1f}, McNemar"
        f" p = {gain['p']:.2g}); {block['milliseconds']:.0f} ms a picture,"
        f" {block['megabytes']:.0f} MB."
    )
    if block["left_out"]:
        console.say(f"Left out, for the time was up: {', '.join(block['left_out'])}.")
    keys = ("run", "validation", "test", "seconds", "classes", "splits", "warnings")
    return {
        **{key: result[key] for key in keys},
        "members": [
            {**one, "accuracy": (one[part] or one["validation"])["accuracy"]}
            for one in block["members"]
        ],
        **{key: block[key] for key in ("gain", "best", "part", "milliseconds", "megabytes")},
        "left_out": block["left_out"],
    }


def _refuse_alone(options: Namespace) -> None:
    """Refuse what only goes with `--data`.

    Raises:
        SettingsError: it was given without.
    """
    alone = [
        name for name in ("backbone", "budget", "group_by", "member") if getattr(options, name)
    ]
    if alone:
        raise SettingsError(
            f"--{alone[0].replace('_', '-')} goes with --data only: finished runs have been made"
            " already."
        )
