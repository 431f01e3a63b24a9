"""Read the pictures of a request within limits: of bytes, of number, of time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from transfer.errors import DataError, ServiceError, TransferError
from transfer.serving import limits

_MB = 2**20
_FORM = "multipart/form-data"
_NO_PICTURES = ("application/json", "text/", "application/xml", "application/x-ndjson")


class RefusedError(Exception):
    """A request that is not answered: its HTTP status, and why."""

    def __init__(self, status: int, why: TransferError) -> None:
        super().__init__(str(why))
        self.status, self.why = status, why


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture file, and its name where one was given."""

    data: bytes
    file: str | None = None


class Room:
    """Counts the bytes of all requests that are here, so that they stay within a limit."""

    def __init__(self, most: int = limits.MOST_BODIES_MB * _MB) -> None:
        self._free, self._most, self._requests = most, most, 0
        self._changed = asyncio.Condition()

    @property
    def requests(self) -> int:
        """How many requests are here, or wait to be."""
        return self._requests

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Take room for so many bytes, once there is some.

        Raises:
            RefusedError: there is none for too long.
        """
        if self._requests >= limits.MOST_REQUESTS:
            raise _busy()
        size = min(size, self._most)
        self._requests += 1
        try:
            await self._take(size)
            try:
                yield
            finally:
                async with self._changed:
                    self._free += size
                    self._changed.notify_all()
        finally:
            self._requests -= 1

    async def _take(self, size: int) -> None:
        try:
            async with asyncio.timeout(limits.SECONDS_FOR_ROOM), self._changed:
                await self._changed.wait_for(lambda: self._free >= size)
                self._free -= size
        except TimeoutError:
            raise _busy() from None


def size(request: Request) -> int:
    """Return how many bytes a request takes at most, by its headers.

    Raises:
        RefusedError: they are more than are read, or it holds no picture.
    """
    kind = _kind(request.headers)
    if kind.startswith(_NO_PICTURES):
        raise RefusedError(
            415,
            DataError(
                f"Expected a picture, but this request says that it holds '{kind}'. Send the bytes"
                " of a picture file as the body, or several as files of a form."
            ),
        )
    most = _most(kind)
    try:
        said = int(request.headers.get("content-length", most))
    except ValueError:
        said = most
    if said > most:
        raise _too_large(said, kind)
    return said


async def pictures(request: Request) -> list[Picture]:
    """Return the pictures of a request: one as its body, or several as the files of a form.

    Raises:
        RefusedError: there are too many, they are too large, come too slowly, or there is none.
    """
    try:
        async with asyncio.timeout(limits.SECONDS_TO_SEND):
            if _kind(request.headers) == _FORM:
                return await _of_form(request)
            return [Picture(b"".join([part async for part in _parts(request)]))]
    except TimeoutError:
        words = f"The request did not come within {limits.SECONDS_TO_SEND:g} seconds. Try again."
        raise RefusedError(408, ServiceError(words)) from None
    except ClientDisconnect:  # nobody reads this
        raise RefusedError(400, ServiceError("The request broke off. Try again.")) from None


async def _parts(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes, and stop where it is more than it may be."""
    kind, received = _kind(request.headers), 0
    async for part in request.stream():
        received += len(part)
        if received > _most(kind):
            raise _too_large(received, kind)
        yield part


async def _of_form(request: Request) -> list[Picture]:
    # Files of more than 1 MB wait on the disk.
    most = limits.MOST_PICTURES
    parser = MultiPartParser(request.headers, _parts(request), max_files=most, max_fields=most)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        if "Too many files" in str(error):
            words = f"At most {most} pictures are taken at once. Send the others in a request more."
            raise RefusedError(413, DataError(words)) from None
        words = "The form cannot be read. Send each picture as a file of a multipart form."
        raise RefusedError(400, DataError(words)) from None
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            words = "There is no file in the form. Send each picture as a file of it."
            raise RefusedError(422, DataError(words))
        for file in files:
            if (file.size or 0) > limits.MOST_UPLOAD_MB * _MB:
                raise _too_large(file.size or 0, "", file.filename)
        return [Picture(await file.read(), file.filename or None) for file in files]
    finally:
        await form.close()


def _kind(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _most(kind: str) -> int:
    return _MB * (limits.MOST_REQUEST_MB if kind == _FORM else limits.MOST_UPLOAD_MB)


def _too_large(size: int, kind: str, name: str | None = None) -> RefusedError:
    if kind == _FORM:
        words = (
            f"The pictures have {size / _MB:.0f} MB together, and at most"
            f" {limits.MOST_REQUEST_MB} MB are read at once. Send fewer."
        )
    else:
        which = f"The picture '{name}'" if name else "The picture"
        words = (
            f"{which} has {size / _MB:.0f} MB, and at most {limits.MOST_UPLOAD_MB} MB are read."
            " Make it smaller and try again."
        )
    return RefusedError(413, DataError(words))


def _busy() -> RefusedError:
    words = "Too many pictures are waiting already. Try again in a few seconds."
    return RefusedError(503, ServiceError(words))
