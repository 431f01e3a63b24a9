"""Where a run looked on a picture of its data set, by a signed link: a layer for the thumbnail."""

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import datasets, predictor, tokens
from transfer.errors import DataError, TokenError, TransferError

SIDE = 192  # pixels of the longer side: it is smooth, so the browser may draw it larger
_PURPOSE = "heat maps"
_HEADERS = {"Cache-Control": "private, max-age=3600"}


def links(run_id: str, digest: str) -> str:
    """Return a link to the layers of a run's pictures, with `{sha256}` to be filled in."""
    token = tokens.for_this_hour(_PURPOSE, f"{run_id}/{digest}")
    return f"/api/heat_maps/{token}/{{sha256}}.png"


def file(digest: str, sha256: str) -> Path:
    """Return a picture of a data set.

    Raises:
        DataError: there is no such picture.
    """
    index = datasets.index(digest)
    found = next((one for one in index.pictures if one.sha256 == sha256), None)
    if found is None:
        raise DataError("There is no such picture.")
    return index.path(found)


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/api/heat_maps/{token}/{sha256}.png", _layer)]


async def _layer(request: Request) -> Response:
    try:
        value = tokens.read(_PURPOSE, request.path_params["token"])
        run_id, digest = value.split("/")
        path = await run_in_threadpool(file, digest, request.path_params["sha256"])
        data = await run_in_threadpool(path.read_bytes)
        found = await run_in_threadpool(predictor.heat_map, run_id, data, None, SIDE)
    except TokenError as error:
        return JSONResponse({"error": str(error)}, 403)
    except (TransferError, OSError) as error:
        return JSONResponse({"error": str(error)}, 404)
    return Response(found.layer, media_type="image/png", headers=_HEADERS)
