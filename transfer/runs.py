"""The run folder: the one place where a worker and whoever watches it meet.

    RUN/
        config.json      the settings (`RunConfig`)
        status.json      where it stands; replaced as a whole
        events.jsonl     what happened, one JSON object a line, only ever appended
        split.json       which picture is in train, validation and test
        history.json     one row an epoch
        readings.json    what the curves say so far (`diagnosis`), replaced after each epoch
        result.json      the outcome; its presence means that the run is finished
        model.keras      the shipped model: RGB pictures in, probabilities out
        answers.npz      what the shipped model said of the validation and the test pictures
        calibration.json how far its probabilities can be believed (`calibrating`)
        refusal.json     how it tells what it has never learned (`refusing`), with its arrays in
        refusal.npz
        silence.json     when it is to say nothing, as the user chose: {"target", "threshold"}
        savedmodel/      the exported model, where it was made and checked here
        exports/         the model in further formats, a folder each, made on demand
        scores/          what it says of many pictures, a folder each time
        about.json       the run's name and when it was made
        stop             is there when the user wants the work to end
        checks/          pictures as the network sees them, shown before a training
        pause            is there when the user wants it to rest, and to go on later
        start.keras      the model that a run begins with which adds epochs to another one
        checkpoint/      what a killed run needs to go on
        plan.json        of a search for settings: what was asked for
        search.json      what it has found so far
        trials.journal   its trials, as Optuna keeps them
        trials/          what an unfinished trial needs to go on
        lock             held by the process that works on the run, for as long as it lives

Only this module knows these names.
"""

import contextlib
import fcntl
import json
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer import store
from transfer.config import RunConfig
from transfer.errors import RunError, SettingsError

if TYPE_CHECKING:  # the queue looks at runs, and its process stays small
    import numpy as np


