"""The way of changes from the gallery of the page Mend to the draft, without a run of the page.

    GET  /api/datasets/{digest}/draft        {"pictures", "draft"}, see `app.mending`
    POST /api/datasets/{digest}/draft        a change; answers with the new draft
    POST /api/datasets/{digest}/draft/undo   and /redo: likewise
    GET  /api/originals/{token}/{position}.png   a picture as it is stored, whole

Every request for a draft shows a token of the page in `X-Mending-Token`: a foreign page cannot send
that header, nor know the token. What cannot be done is answered with {"error": sentence}.
"""

import gzip
import json
import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app import mending, tokens
from transfer import store
from transfer.errors import DataError, TokenError, TransferError

TOKEN_HEADER = "X-Mending-Token"
_CHANGES, _ORIGINALS = "mending", "originals"  # the purposes of tokens
_KEPT = 3600  # seconds
_MOST_BYTES = 4 * 2**20  # of a change: half a million positions
_WORTH_PACKING = 2**14  # bytes
_LOG = logging.getLogger(__name__)

Work = Callable[[str, bytes], dict[str, Any]]


def token(digest: str) -> str:
    """Return a token with which a page may change the draft of a data set, for a day."""
    return _token(str(store.home()), _CHANGES, digest, int(time.time()) // _KEPT)


def originals(digest: str) -> str:
    """Return a link to the whole pictures of a data set, with `{position}` to be filled in."""
    signed = _token(str(store.home()), _ORIGINALS, digest, int(time.time()) // _KEPT)
    return f"/api/originals/{signed}/{{position}}.png"


def routes() -> list[Route]:
    """Return the routes."""
    one = "/api/datasets/{digest}/draft"
    return [
        Route(one, _answering(_everything), methods=["GET"]),
        Route(one, _answering(_change), methods=["POST"]),
        Route(f"{one}/undo", _answering(lambda digest, _: mending.undo(digest)), methods=["POST"]),
        Route(f"{one}/redo", _answering(lambda digest, _: mending.redo(digest)), methods=["POST"]),
        Route("/api/originals/{token}/{position:int}.png", _original),
    ]


@lru_cache(maxsize=128)
def _token(_home: str, purpose: str, digest: str, _hour: int) -> str:
    """Return the same token for an hour, so that the page's gallery is not handed a new one."""
    return tokens.sign(purpose, digest)


def _everything(digest: str, _: bytes) -> dict[str, Any]:
    return {"pictures": mending.pictures(digest), "draft": mending.draft(digest)}


def _change(digest: str, body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    return mending.change(digest, value)


def _answering(work: Work) -> Callable[[Request], Any]:
    """Check the token, do the work, and turn what goes wrong into a sentence."""

    async def answer(request: Request) -> Response:
        digest = request.path_params["digest"]
        try:
            if tokens.read(_CHANGES, request.headers.get(TOKEN_HEADER, "")) != digest:
                raise TokenError("This page may not change these pictures. Load it again.")
            body = await _body(request)
            answered = await run_in_threadpool(lambda: _packed(request, work(digest, body)))
        except TokenError as error:
            return JSONResponse({"error": str(error)}, 403)
        except TransferError as error:
            return JSONResponse({"error": str(error)}, 409)
        except Exception:
            _LOG.exception("A change could not be made.")
            sentence = "The change could not be stored, so it was not made. Try it again."
            return JSONResponse({"error": sentence}, 500)
        return answered

    return answer


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > _MOST_BYTES:
            raise DataError("This change is too large to be made at once. Choose fewer pictures.")
    return bytes(body)


def _packed(request: Request, value: dict[str, Any]) -> Response:
    """Return the answer, packed where that is worth it: 10,000 pictures are a megabyte."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    packs = "gzip" in request.headers.get("accept-encoding", "")
    if packs and len(body) > _WORTH_PACKING:
        body = gzip.compress(body, 1)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type="application/json")


async def _original(request: Request) -> Response:
    values = request.path_params
    try:
        digest = tokens.read(_ORIGINALS, values["token"])
        index = await run_in_threadpool(mending.base, digest)
    except TokenError as error:
        return JSONResponse({"error": str(error)}, 403)
    except TransferError as error:
        return JSONResponse({"error": str(error)}, 404)
    position = values["position"]
    path = index.path(index.pictures[position]) if position < len(index.pictures) else None
    if path is None or not path.is_file():
        return JSONResponse({"error": "There is no such picture."}, 404)
    return FileResponse(path, headers={"Cache-Control": "private, max-age=86400, immutable"})
