"""The way of an upload's bytes from the browser to the disk.

    POST   /api/uploads {name, size}     begin, or go on with the same files (see `uploads.Aim`):
                                         {purpose: "run"} for the file of a run, {into: digest} to
                                         add to a data set, {label}, {mark}
    PUT    /api/uploads/{id}?offset=N    a piece, as the raw body
    GET    /api/uploads/{id}             how far it is
    POST   /api/uploads/{id}/finish      all is here: read it
    DELETE /api/uploads/{id}             cancel

Answers are JSON: the upload, or {"error": sentence}, with {"received"} where that says how to go
on. Every request shows a token of the page in `X-Upload-Token`: a foreign page cannot send that
header, nor know the token.
"""

import asyncio
import functools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import arriving, datasets, tokens, uploads
from app.uploads import Aim
from transfer.dataset import names
from transfer.errors import TokenError, TransferError

TOKEN_HEADER = "X-Upload-Token"
PURPOSE, VALUE = "upload", "new"  # of the token
_MOST_JSON = 64 * 1024
_AIM = tuple(field.name for field in fields(Aim))
_MOST_TEXT = 200  # characters
_LOG = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

_STATUS: tuple[tuple[type[TransferError], int], ...] = (
    (TokenError, 403),
    (uploads.UnknownUploadError, 404),
    (uploads.OffsetError, 409),
    (uploads.TooLargeError, 413),
    (uploads.NoSpaceError, 507),
    (TransferError, 400),
)


def token() -> str:
    """Return a token with which a page may upload, for a day."""
    return tokens.sign(PURPOSE, VALUE)


def routes(free_bytes: Callable[[], int] = uploads.free_bytes) -> list[Route]:
    """Return the routes.

    Args:
        free_bytes: tells the free bytes of the disk.
    """

    async def begin(request: Request) -> Response:
        name, size, aim = await _asked(request)
        upload = await asyncio.to_thread(_begin, name, size, aim, free_bytes())
        return JSONResponse(upload.to_json(), 201)

    one = "/api/uploads/{id}"
    return [
        Route("/api/uploads", _answering(begin), methods=["POST"]),
        Route(one, _answering(_append), methods=["PUT"]),
        Route(one, _answering(_get), methods=["GET"]),
        Route(one, _answering(_cancel), methods=["DELETE"]),
        Route(f"{one}/finish", _answering(_finish), methods=["POST"]),
    ]


async def _append(request: Request) -> Response:
    offset = request.query_params.get("offset", "")
    if not (offset.isascii() and offset.isdigit()) or len(offset) > 15:
        raise uploads.UploadError("A piece of an upload must say its offset, a number of bytes.")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > arriving.REQUEST_BYTES:
        most = uploads.amount(arriving.REQUEST_BYTES)
        raise uploads.TooLargeError(f"A piece may have at most {most}. Send smaller ones.")
    body = request.stream()
    try:
        received = await arriving.append(request.path_params["id"], int(offset), body)
    except TransferError:
        # Read to its end, or the connection would break before the answer gets there.
        await _drain(body)
        raise
    return JSONResponse({"received": received})


async def _get(request: Request) -> Response:
    upload = await asyncio.to_thread(uploads.get, request.path_params["id"])
    return JSONResponse(upload.to_json())


async def _finish(request: Request) -> Response:
    upload = await asyncio.to_thread(uploads.finish, request.path_params["id"])
    return JSONResponse(upload.to_json())


async def _cancel(request: Request) -> Response:
    await asyncio.to_thread(uploads.cancel, request.path_params["id"])
    return JSONResponse({})


def _answering(handler: Handler) -> Handler:
    """Check the token, and turn what goes wrong into a sentence with a fitting status."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            if tokens.read(PURPOSE, request.headers.get(TOKEN_HEADER, "")) != VALUE:
                raise TokenError("This page may not upload. Reload it and try again.")
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=400)  # for nobody: the connection is gone
        except TransferError as error:
            return _refusal(error)
        except Exception:
            _LOG.exception("An upload request failed.")
            sentence = (
                "This machine could not store the upload. Nothing that arrived was lost: try again"
                " in a minute."
            )
            return JSONResponse({"error": sentence}, 500)

    return answer


def _refusal(error: TransferError) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    content: dict[str, Any] = {"error": str(error)}
    if isinstance(error, uploads.OffsetError):
        content["received"] = error.received
    return JSONResponse(content, status)


async def _asked(request: Request) -> tuple[str, int, Aim]:
    """Return the name, the size and the aim of the upload that is to begin."""
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > _MOST_JSON:
            raise uploads.TooLargeError("Only the name, the size and the aim are expected here.")
    try:
        value = json.loads(body)
        name, size = value["name"], value["size"]
        said: dict[str, Any] = {key: value[key] for key in _AIM if key in value}
        aim: dict[str, Any] = {k: v for k, v in said.items() if v is not None or k == "purpose"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        name, size, aim = None, None, {}
    if not isinstance(name, str) or not isinstance(size, int) or isinstance(size, bool):
        raise uploads.UploadError('An upload begins with {"name": text, "size": bytes}.')
    if aim.get("purpose", "data") not in ("data", "run"):
        raise uploads.UploadError('The purpose of an upload is "data" or "run".')
    if not all(isinstance(text, str) and len(text) <= _MOST_TEXT for text in aim.values()):
        raise uploads.UploadError(
            f"What an upload is for is said in texts of up to {_MOST_TEXT} characters:"
            f" {', '.join(_AIM)}."
        )
    return name, size, Aim(**aim)


def _begin(name: str, size: int, aim: Aim, free: int) -> uploads.Upload:
    if aim.into:
        datasets.index(aim.into)  # refused before anything is sent, where it is gone
    label = names.clean_text(aim.label or "").strip() or None
    return uploads.begin(name, size, replace(aim, label=label), free=free)


async def _drain(body: AsyncIterator[bytes]) -> None:
    left = arriving.REQUEST_BYTES
    async for block in body:
        left -= len(block)
        if left < 0:
            return
