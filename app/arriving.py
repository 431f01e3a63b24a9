"""The bytes of an upload as they come in: in pieces, in order, straight on disk."""

import asyncio
import errno
from collections.abc import AsyncIterable

from app import uploads
from app.uploads import NoSpaceError, OffsetError, TooLargeError, Upload, amount

REQUEST_BYTES = 32 * 1024**2  # at most in one piece
_WRITE_BYTES = 1024**2  # gathered before a thread writes them: a network block is only 64 KB


async def append(
    upload_id: str, offset: int, blocks: AsyncIterable[bytes], *, most: int = REQUEST_BYTES
) -> int:
    """Write a piece as it comes in, and return how many bytes are here then.

    If `blocks` breaks off with an error, what came before it is kept, and the error goes through.

    Args:
        upload_id: whose piece it is.
        offset: where it belongs: the number of bytes that are here already.
        blocks: its bytes; at most about 1 MB of them is in memory at a time.
        most: the bytes that one piece may have.

    Raises:
        OffsetError: another offset is due.
        TooLargeError: more than `most`, or more than the upload was said to have.
        NoSpaceError: the disk is full.
        UnknownUploadError: it was cancelled.
    """
    upload = await asyncio.to_thread(uploads.get, upload_id)
    if upload.state != "receiving" or offset != upload.received:
        raise OffsetError(
            f"'{upload.name}' goes on at byte {upload.received:,}, not at {offset:,}.",
            upload.received,
        )
    end = min(upload.size, offset + most)
    position, waiting = offset, bytearray()
    try:
        async for block in blocks:
            if position + len(waiting) + len(block) > end:
                raise _too_much(upload, end, most)
            waiting += block
            if len(waiting) >= _WRITE_BYTES:
                full, waiting = waiting, bytearray()
                await asyncio.to_thread(_write, upload, position, full)
                position += len(full)
    except BaseException:
        # Not in a thread: a cancelled task may not wait any more, and it is little.
        _write(upload, position, waiting)
        raise
    await asyncio.to_thread(_write, upload, position, waiting)
    return position + len(waiting)


def _write(upload: Upload, position: int, data: bytearray) -> None:
    """Put bytes in their place.

    A connection that seemed dead may still bring its bytes while its successor sends the same ones:
    each write says where it goes, so both put the same bytes in the same place. The file is opened
    anew each time so that nothing is open when the task is cancelled, and an upload that was
    cancelled does not come back.
    """
    try:
        with upload.data.open("r+b") as file:
            file.seek(position)
            file.write(data)
    except FileNotFoundError:
        uploads.get(upload.id)  # says that it is unknown
        raise OffsetError("This upload has arrived already.", upload.size) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpaceError(
            f"The disk of this machine is full: {amount(uploads.free_bytes())} are free, and"
            f" {amount(upload.size - position)} of '{upload.name}' are still to come."
            " Nothing was lost. Make room, then go on."
        ) from error


def _too_much(upload: Upload, end: int, most: int) -> TooLargeError:
    if end == upload.size:
        return TooLargeError(
            f"'{upload.name}' was said to have {upload.size:,} bytes, but more are"
            " coming. It may have changed meanwhile: choose it again."
        )
    return TooLargeError(f"A piece may have at most {amount(most)}. Send smaller ones.")
