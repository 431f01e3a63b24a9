"""Measure what ten watchers of a training cost the web process, without a browser.

    python -m benchmarks.watching [--watchers 10] [--seconds 40] [--epoch 5]

A server of its own on an empty store, a run whose status changes twice a second and which ends an
epoch every few seconds, and so many sessions that speak Streamlit's protocol and poll as the page
in a browser does. It counts the processor seconds of the web process, so that it can be measured
on a busy machine too, where the ten browsers of `benchmarks.ui` would be in each other's way.
Prints one JSON object; `ratio` is the measured share of a core over the 0.10 that are allowed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.util import calc_hash

from app import jobs, processes, workshop
from benchmarks import ui
from transfer.config import RunConfig
from transfer.runs import Run

_SETTLED = 10.0  # seconds after the first drawing
_STATUS_EVERY = 0.5  # seconds


class Watchers:
    """Sessions that open the page Train and poll it as often as it asks for."""

    def __init__(self, address: str, query: str) -> None:
        self._address, self._query = address.replace("http", "ws", 1), query
        self.polls, self.drawn = 0, 0

    async def watch(self) -> None:
        """Open one session and keep it going until it is cancelled."""
        where = f"{self._address}/_stcore/stream"
        async with websockets.connect(where, max_size=None, subprotocols=["streamlit"]) as socket:  # pyright: ignore[reportArgumentType]
            await socket.send(self._asking())
            polling: asyncio.Task[None] | None = None
            async for data in socket:
                told: Any = ForwardMsg()
                told.ParseFromString(data)
                kind = told.WhichOneof("type")
                self.drawn += kind == "navigation"  # sent by a drawing of the whole page only
                if kind == "auto_rerun":
                    if polling:
                        polling.cancel()
                    every, fragment = told.auto_rerun.interval, told.auto_rerun.fragment_id
                    polling = asyncio.create_task(self._poll(socket, every, fragment))

    async def _poll(self, socket: Any, every: float, fragment: str) -> None:
        while True:
            await asyncio.sleep(every)
            await socket.send(self._asking(fragment))
            self.polls += 1

    def _asking(self, fragment: str = "") -> bytes:
        asked: Any = BackMsg()
        asked.rerun_script.query_string = self._query
        asked.rerun_script.page_script_hash = calc_hash("train")
        if fragment:
            asked.rerun_script.fragment_id = fragment
            asked.rerun_script.is_auto_rerun = True
        return asked.SerializeToString()


@contextlib.contextmanager
def training(every: float) -> Any:
    """Let a run look as if it were being trained; yields it."""
    # Nobody looks at the pictures, so there are none.
    run = workshop.start(RunConfig("0" * 32, "builtin", 96, strategy="finetune_few"), "Watched")
    job = jobs.latest("train", run.folder.name)
    if job is None:
        sys.exit("The run did not get into the queue.")
    over = threading.Event()
    with jobs.file(job, "lock").open("a") as lock:
        # So the dispatcher takes it for the process of the job.
        if not (processes.take(lock) and jobs.claim(job, "cpu")):
            sys.exit("The dispatcher was faster.")
        processes.announce(lock)
        teller = threading.Thread(target=_tell, args=(run, every, over))
        teller.start()
        try:
            yield run
        finally:
            over.set()
            teller.join()


def _tell(run: Run, every: float, over: threading.Event) -> None:
    run.write("split", {"train": list(range(168)), "val": list(range(36)), "test": []})
    run.event("phase", phase="fine_tuning", words="Training")
    began, epoch = time.monotonic(), 0
    while not over.wait(_STATUS_EVERY):
        passed = time.monotonic() - began
        words = f"Training, epoch {epoch + 1} of at most 999"
        run.status("fine_tuning", done=passed, total=9999, words=words, seconds_left=9999 - passed)
        if passed >= epoch * every:
            loss = 1 / (epoch + 1)
            run.event(
                "epoch", phase="fine_tuning" if epoch else "head", epoch=epoch, loss=loss,
                accuracy=0.8, learning_rate=1e-3, seconds=every, val_loss=loss + 0.1,
                val_accuracy=0.8, plain_val_loss=loss + 0.2,
            )  # fmt: skip
            run.write("readings", {"strategy": "finetune_few", "epoch": epoch, "readings": []})
            epoch += 1


async def measure(address: str, pid: int, run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Let the sessions watch, and return what that costs."""
    watchers = Watchers(address, f"run={run.folder.name}")
    tasks = [asyncio.create_task(watchers.watch()) for _ in range(options.watchers)]
    while watchers.polls < options.watchers:
        await asyncio.sleep(0.5)
        for task in tasks:
            if task.done():
                task.result()
    await asyncio.sleep(_SETTLED)
    began, used = time.monotonic(), ui.processor_seconds(pid)
    polls, drawn = watchers.polls, watchers.drawn
    await asyncio.sleep(options.seconds)
    took, cost = time.monotonic() - began, ui.processor_seconds(pid) - used
    for task in tasks:
        task.cancel()
    return {
        "watchers": options.watchers,
        "seconds_an_epoch": options.epoch,
        "polls": watchers.polls - polls,
        "drawings": watchers.drawn - drawn,
        "share_of_a_core": round(cost / took, 4),
        "ratio": round(cost / took / ui.SHARE_ALLOWED, 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=ui.WATCHERS)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--epoch", type=float, default=5.0, help="seconds between two epochs")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TRANSFER_HOME"] = folder
        with ui.served(Path(folder)) as (address, pid), training(options.epoch) as run:
            found = asyncio.run(measure(address, pid, run, options))
    print(json.dumps({**found, "load_before": load}))


if __name__ == "__main__":
    main()
