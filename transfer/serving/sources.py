"""Which models there are to ask: the finished runs of the store, or folders that were named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from transfer import silence
from transfer.errors import RunError, SettingsError
from transfer.runs import Run

Kind = Literal["run", "savedmodel"]
# Path, time of change and size: tells one model file from another; of a run, when it is silent too.
Stamp = tuple[str | int | float, ...]

_LONGEST_NAME = 200  # bytes
_SAVED = "saved_model.pb"


class DamagedError(RunError):
    """The model is there but cannot be read."""


@dataclass(frozen=True)
class Source:
    """A model on disk: its name for who asks, its folder, and its file as it is now."""

    name: str
    kind: Kind
    folder: Path
    stamp: Stamp


class Sources(Protocol):
    """The models that can be asked, by name."""

    def names(self) -> list[str]:
        """Return the names of those that are ready, sorted."""
        ...

    def find(self, name: object) -> Source:
        """Return one of them.

        Raises:
            RunError: there is none of this name, or it is not ready.
        """
        ...


@dataclass(frozen=True)
class StoreRuns:
    """The finished runs in one folder, as they come and go."""

    folder: Path

    def names(self) -> list[str]:
        """Return the ids of the finished runs, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(one.name for one in self.folder.iterdir() if Run(one).finished)

    def find(self, name: object) -> Source:
        """Return the run of this id: a plain name, so that nothing outside the folder is read."""
        if not _plain(name):
            raise RunError("That is not the id of a run. Choose one in the list of runs.")
        return _run(str(name), Run(self.folder / str(name)))


@dataclass(frozen=True)
class Named:
    """Run folders, exported models, and folders with numbered versions of one, by name."""

    folders: dict[str, Path]

    @classmethod
    def parsed(cls, given: Sequence[str]) -> "Named":
        """Read `FOLDER` or `NAME=FOLDER`, as often as given.

        Raises:
            SettingsError: a name comes twice or is none, or a folder holds no model.
        """
        folders: dict[str, Path] = {}
        for words in given:
            name, equals, path = words.partition("=")
            folder = Path(path if equals else words)
            name = name if equals else folder.resolve().name
            if not _plain(name):
                raise SettingsError(f"'{name}' cannot be the name of a model. Try NAME={folder}.")
            if name in folders:
                raise SettingsError(
                    f"Two models are called '{name}'. Give one of them another name: OTHER={folder}"
                )
            folders[name] = folder
        found = cls(folders)
        for name, folder in folders.items():
            try:
                found.find(name)
            except RunError as error:
                raise SettingsError(
                    f"There is no model in '{folder}': expected the folder of a finished run, an"
                    f" exported SavedModel, or numbered versions of one. {error}"
                ) from error
        return found

    def names(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(self.folders)

    def find(self, name: object) -> Source:
        """Return the model of this name; of several versions, the highest."""
        if not isinstance(name, str) or name not in self.folders:
            raise RunError(
                "There is no model of that name here. Those that can be asked are:"
                f" {', '.join(self.names())}."
            )
        folder = self.folders[name]
        for place in (folder, *_versions(folder)):
            if (place / _SAVED).is_file():
                return Source(name, "savedmodel", place, _stamp(place / _SAVED))
        return _run(name, Run(folder))


def versions(folder: Path) -> list[int]:
    """Return the numbers of the versions in a folder NAME/1, NAME/2, ..., the highest first."""
    if not folder.is_dir():
        return []
    named = (one for one in folder.iterdir() if _is_version(one.name))
    return sorted((int(one.name) for one in named if one.is_dir()), reverse=True)


def _versions(folder: Path) -> Iterator[Path]:
    return (folder / str(number) for number in versions(folder))


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and name == str(int(name))


def _plain(name: object) -> bool:
    return (
        isinstance(name, str)
        and name.isprintable()  # also: can be written in UTF-8
        and 0 < len(name.encode()) <= _LONGEST_NAME
        and name not in (".", "..")
        and "/" not in name
        and "\\" not in name
    )


def _run(name: str, run: Run) -> Source:
    try:
        if run.finished:
            stamp = (*_stamp(run.model_path), *silence.stamp(run))
            return Source(name, "run", run.folder, stamp)
    except FileNotFoundError:  # deleted in between
        pass
    if run.exists:
        raise RunError(
            f"The run '{name}' is not finished, so it has no model yet."
            " Wait until its training has ended, or go on with it."
        )
    raise RunError(f"The run '{name}' is not there any more. Choose one in the list of runs.")


def _stamp(file: Path) -> Stamp:
    stat = file.stat()
    return str(file), stat.st_mtime_ns, stat.st_size
