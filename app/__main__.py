"""`python -m app` opens the app in the browser, `python -m app stop` ends what goes on behind."""

import argparse
import socket
import sys
from collections.abc import Sequence

from app import jobs, settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the app, or stop the jobs."""
    options = parser().parse_args(arguments)
    if options.command == "stop":
        stopped = jobs.stop_all()
        sys.stderr.write(f"Stopped; {stopped} job(s) will go on at the next start.\n")
        return 0
    if not _is_free(options.address, options.port):
        sys.stderr.write(
            f"Port {options.port} is in use already: the app may be open at"
            f" http://localhost:{options.port}. Choose another one with --port.\n"
        )
        return 2
    from app import server

    server.serve(options.address, options.port, True if options.no_browser else None)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m app", description="The app in the browser.")
    parser.add_argument("command", nargs="?", choices=("open", "stop"), default="open")
    parser.add_argument("--port", type=int, default=settings.DEFAULT_PORT)
    parser.add_argument(
        "--address", default=settings.LOCALHOST,
        help="which network to listen on; everybody who reaches it can see all pictures",
    )  # fmt: skip
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return parser


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