@dataclass(frozen=True)
class Run:
    """A run folder. Creating this object touches nothing on disk."""

    folder: Path

    @property
    def model_path(self) -> Path:
        """The shipped Keras model."""
        return self.folder / "model.keras"

    @property
    def checkpoint_folder(self) -> Path:
        """Where training keeps what it needs to go on."""
        return self.folder / "checkpoint"

    @property
    def start_path(self) -> Path:
        """The model that a run begins with which adds epochs to another one."""
        return self.folder / "start.keras"

    @property
    def checks_folder(self) -> Path:
        """Where the pictures are that the checks before a training show."""
        return self.folder / "checks"

    @property
    def journal_path(self) -> Path:
        """Where a search for settings keeps its trials."""
        return self.folder / "trials.journal"

    @property
    def trials_folder(self) -> Path:
        """Where the trials of a search keep what they need to go on."""
        return self.folder / "trials"

    @property
    def export_folder(self) -> Path:
        """Where the checked SavedModel of a run of the app is."""
        return self.folder / "savedmodel"

    def export_place(self, name: str) -> Path:
        """Return where the checked model of a run of the app is in a format."""
        if name == "savedmodel":
            return self.export_folder
        return self.folder / "exports" / name / "model"

    @property
    def scores_folder(self) -> Path:
        """Where the answers for many pictures are that were asked for in the app."""
        return self.folder / "scores"

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run, finished or not."""
        return (self.folder / "config.json").is_file()

    @property
    def finished(self) -> bool:
        """Whether the run has its result and its model."""
        return (self.folder / "result.json").is_file() and self.model_path.is_file()

    def start(self, config: RunConfig) -> None:
        """Create the folder with its settings, or check that they are those it was started with.

        Raises:
            SettingsError: the run was started with other settings.
            RunError: the folder holds other files.
        """
        if self.exists:
            if different := self.config().differences(config):
                raise SettingsError(
                    f"The run in '{self.folder}' was started with other settings:"
                    f" {'; '.join(different)}. Use the same settings to go on with it,"
                    " or another folder for a new run."
                )
            return
        if self.folder.is_file() or (self.folder.is_dir() and any(self._foreign())):
            raise RunError(
                f"'{self.folder}' holds other files already."
                " Name a new or an empty folder for the run."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        store.write_json(self.folder / "config.json", config.to_json())

    def config(self) -> RunConfig:
        """Return the settings of the run.

        Raises:
            RunError: there is no run in the folder, or its settings cannot be read.
        """
        if not self.exists:
            raise RunError(
                f"There is no run in '{self.folder}'. Train one there first:"
                f" python -m transfer train DATA --run '{self.folder}'"
            )
        return RunConfig.from_json(self._read("config.json"))

    def result(self) -> dict[str, Any]:
        """Return the outcome of a finished run.

        Raises:
            RunError: the run is not finished.
        """
        self.config()
        if not self.finished:
            raise RunError(
                f"The run in '{self.folder}' is not finished."
                " Give the same train command again and it goes on where it was."
            )
        return self._read("result.json")

    def finish(self, result: dict[str, Any]) -> None:
        """Write the outcome; from now on the run is finished."""
        store.write_json(self.folder / "result.json", result)
        self.start_path.unlink(missing_ok=True)
        self.clear_pause()

    def read(self, name: str) -> Any | None:
        """Return what `write` kept under this name, or None."""
        return self._read(f"{name}.json") if (self.folder / f"{name}.json").is_file() else None

    def write(self, name: str, value: Any) -> None:
        """Keep a JSON value ('split', 'history', 'versions', ...) in the run folder."""
        store.write_json(self.folder / f"{name}.json", value)

    def forget(self, name: str) -> None:
        """Remove what `write` kept under this name."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)

    def status(self, phase: str, **details: Any) -> None:
        """Replace the status: what is being done, and how far it is."""
        now = {"time": round(time.time(), 3), "phase": phase, **details}
        store.write_json(self.folder / "status.json", now)

    def event(self, kind: str, **details: Any) -> None:
        """Append one event, for whoever follows the run."""
        now = {"time": round(time.time(), 3), "event": kind, **details}
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as events:
            events.write(json.dumps(now, ensure_ascii=False) + "\n")

    def status_now(self) -> dict[str, Any]:
        """Return the last status, or {} where there is none yet."""
        return self.read("status") or {}

    def events_since(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the whole events after this byte, and the byte up to which they reach."""
        try:
            with (self.folder / "events.jsonl").open("rb") as events:
                events.seek(offset)
                data = events.read()
        except FileNotFoundError:
            return [], 0
        whole = data[: data.rfind(b"\n") + 1]
        rows = [row for line in whole.splitlines() if (row := _event(line)) is not None]
        return rows, offset + len(whole)

    def events_bytes(self) -> int:
        """Return how long the events are by now: another number where something has happened."""
        try:
            return (self.folder / "events.jsonl").stat().st_size
        except FileNotFoundError:
            return 0

    def request_stop(self) -> None:
        """Ask the process that works on the run to end, with the best so far if there is one."""
        (self.folder / "stop").touch()

    def stop_requested(self) -> bool:
        """Whether somebody asked to stop."""
        return (self.folder / "stop").exists()

    def clear_stop(self) -> None:
        """Take the wish to stop back, so that the run can go on."""
        (self.folder / "stop").unlink(missing_ok=True)

    def request_pause(self) -> None:
        """Ask the process that works on the run to keep all it has, and to end until later."""
        (self.folder / "pause").touch()

    def pause_requested(self) -> bool:
        """Whether somebody asked to pause."""
        return (self.folder / "pause").exists()

    def clear_pause(self) -> None:
        """Let the run go on."""
        (self.folder / "pause").unlink(missing_ok=True)

    def kept(self) -> frozenset[tuple[str, int, int]]:
        """Return what stands for all that a process after this one need not do again.

        Equal answers before and after a process say that it achieved nothing that is kept.
        """
        found = set()
        for path in self._lasting():
            with contextlib.suppress(OSError):  # replaced at this moment
                one = path.stat()
                found.add((path.name, one.st_mtime_ns, one.st_size))
        return frozenset(found)

    def about(self) -> dict[str, Any]:
        """Return {"name", "created"}: what people call the run, and when it was made."""
        kept = self.read("about") or {}
        created = kept.get("created") or (self.folder / "config.json").stat().st_mtime
        return {**kept, "name": kept.get("name") or self.folder.name, "created": created}

    def save_answers(self, **parts: "tuple[tuple[int, ...], np.ndarray]") -> None:
        """Keep for each part ("validation", "test") (positions, probabilities [n, classes])."""
        import numpy as np

        arrays: dict[str, np.ndarray] = {}
        for part, (positions, probabilities) in parts.items():
            arrays[f"{part}_positions"] = np.asarray(positions, np.int64)
            arrays[f"{part}_probabilities"] = probabilities.astype(np.float32)
        self.save_arrays("answers", **arrays)

    def answers(self, part: str) -> "tuple[np.ndarray, np.ndarray] | None":
        """Return (positions in the data set [n], probabilities [n, classes]), where kept.

        Raises:
            RunError: the file is damaged.
        """
        kept = self.arrays("answers")
        if kept is None or f"{part}_positions" not in kept:
            return None
        return kept[f"{part}_positions"], kept[f"{part}_probabilities"]

    def save_arrays(self, name: str, **arrays: "np.ndarray") -> None:
        """Keep arrays under a name ("answers", "refusal") in the run folder."""
        import numpy as np

        with store.replacing(self.folder / f"{name}.npz") as partial:
            np.savez(partial, allow_pickle=False, **arrays)

    def arrays(self, name: str) -> "dict[str, np.ndarray] | None":
        """Return what `save_arrays` kept under this name, or None.

        Raises:
            RunError: the file is damaged.
        """
        import numpy as np

        path = self.folder / f"{name}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return {key: kept[key] for key in kept.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(f"'{path}' cannot be read ({error}). Train this run again.") from error

    def seconds_spent(self) -> float:
        """Return the working seconds that earlier processes recorded for this run."""
        return float((self.read("spent") or {}).get("seconds", 0.0))

    def record_spent(self, seconds: float) -> None:
        """Keep the working seconds, so that a budget holds across restarts."""
        self.write("spent", {"seconds": round(seconds, 3)})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process until it ends, however it ends.

        Raises:
            RunError: another process works on the run.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"Another process is working on the run in '{self.folder}'."
                    " Wait until it has finished, or stop it first."
                ) from None
            yield

    def _lasting(self) -> Iterator[Path]:
        for name in ("split", "advice", "honesty", "result", "export", "search"):
            yield self.folder / f"{name}.json"
        yield self.model_path
        for folder in (self.checkpoint_folder, *self.trials_folder.glob("*/checkpoint")):
            for root, _, names in os.walk(folder):
                ended = (name for name in names if not name.endswith((".partial", ".partial.npz")))
                yield from (Path(root) / name for name in ended)

    def _foreign(self) -> Iterator[Path]:
        return (path for path in self.folder.iterdir() if path.name != "lock")

    def _read(self, name: str) -> Any:
        try:
            return store.read_json(self.folder / name)
        except (OSError, ValueError) as error:
            raise RunError(
                f"The file '{self.folder / name}' cannot be read ({error})."
                " The run is damaged: train it again into a new folder."
            ) from error


def _event(line: bytes) -> dict[str, Any] | None:
    """Return an event, or None where a full disk has cut it off and the next was put after it."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
