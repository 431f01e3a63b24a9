"""Files to take away by a signed link, streamed from the disk: the model, or a whole run."""

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app import bundles, tokens
from transfer.errors import TokenError, TransferError

_PURPOSE = "downloads"


def link(kind: str, run_id: str, name: str) -> str:
    """Return the link to a file: kind "model" (SavedModel as a zip) or "run" (the whole run)."""
    return f"/api/downloads/{tokens.sign(_PURPOSE, f'{kind}/{run_id}')}/{name}"


def file_name(name: str, ending: str) -> str:
    """Return a name for a file to take away, of what people call a run."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    return f"{plain[:60] or 'model'}{ending}"


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/api/downloads/{token}/{name}", _download)]


async def _download(request: Request) -> Response:
    try:
        kind, run_id = tokens.read(_PURPOSE, request.path_params["token"]).split("/")
        path = await run_in_threadpool(bundles.packed, kind, run_id)
    except TokenError as error:
        return JSONResponse({"error": str(error)}, 403)
    except TransferError as error:
        return JSONResponse({"error": str(error)}, 404)
    return FileResponse(path, filename=request.path_params["name"], media_type="application/zip")
