"""The command line: `python -m transfer COMMAND ... [--json]`.

Under `--json` the last line of standard output is one JSON object; words for people always go to
standard error. Exit status 0, or 2 for a mistake that the user can mend.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from transfer import catalog, commands, serving
from transfer.errors import SettingsError, TransferError

Answer = dict[str, Any]


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments as an error of ours, so that `--json` gets its object."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. See: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        options = _parser().parse_args(given)
        answer = options.command(options)
    except TransferError as error:
        sys.stderr.write(f"{error}\n")
        if as_json:
            _print_json({"error": str(error)})
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on where it was.\n")
        return 130
    if as_json:
        _print_json(answer)
    return 0


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
    inspect = add("inspect", commands.inspect, "Show what a data set holds and what is left out.")
    _data(inspect)
    _advise_arguments(add("advise", commands.advise, "Measure which strategy suits the data."))
    _train_arguments(add("train", commands.train, "Train a classifier; again: go on, or answer."))
    evaluate = add("evaluate", commands.evaluate, "Measure a finished run on labelled pictures.")
    _run(evaluate)
    _data(evaluate)
    predict = add("predict", commands.predict, "Say what is on pictures.")
    _run(predict)
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="picture files")
    export = add("export", commands.export, "Write a checked SavedModel.")
    _run(export)
    export.add_argument("--to", type=Path, required=True, metavar="DIR2", help="a new folder")
    _run(add("work", commands.work, "Do what a prepared run folder says: used by the app."))
    _run(add("measure", commands.measure, "Keep the advice in a prepared run folder: the app's."))
    _serve_arguments(
        add("serve", commands.serve, "Answer the app's questions (the app starts this itself).")
    )
    add("demo", commands.demo, "Do the whole job once, on the generated sample pictures.")
    return parser


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
    for option, words in (("--mirror", "mirrored"), ("--turn", "turned by quarter turns")):
        train.add_argument(
            option,
            action=argparse.BooleanOptionalAction,
            help=f"may pictures be {words} without changing their class? (else measured)",
        )


def _network(command: _Parser) -> None:
    command.add_argument("--backbone", metavar="NAME", help=f"default: {catalog.DEFAULT_BACKBONE}")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--image-size", type=int, metavar="N", help="input size in pixels")


def _serve_arguments(serve: _Parser) -> None:
    idle, memory = serving.IDLE_SECONDS, serving.MOST_MEMORY_MB
    serve.add_argument(
        "--idle",
        type=float,
        default=idle,
        metavar="SECONDS",
        help=f"of rest, then leave ({idle:g})",
    )
    serve.add_argument(
        "--memory", type=int, default=memory, metavar="MB", help=f"above it, drop models ({memory})"
    )


def _data(command: _Parser) -> None:
    command.add_argument(
        "data", type=Path, metavar="DATA", help="a zip, a tar, a folder, or a CSV beside pictures"
    )


def _run(command: _Parser) -> None:
    command.add_argument("run", type=Path, metavar="DIR", help="the folder of a finished run")
