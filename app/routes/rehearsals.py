"""The pictures of the checks before a training by a signed link: the pixels that a network gets."""

import re

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app import starting, tokens
from app.starting import Subject
from transfer.errors import TokenError
from transfer.runs import Run

_PURPOSE = "rehearsals"
_NAME = re.compile(r"[a-z]+-[0-9]+\.png")


def links(subject: Subject) -> str:
    """Return a link to the pictures of one check, with `{name}` to be filled in."""
    token = tokens.for_this_hour(_PURPOSE, subject.key)
    return f"/api/rehearsals/{token}/{{name}}"


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/api/rehearsals/{token}/{name}", _picture)]


def _picture(request: Request) -> Response:
    try:
        key = tokens.read(_PURPOSE, request.path_params["token"])
    except TokenError as error:
        return JSONResponse({"error": str(error)}, 403)
    name = request.path_params["name"]
    path = Run(starting.folder() / key).checks_folder / name
    if not _NAME.fullmatch(name) or not path.is_file():
        return JSONResponse({"error": "There is no such picture."}, 404)
    return FileResponse(path, headers={"Cache-Control": "private, max-age=600"})
