"""The command line: `python -m transfer COMMAND ... [--json]`.

Under `--json` the last line of standard output is one JSON object; words for people always go to
standard error. Exit status 0, or 2 for a mistake that the user can mend.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from transfer import (
    catalog,
    changes,
    commands,
    data_commands,
    delivery_commands,
    ensemble_commands,
    insight_commands,
    search_commands,
    shortage,
    toolbox,
    view_commands,
)
from transfer.ensembling import planning
from transfer.errors import SettingsError, TransferError
from transfer.exporting import formats
from transfer.searching import plans, space
from transfer.serving import options as serving_options

Answer = dict[str, Any]


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments as an error of ours, so that `--json` gets its object."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. See: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    began = time.monotonic()
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        options = _parser().parse_args(given, argparse.Namespace(began=began))
        answer = options.command(options)
    except TransferError as error:
        return _failed(as_json, {"error": str(error)})
    except Exception as error:
        if (lacking := shortage.of(error)) is None:
            raise
        traceback.print_exception(error, limit=-3)
        return _failed(as_json, {"error": shortage.in_words(lacking), "lacking": lacking})
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on where it was.\n")
        return 130
    if as_json:
        _print_json(answer)
    return 0


def _failed(as_json: bool, answer: Answer) -> int:
    """Say what is wrong as far as that can be said: the disk may be full."""
    try:
        sys.stderr.write(f"{answer['error']}\n")
        sys.stderr.flush()
        if as_json:
            _print_json(answer)
    except OSError:  # nor is what is left in their buffers to fail at the end
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    return 2


def _print_json(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m transfer", description="Labelled pictures in, classifier out.")
    commands_of = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def add(name: str, run: Callable[[argparse.Namespace], Answer], words: str) -> _Parser:
        command = commands_of.add_parser(name, help=words, description=words)
        command.add_argument("--json", action="store_true", help="one JSON object on the last line")
        command.set_defaults(command=run)
        return command

    add("backbones", commands.backbones, "List the pretrained networks and whether they are here.")
    inspect = add("inspect", data_commands.inspect, "Show what a data set holds and what is wrong.")
    _data(inspect)
    _network(inspect)
    _advise_arguments(add("advise", data_commands.advise, "Measure which strategy suits the data."))
    _advise_arguments(add("forecast", data_commands.forecast, "Say whether more data would help."))
    _train_arguments(add("train", commands.train, "Train a classifier; again: go on, or answer."))
    extend = add("extend", commands.extend, "Add epochs to a fine-tuned run, as a new run.")
    _run(extend)
    extend.add_argument("--epochs", type=int, required=True, metavar="N", help="more, at most")
    extend.add_argument(
        "--run", type=Path, required=True, metavar="DIR2", dest="to", help="the new run's folder"
    )
    _checks_arguments(
        add("checks", data_commands.checks, "Check a training before it begins: seconds.")
    )
    _search_arguments(
        add("search", search_commands.search, "Try settings of fine-tuning; again: go on.")
    )
    _ensemble_arguments(
        add("ensemble", ensemble_commands.ensemble, "Let several answer together; again: go on.")
    )
    evaluate = add("evaluate", commands.evaluate, "Measure a finished run on labelled pictures.")
    _run(evaluate)
    _data(evaluate)
    _test_time(evaluate, "to average, compared with the model as it is")
    predict = add("predict", commands.predict, "Say what is on pictures.")
    _run(predict)
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="picture files")
    _delivery_commands(add)
    insight_commands.arguments(add)
    _run(
        add(
            "views",
            view_commands.views,
            "Measure what several views of each picture would bring to a finished run.",
        )
    )
    _run(add("work", commands.work, "Do what a prepared run folder says: used by the app."))
    _run(
        add(
            "measure", data_commands.measure, "Keep the advice in a prepared run folder: the app's."
        )
    )
    _run(
        add("check", data_commands.check, "Keep in a prepared run folder what is wrong: the app's.")
    )
    _run(
        add(
            "rehearse",
            data_commands.rehearse,
            "Keep the checks before a training in a prepared run folder: the app's.",
        )
    )
    _run(
        add("seek", search_commands.seek, "Make the trials that a prepared folder says: the app's.")
    )
    probe = add(
        "probe", data_commands.probe, "Say what changes to a data set do to its quick check."
    )
    probe.add_argument("dataset", metavar="DIGEST", help="of a data set of the store")
    serving_options.serve(add("serve", commands.serve, "Answer over HTTP what is on pictures."))
    serving_options.publish(
        add("publish", commands.publish, "Export a run as a model's next version, to be served.")
    )
    add("demo", commands.demo, "Do the whole job once, on the generated sample pictures.")
    return parser


def _delivery_commands(add: Callable[..., _Parser]) -> None:
    export = add("export", delivery_commands.export, "Write the model in a format, checked.")
    _run(export)
    export.add_argument("--to", type=Path, required=True, metavar="DIR2", help="a new folder")
    export.add_argument("--format", choices=formats.NAMES, default=formats.DEFAULT)
    score = add("score", delivery_commands.score, "Say what is on many pictures, in a CSV file.")
    _run(score)
    score.add_argument("pictures", type=Path, metavar="FOLDER", help="a folder, or a zip")
    score.add_argument("--to", type=Path, required=True, metavar="FILE.csv", help="the answers")
    score.add_argument("--status", type=Path, metavar="DIR3", help="say how far it is: the app's")
    deliver = add(
        "deliver", delivery_commands.deliver, "Keep a format in a run's folder: used by the app."
    )
    _run(deliver)
    deliver.add_argument("--format", choices=formats.NAMES, required=True)


def _advise_arguments(advise: _Parser) -> None:
    _data(advise)
    _network(advise)


def _train_arguments(train: _Parser) -> None:
    _data(train)
    train.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run folder")
    _network(train)
    names = [strategy.name for strategy in catalog.REQUESTS]
    train.add_argument("--strategy", choices=names, default=catalog.DEFAULT_STRATEGY)
    train.add_argument("--epochs", type=int, help="of fine-tuning, at most (else by the policy)")
    train.add_argument("--budget", type=float, metavar="SECONDS", help="time limit for the run")
    _test_time(train, "that the shipped model averages (none)")
    _changes(train)


def _checks_arguments(checks: _Parser) -> None:
    _data(checks)
    _network(checks)
    names = [strategy.name for strategy in catalog.STRATEGIES if strategy.tunes]
    checks.add_argument("--strategy", choices=names, default=names[0])
    checks.add_argument("--epochs", type=int, help="of fine-tuning, at most (else by the policy)")
    _changes(checks)
    checks.add_argument(
        "--run", type=Path, metavar="DIR", help="keep them in this run folder, with the pictures"
    )


def _search_arguments(search: _Parser) -> None:
    _data(search)
    search.add_argument("--run", type=Path, required=True, metavar="DIR", help="the search folder")
    _network(search)
    search.add_argument("--strategy", choices=plans.STRATEGIES, default=plans.STRATEGIES[0])
    many = f"how many settings to try ({plans.USUAL_TRIALS}, or as before)"
    search.add_argument("--trials", type=int, metavar="N", help=many)
    search.add_argument("--epochs", type=int, help="of each trial (a quarter of a run's)")
    search.add_argument("--budget", type=float, metavar="SECONDS", help="time limit in all")
    names = ", ".join(vars(space.Space()))
    search.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH",
        help=f"where to search, of {names}; may be given several times; one value leaves no choice",
    )
    search.add_argument(
        "--widen",
        action="append",
        default=[],
        metavar="NAME",
        help="go on in a wider range of this setting, where the best trial lies at its edge",
    )
    _changes(search, toolbox_too=False)


def _ensemble_arguments(ensemble: _Parser) -> None:
    ensemble.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="folders of finished runs on one data set"
    )
    ensemble.add_argument(
        "--run", type=Path, required=True, metavar="DIR", dest="to", help="the ensemble's folder"
    )
    ensemble.add_argument(
        "--data", type=Path, metavar="DATA", help="make the members on these pictures instead"
    )
    ensemble.add_argument(
        "--backbone",
        action="append",
        metavar="NAME",
        help="with --data: a network to make members on; may be given several times (else all that"
        " are here)",
    )
    ensemble.add_argument("--budget", type=float, metavar="SECONDS", help="time limit, with --data")
    ensemble.add_argument(
        "--member",
        action="append",
        default=[],
        choices=planning.KINDS,
        help="with --data: also train the best of the networks for members of this kind; may be"
        " given several times",
    )
    ensemble.add_argument("--seed", type=int, default=0)
    ensemble.add_argument(
        "--group-by", metavar="PATTERN", help="with --data: as for the other commands"
    )


def _changes(command: _Parser, toolbox_too: bool = True) -> None:
    for option, words in (("--mirror", "mirrored"), ("--turn", "turned by quarter turns")):
        command.add_argument(
            option,
            action=argparse.BooleanOptionalAction,
            help=f"may pictures be {words} without changing their class? (else measured)",
        )
    command.add_argument(
        "--augment",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"how pictures are changed in training: {', '.join(changes.RANGES)}, upside_down=yes,"
        " level=none|light|strong; may be given several times (else by the policy)",
    )
    if not toolbox_too:
        return
    drawer = command.add_argument_group("for experts", "Of fine-tuning; each has a good default.")
    for setting in toolbox.SETTINGS:
        if setting.kind is bool:
            switch: Any = argparse.BooleanOptionalAction
            drawer.add_argument(setting.option, action=switch, help=setting.summary)
            continue
        names = [choice.name for choice in setting.choices] or None
        drawer.add_argument(setting.option, type=setting.kind, choices=names, help=setting.summary)


def _network(command: _Parser) -> None:
    command.add_argument("--backbone", metavar="NAME", help=f"default: {catalog.DEFAULT_BACKBONE}")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--image-size", type=int, metavar="N", help="input size in pixels")
    command.add_argument(
        "--group-by",
        metavar="PATTERN",
        help="a regular expression with one group, sought in the file names: pictures for which it"
        " gives the same, such as '(patient\\d+)', stay on one side of every split",
    )


def _test_time(command: _Parser, words: str) -> None:
    command.add_argument(
        "--test-time",
        choices=catalog.TEST_TIME,
        default=catalog.TEST_TIME[0],
        help=f"the views of each picture {words}",
    )


def _data(command: _Parser) -> None:
    command.add_argument(
        "data", type=Path, metavar="DATA", help="a zip, a tar, a folder, or a CSV beside pictures"
    )


def _run(command: _Parser) -> None:
    command.add_argument("run", type=Path, metavar="DIR", help="the folder of a finished run")
