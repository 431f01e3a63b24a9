"""Thumbnails by a signed link, from the disk."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app import datasets, tokens
from transfer.errors import TokenError, TransferError

_PURPOSE = "pictures"


def links(digest: str, side: int) -> str:
    """Return a link to the pictures of a data set, with `{sha256}` to be filled in."""
    token = tokens.for_this_hour(_PURPOSE, digest)
    return f"/api/pictures/{token}/{side}/{{sha256}}.jpg"


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/api/pictures/{token}/{side:int}/{sha256}.jpg", _picture)]


async def _picture(request: Request) -> Response:
    values = request.path_params
    try:
        digest = tokens.read(_PURPOSE, values["token"])
        path = await run_in_threadpool(datasets.thumbnail, digest, values["sha256"], values["side"])
    except TokenError as error:
        return JSONResponse({"error": str(error)}, 403)
    except TransferError as error:
        return JSONResponse({"error": str(error)}, 404)
    return FileResponse(path, headers={"Cache-Control": "private, max-age=86400, immutable"})
