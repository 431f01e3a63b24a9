"""The routes: which models there are, and what they say of pictures. An ASGI application."""

import asyncio
import os
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from transfer import errors
from transfer.errors import RunError, ServiceError, TransferError
from transfer.serving import guide, intake, schema
from transfer.serving.intake import Picture, RefusedError
from transfer.serving.service import Service, memory_mb
from transfer.serving.sources import DamagedError

_STATUS = ((DamagedError, 500), (RunError, 404), (ServiceError, 503), (TransferError, 422))
_ABOUT = "What is on pictures, said by classifiers that were trained with the transfer workbench."


def application(service: Service, hosts: list[str] | None = None, preview: bool = False) -> FastAPI:
    """Return the ASGI application.

    Args:
        service: what answers.
        hosts: the names by which it may be asked; None: any.
        preview: whether it draws pictures of data sets and heat maps, too (for the app).
    """
    # No page of scripts from elsewhere, and no measurements for elsewhere.
    quiet: Any = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
    app = FastAPI(
        title="Transfer workbench", description=_ABOUT, version="1", docs_url=None, redoc_url=None,
        telemetry=quiet,
    )  # fmt: skip
    if hosts:
        # A page of elsewhere cannot make its own name point here and read the answers.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)

    @app.get("/health", response_model=schema.Health, responses=schema.problems(503))
    async def health(_: Request) -> Response:
        """Say that it answers, and how it is."""
        return await _answer(service, lambda: _health(service), counts=False)

    @app.get("/models", response_model=schema.Listing, responses=schema.problems(503))
    async def models(_: Request) -> Response:
        """List the models that can be asked."""
        return await _answer(service, lambda: _listing(service), counts=False)

    @app.get(
        "/models/{name:path}",
        response_model=schema.Described,
        responses=schema.problems(404, 500, 503),
    )
    async def describe(name: str) -> Response:
        """Say what a model knows; it is loaded, so that its first picture is answered fast."""
        return await _answer(service, lambda: _described(service, name))

    @app.post(
        "/models/{name:path}/predict",
        response_model=schema.Answer,
        responses=schema.problems(400, 404, 408, 413, 415, 422, 500, 503),
        openapi_extra=schema.PICTURES,
    )
    async def predict(name: str, request: Request) -> Response:
        """Say what is on pictures."""
        return await _answer(service, lambda: _predicted(service, name, request))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(guide.page(app.openapi()))

    if preview:

        @app.post("/preview", include_in_schema=False)
        async def draw(request: Request) -> Response:
            return await _answer(service, lambda: _preview(service, request))

        @app.post("/models/{name:path}/heat-map", include_in_schema=False)
        async def heat_map(name: str, request: Request) -> Response:
            return await _answer(service, lambda: _heat_map(service, name, request))

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        words = f"There is nothing at this address ({error.detail}). See /docs for what there is."
        return _problem(ServiceError(words), error.status_code)

    return app


async def _answer(
    service: Service, work: Callable[[], Awaitable[dict[str, Any]]], counts: bool = True
) -> Response:
    """Return an answer, or what can be mended in words."""
    if service.leaving:
        return _problem(ServiceError("The process is ending. Ask again."), 503, leaving=True)
    try:
        return JSONResponse(await work())
    except RefusedError as refused:
        return _problem(refused.why, refused.status)
    except TransferError as error:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        return _problem(error, status)
    except Exception:  # one picture must not end the service for the others
        traceback.print_exc()
        words = "The prediction process could not work on this picture. Try another one."
        return _problem(ServiceError(words), 500)
    finally:
        if counts:
            service.last_used = time.monotonic()


async def _health(service: Service) -> dict[str, Any]:
    return {
        "status": "ok", "models": service.models.names(), "answered": service.answered,
        "memory_mb": memory_mb(), "pid": os.getpid(),
    }  # fmt: skip


async def _listing(service: Service) -> dict[str, Any]:
    here, rows = set(service.models.names()), []
    for name in await asyncio.to_thread(service.models.sources.names):
        try:
            source = service.models.sources.find(name)
        except RunError:  # gone since
            continue
        rows.append({"name": name, "kind": source.kind, "loaded": name in here})
    return {"models": rows}


async def _described(service: Service, name: str) -> dict[str, Any]:
    loaded = await service.model(name)
    return {
        "name": name, "kind": loaded.source.kind, "classes": list(loaded.classes),
        "outputs": list(loaded.outputs),
    }  # fmt: skip


async def _predicted(service: Service, name: str, request: Request) -> dict[str, Any]:
    async with service.room.taken(intake.size(request)):
        service.models.sources.find(name)  # said before the body is read
        pictures = await intake.pictures(request)
        loaded = await service.model(name)
        began = time.perf_counter()
        outputs = await service.outputs(loaded, pictures)
        milliseconds = round(1000 * (time.perf_counter() - began), 1)
    service.answered += len(pictures)
    return {
        "model": name,
        "classes": list(loaded.classes),
        "predictions": [
            _prediction(loaded.classes, picture, each)
            for picture, each in zip(pictures, outputs, strict=True)
        ],
        "milliseconds": milliseconds,
    }


async def _preview(service: Service, request: Request) -> dict[str, Any]:
    from transfer import shown

    try:
        asked = await request.json()
    except ValueError:
        raise ServiceError("The prediction process was not asked in its own language.") from None
    return await service.alone(lambda: shown.pictures(asked))


async def _heat_map(service: Service, name: str, request: Request) -> dict[str, Any]:
    """Answer `looked.heat_map` for the body; what is asked is in the query."""
    from transfer import looked

    async with service.room.taken(intake.size(request)):
        (picture,) = await intake.pictures(request)
        loaded = await service.model(name)
        asked = dict(request.query_params)
        return await service.alone(lambda: looked.heat_map(loaded, picture.data, asked))


def _prediction(
    classes: tuple[str, ...], picture: Picture, outputs: dict[str, Any]
) -> dict[str, Any]:
    probabilities = outputs["probabilities"]
    return {
        "file": picture.file,
        "label": classes[int(np.argmax(probabilities))],
        "probabilities": _plain(probabilities),
        "outputs": {key: _plain(value) for key, value in outputs.items() if key != "probabilities"},
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that are none become null."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _problem(error: TransferError, status: int, leaving: bool = False) -> Response:
    kinds = (kind.__name__ for kind in type(error).__mro__)
    kind = next(name for name in kinds if hasattr(errors, name))
    headers = {"Retry-After": "2"} if status == 503 else None
    content = {"error": str(error), "kind": kind, "leaving": leaving}
    return JSONResponse(content, status, headers)
