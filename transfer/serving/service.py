"""What the routes work with: the models, the threads that decode, and the batches."""

import asyncio
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer.errors import DataError
from transfer.serving.batching import Batcher
from transfer.serving.intake import Picture, Room
from transfer.serving.limits import Batching

if TYPE_CHECKING:  # they load TensorFlow
    from transfer.serving.loaded import Loaded
    from transfer.serving.models import Models


@dataclass
class Service:
    """What the routes work with, and what the process wants to know of them.

    Attributes:
        models: the models.
        batching: how pictures are put together.
        threads: in which pictures are decoded.
        lanes: in which batches are computed.
        leaving: why no more questions are taken; empty while they are.
        answered: pictures answered so far.
        last_used: when an answer was last given, by `time.monotonic`.
    """

    models: "Models"
    batching: Batching = field(default_factory=Batching)
    threads: int = 2
    lanes: int = 1
    leaving: str = ""
    answered: int = 0
    last_used: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.batcher, self.room = Batcher(self.batching, self.lanes), Room()
        self._decoding = ThreadPoolExecutor(self.threads, "decoding")
        self._loading = ThreadPoolExecutor(1, "loading")

    @property
    def busy(self) -> bool:
        """Whether a question is being worked on."""
        return self.room.requests > 0

    def leave(self, reason: str) -> None:
        """Answer what is being worked on, and then no more."""
        self.leaving = self.leaving or reason

    def close(self) -> None:
        """End its threads."""
        self._decoding.shutdown()
        self._loading.shutdown()
        self.batcher.close()

    async def alone(self, work: Callable[[], Any]) -> Any:
        """Do what takes memory: one such thing at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._loading, work)

    async def model(self, name: str) -> "Loaded":
        """Return a model, ready to answer."""
        return self.models.ready(name) or await self.alone(lambda: self.models.get(name))

    async def outputs(self, loaded: "Loaded", pictures: list[Picture]) -> list[dict[str, Any]]:
        """Return the outputs of a model for each picture.

        Raises:
            DataError: one of them is no picture.
        """
        loop, several = asyncio.get_running_loop(), len(pictures) > 1
        asked = (
            loop.run_in_executor(self._decoding, self._submitted, loaded, one, several)
            for one in pictures
        )
        waiting = [asyncio.wrap_future(one) for one in await asyncio.gather(*asked)]
        return list(await asyncio.gather(*waiting))

    def _submitted(self, loaded: "Loaded", picture: Picture, several: bool) -> Any:
        with self.batcher.coming():
            try:
                return self.batcher.submit(loaded, loaded.prepare(picture.data))
            except DataError as error:
                if several and picture.file and str(error).startswith("The file "):
                    raise DataError(f"'{picture.file}'{str(error)[8:]}") from error
                raise


def memory_mb() -> int:
    """Return the resident memory of this process, or its highest so far where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() // 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # macOS: in bytes
