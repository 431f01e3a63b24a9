"""Keep the models that were used last in memory, each ready to answer at once."""

import ctypes
import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from transfer.errors import TransferError
from transfer.serving import limits, loaded
from transfer.serving.loaded import Loaded
from transfer.serving.sources import DamagedError, Sources


class Models:
    """The models that are in memory, in use order. Safe to use from several threads."""

    def __init__(self, sources: Sources, log: Callable[[str], None]) -> None:
        self.sources, self._log = sources, log
        self._loaded: dict[str, Loaded] = {}
        self._guard, self._loading = threading.Lock(), threading.Lock()

    def names(self) -> list[str]:
        """Return the names of the models that are here, the last used at the end."""
        with self._guard:
            return list(self._loaded)

    def ready(self, name: str) -> Loaded | None:
        """Return a model if it is here and its file has not changed; quick.

        Raises:
            RunError: there is no such model, or it is not finished.
        """
        source = self.sources.find(name)
        with self._guard:
            kept = self._loaded.get(name)
            if kept is None or kept.source != source:
                return None
            self._loaded[name] = self._loaded.pop(name)
            return kept

    def get(self, name: str) -> Loaded:
        """Return a model, loaded anew where its file has changed. One is loaded at a time.

        Raises:
            RunError: there is no such model, it is not finished, or it cannot be read.
        """
        with self._loading:
            if kept := self.ready(name):
                return kept
            with self._guard:
                self._loaded.pop(name, None)  # gives the old one free before the new one comes
            self.keep(limits.MOST_MODELS - 1)
            kept = self._load(name)
            with self._guard:
                self._loaded[name] = kept
            return kept

    def keep(self, most: int) -> None:
        """Drop all but so many models that were used last, and give their memory back."""
        with self._guard:
            for name in list(self._loaded)[: max(len(self._loaded) - most, 0)]:
                del self._loaded[name]
        gc.collect()
        with suppress(AttributeError):  # glibc keeps what is freed, unless it is told
            ctypes.CDLL(None).malloc_trim(0)

    def _load(self, name: str) -> Loaded:
        began = time.monotonic()
        try:
            kept = loaded.load(self.sources.find(name))
        except TransferError:
            raise
        except Exception as error:  # Keras has no kind of its own for damaged files
            self._log(f"Cannot load '{name}': {error!r}")
            raise DamagedError(
                f"The model of the run '{name}' cannot be read ({type(error).__name__})."
                " Try again; if it stays so, train it again."
            ) from error
        self._log(f"Loaded '{name}' in {time.monotonic() - began:.1f} s")
        return kept
