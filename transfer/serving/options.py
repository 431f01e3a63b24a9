"""The options of `python -m transfer serve` and `publish`."""

from argparse import ArgumentParser
from pathlib import Path

from transfer.serving import limits
from transfer.serving.limits import Batching


def serve(command: ArgumentParser) -> None:
    """Add the options of `serve`."""
    usual = Batching()
    command.add_argument(
        "models",
        nargs="*",
        metavar="[NAME=]MODEL",
        help="folders of finished runs, exported SavedModels, or numbered versions of one;"
        " none: the finished runs of the store",
    )
    command.add_argument(
        "--address",
        default=limits.ADDRESS,
        help="which network to listen on; everybody who reaches it can ask"
        f" ({limits.ADDRESS}: this machine only)",
    )
    command.add_argument("--port", type=int, default=limits.PORT, help=f"{limits.PORT}; 0: any")
    command.add_argument(
        "--batch",
        type=int,
        default=usual.most,
        metavar="N",
        help=f"pictures in one batch, at most ({usual.most})",
    )
    command.add_argument(
        "--wait",
        type=float,
        default=usual.milliseconds,
        metavar="MS",
        help="milliseconds that a picture waits for others which are on their way, at most"
        f" ({usual.milliseconds:g})",
    )
    command.add_argument(
        "--memory",
        type=int,
        default=limits.MOST_MEMORY_MB,
        metavar="MB",
        help=f"above it, models that were not used last are dropped ({limits.MOST_MEMORY_MB})",
    )
    command.add_argument(
        "--idle",
        type=float,
        metavar="SECONDS",
        help=f"of rest, then leave (never; with --store {limits.IDLE_SECONDS:g})",
    )
    command.add_argument(
        "--store",
        action="store_true",
        help="on a socket of this user alone in the store, once a store: used by the app",
    )


def publish(command: ArgumentParser) -> None:
    """Add the options of `publish`."""
    command.add_argument("run", type=Path, metavar="DIR", help="the folder of a finished run")
    command.add_argument("--name", required=True, help="of the model, to be asked by")
    command.add_argument(
        "--to",
        type=Path,
        metavar="DIR2",
        help="where models are: DIR2/NAME/1, DIR2/NAME/2, ... (in the store)",
    )
